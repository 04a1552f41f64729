"""How fast the seeded order flow runs: so many changes a second for each symbol, spread over the second."""

import asyncio
from collections.abc import Callable, Iterable

from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.venue import MOVE_EVERY_S

SECOND_NS = 1_000_000_000
BEHIND_MAX_NS = SECOND_NS // 4


class Pace:
    """Moves some flows, one change of each symbol in turn."""

    def __init__(self, flows: Iterable[OrderFlow], changes_per_s: float, now_ns: Callable[[], int]) -> None:
        self._flows = tuple(flows)
        self._every_ns = int(SECOND_NS / changes_per_s)
        self._now_ns = now_ns
        self._due_ns = now_ns()

    async def keep(self) -> None:
        """Move them for ever."""
        while True:
            self.catch_up()
            await asyncio.sleep(MOVE_EVERY_S)

    def catch_up(self) -> None:
        """Make the changes that are due; after a stall the flow goes on from now."""
        now_ns = self._now_ns()
        self._due_ns = max(self._due_ns, now_ns - BEHIND_MAX_NS)
        while self._due_ns <= now_ns:
            self._due_ns += self._every_ns
            for flow in self._flows:
                for symbol in flow.listings:
                    flow.step(symbol, now_ns)
