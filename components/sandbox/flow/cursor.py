"""Where one client stands in one symbol's order flow, and the batches its stream is cut into."""

from typing import NamedTuple

from components.sandbox.flow.book import Levels
from components.sandbox.flow.orders import OrderFlow


class UpdateBatch(NamedTuple):
    """All levels touched after one id and up to another, with their quantities as of the latter."""

    symbol: str
    prev_id: int  # the id of the symbol's last change before this batch
    first_id: int
    last_id: int
    at_ns: int  # of the last change
    bids: Levels
    asks: Levels


class BatchCursor:
    """Cuts the changes of a symbol into batches, one a period; period 0 gives what there is whenever it is asked."""

    __slots__ = ("_due_ns", "_last", "_period_ns", "symbol")

    def __init__(self, symbol: str, last_id: int, period_ns: int, due_ns: int) -> None:
        self.symbol = symbol
        self._last = last_id
        self._period_ns = period_ns
        self._due_ns = due_ns

    def next_batch(self, flow: OrderFlow, now_ns: int) -> UpdateBatch | None:
        """Give the batch that is due, if it is time and anything changed."""
        if not self.advance_if_due(now_ns):
            return None
        changes = flow.updates_after(self.symbol, self._last)
        if not changes:
            return None
        prev, self._last = self._last, changes[-1].id
        bids, asks = flow.levels_updated(self.symbol, prev, self._last)
        return UpdateBatch(self.symbol, prev, changes[0].id, self._last, changes[-1].at_ns, bids, asks)

    def unconflated_batches(self, flow: OrderFlow) -> list[UpdateBatch]:
        """Give every change as a batch of its own, for streams that are not conflated."""
        batches = []
        for change in flow.updates_after(self.symbol, self._last):
            prev, self._last = self._last, change.id
            level = [(change.price, change.quantity)]
            bids, asks = (level, []) if change.is_bid else ([], level)
            batches.append(UpdateBatch(self.symbol, prev, change.id, change.id, change.at_ns, bids, asks))
        return batches

    def advance_if_due(self, now_ns: int) -> bool:
        """Tell whether a period is over, and begin the next."""
        if now_ns < self._due_ns:
            return False
        if self._period_ns:
            # From one beat to the next, also after a stall: no burst of old batches.
            self._due_ns += self._period_ns * (1 + (now_ns - self._due_ns) // self._period_ns)
        return True
