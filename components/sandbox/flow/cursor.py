"""Where one client stands in one symbol's order flow, and the batches its stream is cut into."""

from typing import NamedTuple

from components.sandbox.flow.book import Levels
from components.sandbox.flow.orders import OrderFlow


class Batch(NamedTuple):
    """All levels touched after one id and up to another, with their quantities as of the latter."""

    symbol: str
    prev: int  # the id of the symbol's last change before this batch
    first: int
    last: int
    at_ns: int  # of the last change
    bids: Levels
    asks: Levels


class Cursor:
    """Cuts the changes of a symbol into batches, one a period; period 0 gives what there is whenever it is asked."""

    __slots__ = ("_due_ns", "_last", "_period_ns", "symbol")

    def __init__(self, symbol: str, last_id: int, period_ns: int, due_ns: int) -> None:
        self.symbol = symbol
        self._last = last_id
        self._period_ns = period_ns
        self._due_ns = due_ns

    def take(self, flow: OrderFlow, now_ns: int) -> Batch | None:
        """Give the batch that is due, if it is time and anything changed."""
        if not self.is_due(now_ns):
            return None
        changes = flow.changes_after(self.symbol, self._last)
        if not changes:
            return None
        prev, self._last = self._last, changes[-1].id
        bids, asks = flow.touched(self.symbol, prev, self._last)
        return Batch(self.symbol, prev, changes[0].id, self._last, changes[-1].at_ns, bids, asks)

    def take_each(self, flow: OrderFlow) -> list[Batch]:
        """Give every change as a batch of its own, for streams that are not conflated."""
        batches = []
        for change in flow.changes_after(self.symbol, self._last):
            prev, self._last = self._last, change.id
            level = [(change.price, change.quantity)]
            bids, asks = (level, []) if change.is_bid else ([], level)
            batches.append(Batch(self.symbol, prev, change.id, change.id, change.at_ns, bids, asks))
        return batches

    def is_due(self, now_ns: int) -> bool:
        """Tell whether a period is over, and begin the next."""
        if now_ns < self._due_ns:
            return False
        if self._period_ns:
            # From one beat to the next, also after a stall: no burst of old batches.
            self._due_ns += self._period_ns * (1 + (now_ns - self._due_ns) // self._period_ns)
        return True
