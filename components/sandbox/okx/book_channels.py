"""The channels of the simulated OKX, its sequence ids, and the snapshots and updates of each book channel.

All subscribers of one channel and instrument receive the same updates, cut at the same ids. Sequence ids are those of
the order flow until a simulated maintenance resets them.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from components.sandbox.numerics import MILLISECOND_NS, ZERO
from components.sandbox.simulation.order_flow import OrderFlow

PUBLIC, BUSINESS = "public", "business"
BOOK_DEPTH_MAX = 400
TRADES, TRADES_ALL, TICKERS = "trades", "trades-all", "tickers"
TICKER_PERIOD_MS = 100
# A sequence reset restarts the ids this far below all ids sent before. When an id is sent a second time, the first time
# lies more updates back than any history keeps.
RESET_STEP = 50_000
NO_PREV_SEQUENCE = -1
Level = tuple[Decimal, Decimal]


class BookChannel(Struct, frozen=True):
    """A channel that carries an order book."""

    name: str
    depth: int
    period_ms: int
    is_chained: bool  # a snapshot, then updates that name the id before them; otherwise each push is a full book
    needs_login: bool = False


# In the order in which one connection receives them for one instrument.
BOOKS = {
    one.name: one
    for one in (
        BookChannel("bbo-tbt", 1, 10, is_chained=False),
        BookChannel("books-l2-tbt", BOOK_DEPTH_MAX, 10, is_chained=True, needs_login=True),
        BookChannel("books50-l2-tbt", 50, 10, is_chained=True, needs_login=True),
        BookChannel("books", BOOK_DEPTH_MAX, 100, is_chained=True),
        BookChannel("books5", 5, 100, is_chained=False),
    )
}
ENDPOINT_CHANNELS = {PUBLIC: frozenset({*BOOKS, TRADES, TICKERS}), BUSINESS: frozenset({TRADES_ALL})}


class IdEpoch(Struct, frozen=True):
    """The ids above `after` of the flow; the id sent is the flow's id less the offset."""

    after: int
    offset: int


class SequenceIds:
    """The id epochs of one instrument, oldest first."""

    def __init__(self, first: int) -> None:
        self._epochs = [IdEpoch(after=first - 1, offset=0)]

    def to_wire(self, flow_id: int) -> int:
        """Return the id to send for an id of the flow."""
        epoch = next((epoch for epoch in reversed(self._epochs) if epoch.after < flow_id), self._epochs[0])
        return flow_id - epoch.offset

    def from_wire(self, sequence: int, last: int) -> int:
        """Return the flow's id of an id that was sent; an id not sent yet stands for `last`, the flow's latest."""
        until = last
        for epoch in reversed(self._epochs):
            if epoch.after < sequence + epoch.offset <= until:
                return sequence + epoch.offset
            until = epoch.after
        # An id below everything that was ever sent is no id of the flow either.
        return last if sequence > self.to_wire(last) else sequence

    def reset(self, last: int) -> bool:
        """Restart the ids after the flow's latest one; return False where no room is left below."""
        start = self._epochs[0].after - RESET_STEP * len(self._epochs)
        if start < 1:
            return False
        self._epochs.append(IdEpoch(after=last, offset=last - start))
        return True


class BookPush(Struct, frozen=True):
    """One message of a book channel, sides best first; an update holds changed levels only."""

    is_snapshot: bool
    prev_sequence: int
    sequence: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class BookView:
    """The best levels that a subscriber of one channel and instrument holds after the last push."""

    def __init__(self, sequence: int, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        self.sequence = sequence
        self.bids, self.asks = dict(bids), dict(asks)

    def snapshot(self) -> BookPush:
        """Return the whole view as a snapshot."""
        return BookPush(
            is_snapshot=True,
            prev_sequence=NO_PREV_SEQUENCE,
            sequence=self.sequence,
            bids=list(self.bids.items()),
            asks=list(self.asks.items()),
        )

    def keep_alive(self) -> BookPush:
        """Return an update without levels whose id follows itself."""
        return BookPush(is_snapshot=False, prev_sequence=self.sequence, sequence=self.sequence, bids=(), asks=())

    def advance(self, after: "BookView", touched_bids: Iterable[Level], touched_asks: Iterable[Level]) -> BookPush:
        """Move to a later view and return the update.

        The update names every touched level, also those that end unchanged or absent.
        """
        bids = sorted(_difference(self.bids, after.bids, touched_bids), reverse=True)
        asks = sorted(_difference(self.asks, after.asks, touched_asks))
        push = BookPush(is_snapshot=False, prev_sequence=self.sequence, sequence=after.sequence, bids=bids, asks=asks)
        self.sequence, self.bids, self.asks = after.sequence, after.bids, after.asks
        return push


def _difference(
    before: Mapping[Decimal, Decimal], after: Mapping[Decimal, Decimal], touched: Iterable[Level]
) -> Iterable[Level]:
    changed = {price: quantity for price, quantity in after.items() if before.get(price) != quantity}
    # A level leaves the view because it is gone, or because better levels displaced it.
    changed |= dict.fromkeys((price for price in before if price not in after), ZERO)
    for price, quantity in touched:
        if quantity == ZERO or price in after:
            changed[price] = after.get(price, ZERO)
    return changed.items()


class BookChannelState:
    """The view of one channel and instrument, advanced by the order flow; shared by all subscribers."""

    def __init__(
        self, channel: BookChannel, symbol: str, flow: OrderFlow, sequence_ids: SequenceIds, now_ns: int
    ) -> None:
        self.channel, self.symbol = channel, symbol
        self._flow, self._sequence_ids = flow, sequence_ids
        self._period, self._pushed_ns = self._period_at(now_ns), now_ns
        self._flow_id = flow.last_id(symbol)
        self.view = self._current_view()

    def push(self, now_ns: int, keep_alive_ns: int) -> BookPush | None:
        """Return the push that is due now, if there is one."""
        if self._period_at(now_ns) == self._period:
            return None
        self._period = self._period_at(now_ns)
        push = self._advance() if self._flow.last_id(self.symbol) != self._flow_id else None
        if push is None and now_ns - self._pushed_ns >= keep_alive_ns:
            push = self.view.keep_alive() if self.channel.is_chained else self.view.snapshot()
        if push is not None:
            self._pushed_ns = now_ns
        return push

    def _advance(self) -> BookPush | None:
        after_id, self._flow_id = self._flow_id, self._flow.last_id(self.symbol)
        if not self.channel.is_chained:
            return self._full_push()
        try:
            bids, asks = self._flow.levels_updated(self.symbol, after_id, self._flow_id)
        except LookupError:
            # The history no longer covers all updates since the last push: subscribers get a new snapshot, as the venue
            # may send at any time.
            self.view = self._current_view()
            return self.view.snapshot()
        return self.view.advance(self._current_view(), bids, asks)

    def _full_push(self) -> BookPush | None:
        before, self.view = self.view, self._current_view()
        is_same = (before.bids, before.asks) == (self.view.bids, self.view.asks)
        return None if is_same else self.view.snapshot()

    def _current_view(self) -> BookView:
        bids, asks = self._flow.book(self.symbol).top(self.channel.depth)
        return BookView(self._sequence_ids.to_wire(self._flow_id), bids, asks)

    def _period_at(self, now_ns: int) -> int:
        return now_ns // (self.channel.period_ms * MILLISECOND_NS)
