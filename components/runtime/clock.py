"""The two clocks: the wall's for stamps, a monotonic one for spans."""

import time
from typing import Final, Protocol


class Clock(Protocol):
    """What a part of the system may know of time."""

    def now_ns(self) -> int:
        """Read the wall clock, in nanoseconds since the epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Read a clock that never jumps; only differences of it mean anything."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Read the wall clock, in nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Read a clock that never jumps; only differences of it mean anything."""
        return time.monotonic_ns()


NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
