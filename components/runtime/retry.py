"""Pure arithmetic of retries: backoff with jitter, token bucket, circuit breaker."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from components.contracts.errors import InvariantError

NS_PER_S: Final = 1_000_000_000
DOUBLINGS_MAX: Final = 32
"""Beyond this a delay has reached any cap; it bounds the power of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential backoff: how long to wait before each retry."""

    first_ms_max: int
    """The bound of the first delay; it doubles with each failure."""
    delay_ms_max: int
    """The bound of every delay."""

    def __post_init__(self) -> None:
        if not 0 < self.first_ms_max <= self.delay_ms_max:
            raise InvariantError(f"backoff from {self.first_ms_max} ms to {self.delay_ms_max} ms")

    def delay_ms(self, failures: int, jitter: float) -> float:
        """Return the delay before the next try: uniform from 0 to the bound (full jitter), with `jitter` in [0, 1)."""
        doublings = min(max(failures - 1, 0), DOUBLINGS_MAX)
        return jitter * min(self.delay_ms_max, self.first_ms_max << doublings)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """A token bucket: `tokens` as of `at_ns`, at most `capacity`."""

    capacity: int
    per_second: float
    tokens: float
    at_ns: int

    @classmethod
    def full(cls, *, capacity: int, per_second: float, now_ns: int) -> "TokenBucket":
        """Return a full bucket."""
        return cls(capacity=capacity, per_second=per_second, tokens=float(capacity), at_ns=now_ns)

    def at(self, now_ns: int) -> "TokenBucket":
        """Return the bucket refilled for the time that has passed; a clock that went back refills nothing."""
        return self._with(self._refilled(now_ns), now_ns)

    def take(self, now_ns: int, count: int = 1) -> "TokenBucket | None":
        """Return the bucket after taking tokens, or None if there are not enough."""
        tokens = self._refilled(now_ns)
        return self._with(tokens - count, now_ns) if tokens >= count else None

    def wait_ns(self, now_ns: int, count: int = 1) -> int:
        """Return the time until there are enough tokens."""
        missing = count - self.at(now_ns).tokens
        return 0 if missing <= 0 else int(missing * NS_PER_S / self.per_second) + 1

    def _refilled(self, now_ns: int) -> float:
        passed_ns = max(now_ns - self.at_ns, 0)
        return min(self.capacity, self.tokens + passed_ns * self.per_second / NS_PER_S)

    def _with(self, tokens: float, now_ns: int) -> "TokenBucket":
        at_ns = max(now_ns, self.at_ns)
        return TokenBucket(capacity=self.capacity, per_second=self.per_second, tokens=tokens, at_ns=at_ns)


class CircuitState(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """A circuit breaker: it opens after consecutive failures, and admits one probe after a pause."""

    failures_max: int
    cooldown_ns: int
    failures: int = 0
    opened_at_ns: int = 0
    probe_in_flight: bool = False

    def state(self, now_ns: int) -> CircuitState:
        """Return the state at this time."""
        if self.failures < self.failures_max:
            return CircuitState.CLOSED
        is_over = now_ns - self.opened_at_ns >= self.cooldown_ns
        return CircuitState.PROBING if is_over else CircuitState.OPEN

    def try_acquire(self, now_ns: int) -> "CircuitBreaker | None":
        """Return the breaker with one more request in flight, or None if no request may be sent."""
        match self.state(now_ns):
            case CircuitState.CLOSED:
                return self
            case CircuitState.OPEN:
                return None
            case CircuitState.PROBING:
                return None if self.probe_in_flight else replace(self, probe_in_flight=True)

    def succeeded(self) -> "CircuitBreaker":
        """Return the breaker after a success: closed."""
        return replace(self, failures=0, probe_in_flight=False)

    def failed(self, now_ns: int) -> "CircuitBreaker":
        """Return the breaker after a failure. The last allowed failure opens it; a failed probe keeps it open."""
        failures = min(self.failures + 1, self.failures_max)
        opened_at_ns = now_ns if failures == self.failures_max else self.opened_at_ns
        return replace(self, failures=failures, opened_at_ns=opened_at_ns, probe_in_flight=False)
