"""The channels of the simulated Deribit, and the updates of its books as new, change and delete rows."""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from components.sandbox.numerics import MILLISECOND_NS, ZERO
from components.sandbox.simulation.order_book import Levels, LevelUpdate, SimulatedBook
from components.sandbox.simulation.order_flow import OrderFlow

RAW, FAST, AGGREGATED = "raw", "100ms", "agg2"
PERIOD_MS = {RAW: 0, FAST: 100, AGGREGATED: 1000}  # raw sends every change
PLATFORM = "platform_state"


class Topic(StrEnum):
    """The kinds of channel."""

    BOOK = "book"
    TRADES = "trades"
    QUOTE = "quote"
    TICKER = "ticker"
    PLATFORM = PLATFORM


class Channel(Struct, frozen=True):
    """A channel of one instrument, the trades of a kind and currency, or the state of the platform."""

    topic: Topic
    interval: str = RAW
    instrument: str = ""
    kind: str = ""
    currency: str = ""

    @property
    def name(self) -> str:
        """Return the channel's name as clients write it."""
        match self.topic:
            case Topic.PLATFORM:
                return PLATFORM
            case Topic.QUOTE:
                return f"{self.topic}.{self.instrument}"
            case _:
                return f"{self.topic}.{self.instrument or f'{self.kind}.{self.currency}'}.{self.interval}"

    @property
    def needs_login(self) -> bool:
        """Return whether the channel is raw, that is, sends every single change."""
        return self.interval == RAW and self.topic not in {Topic.QUOTE, Topic.PLATFORM}


def parse_channel(name: str) -> Channel | None:
    """Parse the name of a channel; return None where no channel has such a name."""
    match name.split("."):
        case ["platform_state"]:
            return Channel(Topic.PLATFORM)
        case ["quote", instrument]:
            return Channel(Topic.QUOTE, instrument=instrument)
        case ["book" | "ticker" | "trades" as topic, instrument, interval] if interval in PERIOD_MS:
            return Channel(Topic(topic), interval, instrument=instrument)
        case ["trades", kind, currency, interval] if interval in PERIOD_MS:
            return Channel(Topic.TRADES, interval, kind=kind, currency=currency)
        case _:
            return None


class LevelRow(NamedTuple):
    """One level and its action: new, change or delete."""

    action: str
    price: Decimal
    amount: Decimal


class BookPush(NamedTuple):
    """The changes of a book between two ids; a snapshot has no previous id."""

    prev_change_id: int | None
    change_id: int
    at_ms: int
    bids: list[LevelRow]
    asks: list[LevelRow]
    is_new_best: bool = True


class BookChannelState:
    """The book of one instrument as the subscribers of one interval hold it."""

    def __init__(self, interval: str, symbol: str, flow: OrderFlow, now_ns: int) -> None:
        self.interval, self.symbol = interval, symbol
        self._flow = flow
        self._period_ns = PERIOD_MS[interval] * MILLISECOND_NS
        self._period = self._period_at(now_ns)
        self.book = flow.book(symbol).copy()
        self._last_sent_id = self.book.id

    def snapshot(self, now_ns: int) -> BookPush:
        """Return the whole book as of the last push."""
        bids, asks = self.book.top(len(self.book.bids.prices) + len(self.book.asks.prices))
        return BookPush(None, self._last_sent_id, now_ns // MILLISECOND_NS, _as_new_rows(bids), _as_new_rows(asks))

    def next_pushes(self, now_ns: int) -> Iterator[BookPush]:
        """Advance to the current book; yield one push per change for raw, else one push for the whole period."""
        if self._period_ns and self._period_at(now_ns) == self._period:
            return
        self._period = self._period_at(now_ns)
        try:
            changes = self._flow.updates_after(self.symbol, self.book.id)
        except LookupError:
            # The history no longer covers all changes since the last push: subscribers get a new snapshot.
            self.book = self._flow.book(self.symbol).copy()
            self._last_sent_id = self.book.id
            yield self.snapshot(now_ns)
            return
        groups = [[change] for change in changes] if self.interval == RAW else [changes] * bool(changes)
        for group in groups:
            yield from self._advance(group)

    def _advance(self, changes: list[LevelUpdate]) -> Iterator[BookPush]:
        best = self.book.top(1)
        bids, asks = apply_updates(self.book, changes)
        if bids or asks:
            previous, self._last_sent_id = self._last_sent_id, self.book.id
            at_ms = changes[-1].at_ns // MILLISECOND_NS
            yield BookPush(previous, self._last_sent_id, at_ms, bids, asks, is_new_best=self.book.top(1) != best)

    def _period_at(self, now_ns: int) -> int:
        return now_ns // self._period_ns if self._period_ns else 0


def apply_updates(book: SimulatedBook, changes: list[LevelUpdate]) -> tuple[list[LevelRow], list[LevelRow]]:
    """Apply updates to a book; return the rows of the touched levels, bids then asks."""
    was_there: dict[tuple[bool, Decimal], bool] = {}
    for change in changes:
        quantities = book.side(is_bid=change.is_bid).quantities
        was_there.setdefault((change.is_bid, change.price), change.price in quantities)
        book.apply(change)
    rows: dict[bool, list[LevelRow]] = {True: [], False: []}
    for (is_bid, price), was in was_there.items():
        amount = book.side(is_bid=is_bid).quantities.get(price, ZERO)
        # A level that appeared and disappeared between two pushes is not sent.
        if was or amount:
            rows[is_bid].append(LevelRow(_action(was=was, amount=amount), price, amount))
    return rows[True], rows[False]


def _action(*, was: bool, amount: Decimal) -> str:
    if not amount:
        return "delete"
    return "change" if was else "new"


def _as_new_rows(levels: Levels) -> list[LevelRow]:
    return [LevelRow("new", price, amount) for price, amount in levels]
