"""The request limit: so many a minute for one key, counted in whole minutes."""

from dataclasses import dataclass

from components.sandbox.core.session import SECOND_NS

WINDOW_NS = 60 * SECOND_NS


@dataclass(slots=True)
class FixedWindowLimit:
    """Counts the requests of the present minute."""

    per_minute: int
    window: int = 0
    used: int = 0

    def try_acquire(self, now_ns: int) -> bool:
        """Count one request; false when the minute is used up."""
        window = now_ns // WINDOW_NS
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        return self.used <= self.per_minute

    def headers(self) -> dict[str, str]:
        """Say what is left, and when the count begins anew."""
        reset_s = (self.window + 1) * WINDOW_NS // SECOND_NS
        return {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(max(0, self.per_minute - self.used)),
            "X-RateLimit-Reset": str(reset_s),
        }
