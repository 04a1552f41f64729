"""The request limit: so many a minute for one key, counted in whole minutes.

The request weights of a Binance venue: counted by the minute, refused with 429, and with 418 who does not listen.

How often something may be done: so many times within a span that slides along.

The credits a Deribit connection spends: each request costs, time refills.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from components.sandbox.alpaca.core.session import SECOND_NS

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


MINUTE_S = 60


BINANCE_SECOND_NS = 1_000_000_000


VIOLATIONS_MAX = 10  # refused requests in a row before the ban


BAN_S = 120


class WeightCheck(NamedTuple):
    """What is used up this minute, and whether the request is refused and for how long."""

    used: int
    status: int = 200
    retry_after_s: int = 0


class RequestWeights:
    """What one minute's requests have weighed; on loopback everybody is one address."""

    def __init__(self, weight_max: int) -> None:
        self.refused_count = 0
        self._weight_max = weight_max
        self._minute = self._used = self._violations = 0
        self._banned_until_s = 0

    def spend(self, weight: int, now_ns: int) -> WeightCheck:
        """Count a request, and refuse it if it is one too many."""
        now_s = now_ns // BINANCE_SECOND_NS
        if now_s // MINUTE_S != self._minute:
            self._minute, self._used, self._violations = now_s // MINUTE_S, 0, 0
        if now_s < self._banned_until_s:
            return self._refuse(418, self._banned_until_s - now_s)
        if self._used + weight <= self._weight_max:
            self._used += weight
            return WeightCheck(self._used)
        self._violations += 1
        if self._violations > VIOLATIONS_MAX:
            self._banned_until_s = now_s + BAN_S
            return self._refuse(418, BAN_S)
        return self._refuse(429, MINUTE_S - now_s % MINUTE_S)

    def _refuse(self, status: int, retry_after_s: int) -> WeightCheck:
        self.refused_count += 1
        return WeightCheck(self._used, status, retry_after_s)


OKX_SECOND_NS = 1_000_000_000


class SlidingWindowLimit:
    """Remembers the last times and refuses the one too many; what is refused does not count."""

    def __init__(self, count: int, span_s: int) -> None:
        self._span_ns = span_s * OKX_SECOND_NS
        self._taken_ns: deque[int] = deque(maxlen=count)

    def take(self, now_ns: int) -> bool:
        """Do it once more, if that is allowed."""
        taken = self._taken_ns
        if len(taken) == taken.maxlen and now_ns - taken[0] < self._span_ns:
            return False
        taken.append(now_ns)
        return True


DERIBIT_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class TokenBucket:
    """A bucket that was full at first and never holds more than it did then."""

    capacity: int
    refill_per_s: int
    cost: int
    at_ns: int
    available: float = -1.0

    def __post_init__(self) -> None:
        self.available = float(self.capacity)

    def spend(self, now_ns: int) -> bool:
        """Pay for one request; false where the credits do not suffice."""
        refilled = (now_ns - self.at_ns) * self.refill_per_s / DERIBIT_SECOND_NS
        self.available, self.at_ns = min(float(self.capacity), self.available + refilled), now_ns
        if self.available < self.cost:
            return False
        self.available -= self.cost
        return True
