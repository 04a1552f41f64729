"""A clock that stands still until a test moves it."""

NS_PER_MS = 1_000_000


class ManualClock:
    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 1_000_000_000

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def advance_ms(self, milliseconds: float) -> None:
        """Advance both clocks."""
        self._now_ns += int(milliseconds * NS_PER_MS)
        self._monotonic_ns += int(milliseconds * NS_PER_MS)

    def set_wall_clock_ahead_ms(self, milliseconds: float) -> None:
        """Set the wall clock, as an operator or a time server does; no time passes."""
        self._now_ns += int(milliseconds * NS_PER_MS)
