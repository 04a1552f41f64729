"""One book channel of one instrument: what is pushed at each beat, the same to all who listen."""

from components.sandbox.flow.orders import OrderFlow
from components.sandbox.okx.channels import BookChannel
from components.sandbox.okx.cuts import Push, Window
from components.sandbox.okx.numbering import Numbering

MILLISECOND_NS = 1_000_000


class BookLine:
    """The window of a channel's listeners, moved on by the order flow."""

    def __init__(self, channel: BookChannel, symbol: str, flow: OrderFlow, numbering: Numbering, now_ns: int) -> None:
        self.channel, self.symbol = channel, symbol
        self._flow, self._numbering = flow, numbering
        self._beat, self._pushed_ns = self._beat_at(now_ns), now_ns
        self._flow_id = flow.last_id(symbol)
        self.window = self._look()

    def push(self, now_ns: int, keep_alive_ns: int) -> Push | None:
        """Give what is due now, if anything is."""
        if self._beat_at(now_ns) == self._beat:
            return None
        self._beat = self._beat_at(now_ns)
        push = self._changed() if self._flow.last_id(self.symbol) != self._flow_id else None
        if push is None and now_ns - self._pushed_ns >= keep_alive_ns:
            push = self.window.keep_alive() if self.channel.is_chained else self.window.snapshot()
        if push is not None:
            self._pushed_ns = now_ns
        return push

    def _changed(self) -> Push | None:
        after_id, self._flow_id = self._flow_id, self._flow.last_id(self.symbol)
        if not self.channel.is_chained:
            return self._whole()
        try:
            bids, asks = self._flow.touched(self.symbol, after_id, self._flow_id)
        except LookupError:
            # More has happened at once than is remembered: the listeners begin anew, as the venue may ask any time.
            self.window = self._look()
            return self.window.snapshot()
        return self.window.advance(self._look(), bids, asks)

    def _whole(self) -> Push | None:
        before, self.window = self.window, self._look()
        is_same = (before.bids, before.asks) == (self.window.bids, self.window.asks)
        return None if is_same else self.window.snapshot()

    def _look(self) -> Window:
        bids, asks = self._flow.book(self.symbol).top(self.channel.depth)
        return Window(self._numbering.sent(self._flow_id), bids, asks)

    def _beat_at(self, now_ns: int) -> int:
        return now_ns // (self.channel.period_ms * MILLISECOND_NS)
