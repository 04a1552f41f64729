"""Rate limits of the venues; none of them reads a clock.

Alpaca: fixed window. Binance: request weights with a ban. OKX: sliding window. Deribit: token bucket.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from components.sandbox.numerics import SECOND_NS

WINDOW_NS = 60 * SECOND_NS
MINUTE_S = 60
VIOLATIONS_MAX = 10  # rejected requests in one minute before the ban
BAN_S = 120


@dataclass(slots=True)
class FixedWindowLimit:
    """Limits the number of requests per whole minute."""

    per_minute: int
    window: int = 0
    used: int = 0

    def try_acquire(self, now_ns: int) -> bool:
        """Count one request; return whether it is within the limit."""
        window = now_ns // WINDOW_NS
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        return self.used <= self.per_minute

    def headers(self) -> dict[str, str]:
        """Return the response headers with the remaining requests and the time of the next window."""
        reset_s = (self.window + 1) * WINDOW_NS // SECOND_NS
        return {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(max(0, self.per_minute - self.used)),
            "X-RateLimit-Reset": str(reset_s),
        }


class WeightCheck(NamedTuple):
    """The weight used this minute, and the status and retry time of a rejected request."""

    used: int
    status: int = 200
    retry_after_s: int = 0


class RequestWeights:
    """Sums the weights of the requests of one minute.

    A request above the limit is rejected with 429; after `VIOLATIONS_MAX` rejections in one minute the address is
    banned with 418. On loopback all clients share one address, hence one limit.
    """

    def __init__(self, weight_max: int) -> None:
        self.rejected_count = 0
        self._weight_max = weight_max
        self._minute = self._used = self._violations = 0
        self._banned_until_s = 0

    def spend(self, weight: int, now_ns: int) -> WeightCheck:
        """Count a request; reject it if it exceeds the limit."""
        now_s = now_ns // SECOND_NS
        if now_s // MINUTE_S != self._minute:
            self._minute, self._used, self._violations = now_s // MINUTE_S, 0, 0
        if now_s < self._banned_until_s:
            return self._reject(418, self._banned_until_s - now_s)
        if self._used + weight <= self._weight_max:
            self._used += weight
            return WeightCheck(self._used)
        self._violations += 1
        if self._violations > VIOLATIONS_MAX:
            self._banned_until_s = now_s + BAN_S
            return self._reject(418, BAN_S)
        return self._reject(429, MINUTE_S - now_s % MINUTE_S)

    def _reject(self, status: int, retry_after_s: int) -> WeightCheck:
        self.rejected_count += 1
        return WeightCheck(self._used, status, retry_after_s)


class SlidingWindowLimit:
    """Limits the number of events within a sliding window; rejected events do not count."""

    def __init__(self, count: int, span_s: int) -> None:
        self._span_ns = span_s * SECOND_NS
        self._taken_ns: deque[int] = deque(maxlen=count)

    def try_acquire(self, now_ns: int) -> bool:
        """Return whether one more event is allowed, and count it if so."""
        taken = self._taken_ns
        if len(taken) == taken.maxlen and now_ns - taken[0] < self._span_ns:
            return False
        taken.append(now_ns)
        return True


@dataclass(slots=True)
class TokenBucket:
    """A bucket that starts full, refills over time, and never exceeds its capacity."""

    capacity: int
    refill_per_s: int
    cost: int
    at_ns: int
    available: float = -1.0

    def __post_init__(self) -> None:
        self.available = float(self.capacity)

    def try_acquire(self, now_ns: int) -> bool:
        """Pay for one request; return whether the credits sufficed."""
        refilled = (now_ns - self.at_ns) * self.refill_per_s / SECOND_NS
        self.available, self.at_ns = min(float(self.capacity), self.available + refilled), now_ns
        if self.available < self.cost:
            return False
        self.available -= self.cost
        return True
