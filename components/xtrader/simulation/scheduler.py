"""Simulated time, clocks, and seeded randomness with the rate of each fault."""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Final

from components.runtime.clock import NS_PER_MS

NS_PER_US: Final = 1_000
EPOCH_NS: Final = 1_700_000_000_000_000_000
"""The wall-clock time at which every simulation starts."""
Callback = Callable[[], None]


class Scheduler:
    """Runs callbacks in the order of their time; callbacks of the same time in the order of scheduling."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._count = 0
        self._due: list[tuple[int, int, Callback]] = []

    def after(self, delay_ns: int, callback: Callback) -> None:
        """Schedule a callback."""
        self._count += 1
        heappush(self._due, (self.now_ns + delay_ns, self._count, callback))

    def step(self) -> None:
        """Advance to the next callback and run it."""
        self.now_ns, _, callback = heappop(self._due)
        callback()


class SimulatedClock:
    """The machine's clocks; the wall clock can be set, the monotonic clock cannot."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.wall_offset_ns = 0

    def now_ns(self) -> int:
        """Return the wall-clock time."""
        return EPOCH_NS + self._scheduler.now_ns + self.wall_offset_ns

    def monotonic_ns(self) -> int:
        """Return the monotonic time."""
        return self._scheduler.now_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Probabilities, each per occasion."""

    frame_loss: float = 0.0
    """A frame on the bus is lost."""
    frame_duplicate: float = 0.0
    """A frame on the bus arrives twice."""
    frame_delay: float = 0.0
    """A frame and all that follow it on its link are delayed."""
    sync_failure: float = 0.0
    """The sync of a file fails: the data stay in memory only, and the sectors look clean."""
    disk_full: float = 0.0
    """Only half of a write reaches the file."""
    venue_call_fault: float = 0.0
    """A call to the venue fails in one of the ways of `CallFault`."""
    event_loss: float = 0.0
    """An event of the order stream is lost silently."""
    event_duplicate: float = 0.0
    """An event of the order stream arrives twice."""
    stream_disconnect: float = 0.0
    """The order stream disconnects; drawn at each price move."""
    venue_outage: float = 0.0
    """The venue is unreachable for a while; drawn at each price move."""
    feed_disconnect: float = 0.0
    """The market data feed disconnects; drawn at each price move."""
    clock_jump: float = 0.0
    """The wall clock is set; drawn at each price move."""
    operator_command: float = 0.0
    """An operator sends a command; drawn at each price move."""
    process_stop: float = 0.0
    """A process is stopped gracefully; drawn at each price move."""


NO_FAULTS: Final = FaultRates()
FAULT_RATES: Final = FaultRates(
    frame_loss=0.01,
    frame_duplicate=0.01,
    frame_delay=0.01,
    sync_failure=0.001,
    disk_full=0.001,
    venue_call_fault=0.2,
    event_loss=0.02,
    event_duplicate=0.02,
    stream_disconnect=0.003,
    venue_outage=0.001,
    feed_disconnect=0.003,
    clock_jump=0.0005,
    operator_command=0.006,
    process_stop=0.001,
)


class Randomness:
    """All random decisions of one run, from one seed."""

    def __init__(self, random: Random, rates: FaultRates) -> None:
        self.random, self.rates = random, rates

    def happens(self, probability: float) -> bool:
        """Return True with this probability.

        It always draws, so that the number of draws does not depend on the rates.
        """
        return self.random.random() < probability

    def network_delay_ns(self) -> int:
        """Return the time a frame takes from process to process."""
        return self.random.randint(20 * NS_PER_US, 400 * NS_PER_US)

    def sync_duration_ns(self) -> int:
        """Return the duration of a sync: mostly short, sometimes as long as on a busy disk."""
        is_slow = self.happens(0.02)
        return self.random.randint(50 * NS_PER_US, 40 * NS_PER_MS if is_slow else NS_PER_MS)

    def duration_ns(self, ms_min: int, ms_max: int) -> int:
        """Return a duration between these bounds, in nanoseconds."""
        return self.random.randint(ms_min * NS_PER_MS, ms_max * NS_PER_MS)
