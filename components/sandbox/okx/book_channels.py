"""The public channels of OKX: how deep, how often, who may listen, and in which order they are pushed.

Sequence ids as OKX sends them: those of the flow, until maintenance sets them back.

The updates of one book channel: a window of the best levels, cut at ids that every socket shares.

One book channel of one instrument: what is pushed at each beat, the same to all who listen.
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
# Each maintenance begins this far below all that was ever sent. An id that is sent twice was sent the first time more
# changes ago than any history here remembers.
RESET_STEP = 50_000
NO_PREV_SEQUENCE = -1


class BookChannel(Struct, frozen=True):
    """A channel that carries a book."""

    name: str
    depth: int
    period_ms: int
    is_chained: bool  # a snapshot and then updates that name their predecessor; otherwise each push is whole
    needs_login: bool = False


# In the order in which one socket hears them for one instrument.
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
    """The ids after one of the flow's: what is sent is the flow's id less the offset."""

    after: int
    offset: int


class SequenceIds:
    """The eras of one instrument, oldest first."""

    def __init__(self, first: int) -> None:
        self._epochs = [IdEpoch(after=first - 1, offset=0)]

    def to_wire(self, flow_id: int) -> int:
        """Turn the flow's id into the one that is sent."""
        epoch = next((epoch for epoch in reversed(self._epochs) if epoch.after < flow_id), self._epochs[0])
        return flow_id - epoch.offset

    def from_wire(self, sequence: int, last: int) -> int:
        """Turn an id that was sent into the flow's, whose latest is given; one still to come means the latest."""
        until = last
        for epoch in reversed(self._epochs):
            if epoch.after < sequence + epoch.offset <= until:
                return sequence + epoch.offset
            until = epoch.after
        # What lies below everything that was ever sent is no id of the flow's either.
        return last if sequence > self.to_wire(last) else sequence

    def reset(self, last: int) -> bool:
        """Let the ids after the flow's latest start anew; false where there is no room below."""
        start = self._epochs[0].after - RESET_STEP * len(self._epochs)
        if start < 1:
            return False
        self._epochs.append(IdEpoch(after=last, offset=last - start))
        return True


Level = tuple[Decimal, Decimal]


class BookPush(Struct, frozen=True):
    """One message of a book channel, sides best first; an update holds changed levels only."""

    is_snapshot: bool
    prev_sequence: int
    sequence: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class BookView:
    """What a subscriber of one channel and instrument holds after the last push."""

    def __init__(self, sequence: int, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        self.sequence = sequence
        self.bids, self.asks = dict(bids), dict(asks)

    def snapshot(self) -> BookPush:
        """State the whole window."""
        return BookPush(
            is_snapshot=True,
            prev_sequence=NO_PREV_SEQUENCE,
            sequence=self.sequence,
            bids=list(self.bids.items()),
            asks=list(self.asks.items()),
        )

    def keep_alive(self) -> BookPush:
        """Say that nothing has changed: the sequence follows itself."""
        return BookPush(is_snapshot=False, prev_sequence=self.sequence, sequence=self.sequence, bids=(), asks=())

    def advance(self, after: "BookView", touched_bids: Iterable[Level], touched_asks: Iterable[Level]) -> BookPush:
        """Move on to a later window; name every level touched on the way, also where nothing remains of it."""
        bids = sorted(_difference(self.bids, after.bids, touched_bids), reverse=True)
        asks = sorted(_difference(self.asks, after.asks, touched_asks))
        push = BookPush(is_snapshot=False, prev_sequence=self.sequence, sequence=after.sequence, bids=bids, asks=asks)
        self.sequence, self.bids, self.asks = after.sequence, after.bids, after.asks
        return push


def _difference(
    before: Mapping[Decimal, Decimal], after: Mapping[Decimal, Decimal], touched: Iterable[Level]
) -> Iterable[Level]:
    changed = {price: quantity for price, quantity in after.items() if before.get(price) != quantity}
    # A level can leave the window because it is gone or because better ones have pushed it out.
    changed |= dict.fromkeys((price for price in before if price not in after), ZERO)
    for price, quantity in touched:
        if quantity == ZERO or price in after:
            changed[price] = after.get(price, ZERO)
    return changed.items()


class BookChannelState:
    """The window of a channel's listeners, moved on by the order flow."""

    def __init__(
        self, channel: BookChannel, symbol: str, flow: OrderFlow, sequence_ids: SequenceIds, now_ns: int
    ) -> None:
        self.channel, self.symbol = channel, symbol
        self._flow, self._sequence_ids = flow, sequence_ids
        self._period, self._pushed_ns = self._period_at(now_ns), now_ns
        self._flow_id = flow.last_id(symbol)
        self.view = self._current_view()

    def push(self, now_ns: int, keep_alive_ns: int) -> BookPush | None:
        """Give what is due now, if anything is."""
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
            # More has happened at once than is remembered: the listeners begin anew, as the venue may ask any time.
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
