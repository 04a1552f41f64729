"""The venue's wall clock, which an operator can set forward: minutes, sessions and expiry come when they are wanted."""

from collections.abc import Callable

from components.sandbox.core.session import SECOND_NS

MILLISECOND_NS = SECOND_NS // 1000


class AdjustableClock:
    """The real time, plus what it was set forward; it never goes back."""

    def __init__(self, real_ns: Callable[[], int]) -> None:
        self._real_ns = real_ns
        self._ahead_ns = 0

    def now_ns(self) -> int:
        """Return the venue's time."""
        return self._real_ns() + self._ahead_ns

    def advance(self, ahead_ms: int) -> None:
        """Set the venue's time forward."""
        self._ahead_ns += ahead_ms * MILLISECOND_NS
