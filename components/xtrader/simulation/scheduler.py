"""What happens when: one queue of simulated time, and the clocks that read it.

How often each thing goes wrong in a simulation, and the dice that decide it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Probabilities, each for one occasion."""

    frame_loss: float = 0.0
    """A frame on the bus is lost."""
    frame_duplicate: float = 0.0
    """A frame on the bus arrives twice."""
    frame_delay: float = 0.0
    """A frame, and all behind it, is held up."""
    sync_failure: float = 0.0
    """A sync of a file fails; what it should have kept is in memory only, and looks clean."""
    disk_full: float = 0.0
    """A write goes in half."""
    venue_call_fault: float = 0.0
    """A call to the venue does not simply go through."""
    event_loss: float = 0.0
    """An event of the order stream never comes, and nobody says so."""
    event_duplicate: float = 0.0
    stream_disconnect: float = 0.0
    """The order stream ends, asked each time the market moves."""
    venue_outage: float = 0.0
    """The venue cannot be reached for a while, asked each time the market moves."""
    feed_disconnect: float = 0.0
    """The market's feed ends, asked each time the market moves."""
    clock_jump: float = 0.0
    """Somebody sets the wall clock, asked each time the market moves."""
    operator_command: float = 0.0
    """An operator asks for something, asked each time the market moves."""
    process_stop: float = 0.0
    """A process is asked to end in good order, asked each time the market moves."""


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
    """All the luck of one run, good and bad, out of one seed."""

    def __init__(self, random: Random, rates: FaultRates) -> None:
        self.random, self.rates = random, rates

    def happens(self, probability: float) -> bool:
        """Throw the dice, also where they cannot matter: the same number of throws in every weather."""
        return self.random.random() < probability

    def network_delay_ns(self) -> int:
        """Give the time a frame takes from process to process."""
        return self.random.randint(20 * NS_PER_US, 400 * NS_PER_US)

    def sync_duration_ns(self) -> int:
        """Give the time a sync takes: mostly little, sometimes as long as a busy disk needs."""
        slow = self.happens(0.02)
        return self.random.randint(50 * NS_PER_US, 40 * NS_PER_MS if slow else NS_PER_MS)

    def duration_ns(self, ms_min: int, ms_max: int) -> int:
        """Give a span between these, in nanoseconds."""
        return self.random.randint(ms_min * NS_PER_MS, ms_max * NS_PER_MS)
