"""One book channel of one instrument: what is pushed at each beat, the same to all who listen."""

from components.sandbox.flow.orders import OrderFlow
from components.sandbox.okx.channels import BookChannel
from components.sandbox.okx.cuts import BookPush, BookView
from components.sandbox.okx.numbering import SequenceIds

MILLISECOND_NS = 1_000_000


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
