"""The wall clock and the monotonic clock, as one protocol that tests and the simulation replace."""

import time
from typing import Final, Protocol

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000


class Clock(Protocol):
    """The two clocks of a process."""

    def now_ns(self) -> int:
        """Return the wall clock time in nanoseconds since the epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Return the time of a clock that never jumps; only differences are meaningful."""
        ...


class SystemClock:
    """The clocks of the operating system."""

    def now_ns(self) -> int:
        """Return the wall clock time in nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return the time of a clock that never jumps; only differences are meaningful."""
        return time.monotonic_ns()
