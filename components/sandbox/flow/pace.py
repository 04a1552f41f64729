"""How fast the seeded order flow runs: so many changes a second for each symbol, spread over the second."""

import asyncio
from collections.abc import Callable, Iterable

from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.venue import TICK_INTERVAL_S

SECOND_NS = 1_000_000_000
LAG_NS_MAX = SECOND_NS // 4


class FlowDriver:
    """Moves some flows, one change of each symbol in turn."""

    def __init__(self, flows: Iterable[OrderFlow], updates_per_s: float, now_ns: Callable[[], int]) -> None:
        self._flows = tuple(flows)
        self._interval_ns = int(SECOND_NS / updates_per_s)
        self._now_ns = now_ns
        self._due_ns = now_ns()

    async def run(self) -> None:
        """Move them for ever."""
        while True:
            self.catch_up()
            await asyncio.sleep(TICK_INTERVAL_S)

    def catch_up(self) -> None:
        """Make the changes that are due; after a stall the flow goes on from now."""
        now_ns = self._now_ns()
        self._due_ns = max(self._due_ns, now_ns - LAG_NS_MAX)
        while self._due_ns <= now_ns:
            self._due_ns += self._interval_ns
            for flow in self._flows:
                for symbol in flow.instruments:
                    flow.step(symbol, now_ns)
