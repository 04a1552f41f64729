"""What happens when: one queue of simulated time, and the clocks that read it."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

NS_PER_US: Final = 1_000
NS_PER_MS: Final = 1_000_000
EPOCH_NS: Final = 1_700_000_000_000_000_000
"""When every simulation begins, by its wall clock."""

Callback = Callable[[], None]


class Scheduler:
    """Does what is due, in order; what is due at one instant happens in the order it was asked for."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._count = 0
        self._due: list[tuple[int, int, Callback]] = []

    def after(self, delay_ns: int, callback: Callback) -> None:
        """Let something happen later."""
        self._count += 1
        heappush(self._due, (self.now_ns + delay_ns, self._count, callback))

    def step(self) -> None:
        """Go on to what is due next, and do it."""
        self.now_ns, _, happening = heappop(self._due)
        happening()


class SimulatedClock:
    """The one machine's clocks; somebody may set the wall clock, nobody the other."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.wall_offset_ns = 0

    def now_ns(self) -> int:
        """Read the wall clock."""
        return EPOCH_NS + self._scheduler.now_ns + self.wall_offset_ns

    def monotonic_ns(self) -> int:
        """Read the clock that never jumps."""
        return self._scheduler.now_ns
