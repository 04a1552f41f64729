"""Health of the venue connection, and the budget of requests that keeps within the venue's rate limit."""

from dataclasses import dataclass, replace
from typing import Final

from components.contracts.orders import VenueConnectivity
from components.execution.config import RequestBudgetConfig, VenueHealthLimits
from components.runtime.clock import NS_PER_MS
from components.runtime.retry import TokenBucket

SECONDS_PER_MINUTE: Final = 60
BURST_SHARE: Final = 4
"""A quarter of a minute's requests may be sent at once."""
BURST_MIN: Final = 10
"""At least this many requests may be sent at once: as many as one snapshot needs."""
PAUSE_NS_MAX: Final = 60_000_000_000
"""Upper bound of a pause; every venue restores its quota within this time."""


class RequestBudget:
    """The local share of the venue's rate limit: orders, reads, and a reserve for cancels and for unresolved orders."""

    def __init__(self, limits: RequestBudgetConfig) -> None:
        """Create it with full buckets."""
        self._orders = _bucket(limits.orders_per_minute)
        self._reads = _bucket(limits.reads_per_minute)
        self._reserve = _bucket(limits.reserve_per_minute)
        self._paused_until_ns = self._last_ns = self._shift_ns = 0

    def pause_until(self, at_ns: int, now_ns: int) -> None:
        """Pause all requests except cancels and fences until the time that the venue named, at most PAUSE_NS_MAX."""
        closed_for_ns = min(max(at_ns - now_ns, 0), PAUSE_NS_MAX)
        self._paused_until_ns = max(self._paused_until_ns, self._monotonic(now_ns) + closed_for_ns)

    def try_acquire_submit(self, now_ns: int) -> bool:
        """Consume one request of the order budget; return whether there was one."""
        left = self._orders.take(self._monotonic(now_ns))
        if left is None or self._is_paused():
            return False
        self._orders = left
        return True

    def try_acquire_reads(self, now_ns: int, count: int) -> bool:
        """Consume requests of the read budget; return whether there were enough."""
        left = self._reads.take(self._monotonic(now_ns), count)
        if left is None or self._is_paused():
            return False
        self._reads = left
        return True

    def try_acquire_query(self, now_ns: int) -> bool:
        """Consume one request for a query about one order; return whether there was one.

        It comes from the read budget, or else from the reserve.
        """
        if self.try_acquire_reads(now_ns, 1):
            return True
        left = self._reserve.take(self._monotonic(now_ns))
        if left is None or self._is_paused():
            return False
        self._reserve = left
        return True

    def charge_cancel(self, now_ns: int) -> None:
        """Consume one request for a cancel or a fence, which is always sent.

        It comes from the reserve, or else from the order budget, so that later orders wait for it.
        """
        left = self._reserve.take(self._monotonic(now_ns))
        if left is not None:
            self._reserve = left
            return
        refilled = self._orders.at(self._monotonic(now_ns))
        self._orders = replace(refilled, tokens=refilled.tokens - 1)

    def _is_paused(self) -> bool:
        return self._last_ns < self._paused_until_ns

    def _monotonic(self, now_ns: int) -> int:
        """Return a time that never goes back when the wall clock is set back: a quota is restored by elapsed time."""
        self._shift_ns = max(self._shift_ns, self._last_ns - now_ns)
        self._last_ns = now_ns + self._shift_ns
        return self._last_ns


def _bucket(per_minute: int) -> TokenBucket:
    # The bucket starts at time zero, so the first request fills it.
    capacity = max(per_minute // BURST_SHARE, BURST_MIN)
    return TokenBucket.full(capacity=capacity, per_second=per_minute / SECONDS_PER_MINUTE, now_ns=0)


@dataclass(slots=True)
class VenueHealth:
    """The latest results of requests to the venue; nothing is assumed before the first."""

    has_responded: bool = False
    failures: int = 0
    slow_responses: int = 0
    is_throttled: bool = False
    is_stream_up: bool = False
    problem: str = "not reached yet"
    auth_error: str = ""

    def record_response(self, took_ns: int, limits: VenueHealthLimits) -> None:
        """Record that the venue responded."""
        self.has_responded, self.failures, self.is_throttled, self.auth_error = True, 0, False, ""
        self.slow_responses = self.slow_responses + 1 if took_ns > limits.slow_response_ms * NS_PER_MS else 0

    def record_failure(self, reason: str) -> None:
        """Record that no usable response came."""
        self.failures += 1
        self.problem = reason

    def record_throttled(self, text: str) -> None:
        """Record that the venue throttled a request."""
        self.is_throttled, self.problem = True, text

    def record_unauthorized(self, text: str) -> None:
        """Record that the venue does not accept our keys."""
        self.auth_error = text or "unauthorized"


def connectivity_of(health: VenueHealth, limits: VenueHealthLimits) -> tuple[VenueConnectivity, str]:
    """Return the venue's connectivity and its reason; unknown counts as lost."""
    if health.auth_error:
        return VenueConnectivity.LOST, f"keys rejected: {health.auth_error}"
    if not health.has_responded or health.failures >= limits.lost_after_failures:
        return VenueConnectivity.LOST, f"{health.failures} failures in a row: {health.problem}"
    if not health.is_stream_up:
        return VenueConnectivity.DEGRADED, "the order stream is down"
    if health.is_throttled or health.failures >= limits.degraded_after_failures:
        return VenueConnectivity.DEGRADED, health.problem
    if health.slow_responses >= limits.degraded_after_slow_responses:
        return (
            VenueConnectivity.DEGRADED,
            f"{health.slow_responses} responses in a row took more than {limits.slow_response_ms} ms",
        )
    return VenueConnectivity.HEALTHY, "answers"
