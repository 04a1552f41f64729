"""The streams of the Binance venues: their names, and what each has to say when its time comes."""

import re
from decimal import Decimal
from typing import NamedTuple, Protocol

from components.sandbox.binance.frames import Frames
from components.sandbox.binance.rules import Channel, Rules
from components.sandbox.flow.book import Level
from components.sandbox.flow.cursor import Batch, Cursor
from components.sandbox.flow.faults import FlowFaultKind
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.script import Script

MS_NS = 1_000_000
_NAME = re.compile(
    r"(?P<symbol>[a-z0-9_]+)@(?:depth(?P<levels>5|10|20)?(?:@(?P<speed>\d+)ms)?"
    r"|(?P<plain>bookTicker|aggTrade|trade)|(?P<mark>markPrice)(?P<fast>@1s)?)"
)


class Stream(NamedTuple):
    """A stream that exists, by its name."""

    name: str
    symbol: str
    channel: Channel
    period_ns: int = 0
    levels: int = 0


class Source(Protocol):
    """One client's stream."""

    topic: str

    def due(self, now_ns: int) -> list[str]:
        """Say what is due."""
        ...


def parse(name: str, rules: Rules, listed: frozenset[str]) -> Stream | None:
    """Read a stream's name; None is a stream that would be confirmed and never say a word."""
    found = _NAME.fullmatch(name)
    if found is None or (symbol := found["symbol"].upper()) not in listed:
        return None
    if found["plain"]:
        return Stream(name, symbol, Channel(found["plain"]))
    if found["mark"]:
        return Stream(name, symbol, Channel.MARK_PRICE, (1000 if found["fast"] else 3000) * MS_NS)
    speed_ms = int(found["speed"] or rules.depth_ms)
    if speed_ms not in rules.depth_speeds_ms:
        return None
    channel = Channel.PARTIAL if found["levels"] else Channel.DEPTH
    return Stream(name, symbol, channel, speed_ms * MS_NS, int(found["levels"] or 0))


class Depth:
    """Batches of changes, cut at this connection's own phase."""

    topic = "book"

    def __init__(self, cursor: Cursor, flow: OrderFlow, frames: Frames, script: Script) -> None:
        self._cursor, self._flow, self._frames, self._script = cursor, flow, frames, script

    def due(self, now_ns: int) -> list[str]:
        """Say what changed in this period."""
        batch = self._cursor.take(self._flow, now_ns)
        if batch is None:
            return []
        if self._script.twist(FlowFaultKind.CROSSED, batch.symbol):
            batch = _crossed(batch, self._flow)
        return [self._frames.depth(batch, now_ns, self._ids_back(batch))]

    def _ids_back(self, batch: Batch) -> int:
        fault = self._script.twist(FlowFaultKind.IDS_BACK, batch.symbol)
        # At least by the whole batch: a smaller step would be a lie that no rule of the venue could find out.
        return 0 if fault is None else max(fault.count, batch.last - batch.prev)


def _crossed(batch: Batch, flow: OrderFlow) -> Batch:
    listing = flow.listings[batch.symbol]
    price = flow.book(batch.symbol).price(0, is_bid=False) + listing.tick
    return batch._replace(bids=[(price, listing.lot), *(level for level in batch.bids if level[0] != price)])


class Partial:
    """The top of the book, once a period in which it changed."""

    topic = "book"

    def __init__(self, cursor: Cursor, flow: OrderFlow, frames: Frames, levels: int) -> None:
        self._cursor, self._flow, self._frames, self._levels = cursor, flow, frames, levels

    def due(self, now_ns: int) -> list[str]:
        """Say what the top is."""
        batch = self._cursor.take(self._flow, now_ns)
        if batch is None:
            return []
        bids, asks = self._flow.book(batch.symbol).top(self._levels)
        return [self._frames.partial(batch._replace(bids=bids, asks=asks), now_ns)]


class BookTicker:
    """The best of both sides, whenever it is another than before."""

    topic = "quote"

    def __init__(self, symbol: str, flow: OrderFlow, frames: Frames) -> None:
        self._symbol, self._flow, self._frames = symbol, flow, frames
        self._told: tuple[Level, Level] | None = None

    def due(self, now_ns: int) -> list[str]:
        """Say the best, if it changed."""
        book = self._flow.book(self._symbol)
        bids, asks = book.top(1)
        best = bids[0], asks[0]
        if best == self._told:
            return []
        self._told = best
        return [self._frames.book_ticker(self._symbol, book.id, best, (now_ns, now_ns))]


class Trades:
    """Each trade once."""

    topic = "trade"

    def __init__(self, stream: Stream, flow: OrderFlow, frames: Frames) -> None:
        self._symbol, self._flow = stream.symbol, flow
        self._write = frames.trade if stream.channel is Channel.TRADE else frames.agg_trade
        self._last = flow.prints_count(stream.symbol)

    def due(self, now_ns: int) -> list[str]:
        """Say the trades since the last time."""
        prints = self._flow.prints_after(self._symbol, self._last)
        if prints:
            self._last = prints[-1].id
        return [self._write(self._symbol, one, now_ns) for one in prints]


class MarkPrice:
    """The mark, every few seconds."""

    topic = "mark"

    def __init__(self, cursor: Cursor, flow: OrderFlow, frames: Frames) -> None:
        self._cursor, self._flow, self._frames = cursor, flow, frames

    def due(self, now_ns: int) -> list[str]:
        """Say the mark, changed or not."""
        if not self._cursor.is_due(now_ns):
            return []
        symbol = self._cursor.symbol
        book = self._flow.book(symbol)
        middle = (book.price(0, is_bid=True) + book.price(0, is_bid=False)) / Decimal(2)
        return [self._frames.mark_price(symbol, middle, now_ns)]
