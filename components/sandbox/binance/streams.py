"""The streams of the simulated Binance venues: their names, and the messages that each has to send."""

import re
from decimal import Decimal
from typing import NamedTuple, Protocol

from components.sandbox.binance.messages import MessageEncoder
from components.sandbox.binance.rules import Channel, VenueRules
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.order_book import Level
from components.sandbox.simulation.order_flow import BatchCursor, OrderFlow, UpdateBatch
from components.sandbox.transport.fault_injection import FaultInjector
from components.sandbox.transport.faults import CryptoFaultKind

_NAME = re.compile(
    r"(?P<symbol>[a-z0-9_]+)@(?:depth(?P<levels>5|10|20)?(?:@(?P<speed>\d+)ms)?"
    r"|(?P<plain>bookTicker|aggTrade|trade)|(?P<mark>markPrice)(?P<fast>@1s)?)"
)


class StreamSpec(NamedTuple):
    """An existing stream, parsed from its name."""

    name: str
    symbol: str
    channel: Channel
    period_ns: int = 0
    levels: int = 0


class Stream(Protocol):
    """A stream of one client."""

    topic: str

    def pending_frames(self, now_ns: int) -> list[str]:
        """Return the messages that are due."""
        ...


def parse_stream_name(name: str, rules: VenueRules, listed: frozenset[str]) -> StreamSpec | None:
    """Parse the name of a stream; None means that the stream would be confirmed and never served."""
    found = _NAME.fullmatch(name)
    if found is None or (symbol := found["symbol"].upper()) not in listed:
        return None
    if found["plain"]:
        return StreamSpec(name, symbol, Channel(found["plain"]))
    if found["mark"]:
        return StreamSpec(name, symbol, Channel.MARK_PRICE, (1000 if found["fast"] else 3000) * MILLISECOND_NS)
    speed_ms = int(found["speed"] or rules.depth_speed_ms_default)
    if speed_ms not in rules.depth_speeds_ms:
        return None
    channel = Channel.PARTIAL if found["levels"] else Channel.DEPTH
    return StreamSpec(name, symbol, channel, speed_ms * MILLISECOND_NS, int(found["levels"] or 0))


class DepthStream:
    """Depth updates in batches, cut at the phase of this connection."""

    topic = "book"

    def __init__(
        self, cursor: BatchCursor, flow: OrderFlow, encoder: MessageEncoder, fault_injector: FaultInjector
    ) -> None:
        self._cursor, self._flow, self._encoder, self._fault_injector = cursor, flow, encoder, fault_injector

    def pending_frames(self, now_ns: int) -> list[str]:
        """Return the depth update of this period, if anything changed."""
        batch = self._cursor.next_batch(self._flow, now_ns)
        if batch is None:
            return []
        if self._fault_injector.should_corrupt(CryptoFaultKind.CROSSED, batch.symbol):
            batch = _make_crossed(batch, self._flow)
        return [self._encoder.depth(batch, now_ns, self._id_shift(batch))]

    def _id_shift(self, batch: UpdateBatch) -> int:
        fault = self._fault_injector.should_corrupt(CryptoFaultKind.IDS_BACK, batch.symbol)
        # At least by the whole batch: a smaller shift could not be detected by any sequence rule of the venue.
        return 0 if fault is None else max(fault.count, batch.last_id - batch.prev_id)


def _make_crossed(batch: UpdateBatch, flow: OrderFlow) -> UpdateBatch:
    instrument = flow.instruments[batch.symbol]
    price = flow.book(batch.symbol).price(0, is_bid=False) + instrument.tick
    return batch._replace(bids=[(price, instrument.lot), *(level for level in batch.bids if level[0] != price)])


class PartialDepthStream:
    """The top of the book, once in each period in which it changed."""

    topic = "book"

    def __init__(self, cursor: BatchCursor, flow: OrderFlow, encoder: MessageEncoder, levels: int) -> None:
        self._cursor, self._flow, self._encoder, self._levels = cursor, flow, encoder, levels

    def pending_frames(self, now_ns: int) -> list[str]:
        """Return the top of the book, if the book changed."""
        batch = self._cursor.next_batch(self._flow, now_ns)
        if batch is None:
            return []
        bids, asks = self._flow.book(batch.symbol).top(self._levels)
        return [self._encoder.partial(batch._replace(bids=bids, asks=asks), now_ns)]


class BookTickerStream:
    """The best bid and ask, whenever they change."""

    topic = "quote"

    def __init__(self, symbol: str, flow: OrderFlow, encoder: MessageEncoder) -> None:
        self._symbol, self._flow, self._encoder = symbol, flow, encoder
        self._last_sent: tuple[Level, Level] | None = None

    def pending_frames(self, now_ns: int) -> list[str]:
        """Return the best bid and ask, if they changed."""
        book = self._flow.book(self._symbol)
        bids, asks = book.top(1)
        best = bids[0], asks[0]
        if best == self._last_sent:
            return []
        self._last_sent = best
        return [self._encoder.book_ticker(self._symbol, book.id, best, (now_ns, now_ns))]


class TradeStream:
    """Each trade once."""

    topic = "trade"

    def __init__(self, stream: StreamSpec, flow: OrderFlow, encoder: MessageEncoder) -> None:
        self._symbol, self._flow = stream.symbol, flow
        self._encode_trade = encoder.trade if stream.channel is Channel.TRADE else encoder.agg_trade
        self._last_trade_id = flow.last_trade_id(stream.symbol)

    def pending_frames(self, now_ns: int) -> list[str]:
        """Return the trades since the last call."""
        trades = self._flow.trades_after(self._symbol, self._last_trade_id)
        if trades:
            self._last_trade_id = trades[-1].id
        return [self._encode_trade(self._symbol, one, now_ns) for one in trades]


class MarkPriceStream:
    """The mark price, every few seconds."""

    topic = "mark"

    def __init__(self, cursor: BatchCursor, flow: OrderFlow, encoder: MessageEncoder) -> None:
        self._cursor, self._flow, self._encoder = cursor, flow, encoder

    def pending_frames(self, now_ns: int) -> list[str]:
        """Return the mark price, changed or not, if a period is over."""
        if not self._cursor.advance_if_due(now_ns):
            return []
        symbol = self._cursor.symbol
        book = self._flow.book(symbol)
        middle = (book.price(0, is_bid=True) + book.price(0, is_bid=False)) / Decimal(2)
        return [self._encoder.mark_price(symbol, middle, now_ns)]
