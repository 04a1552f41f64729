"""What keeps us from asking a venue too much: a pace of sends, a pause that it told us, a breaker."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Final

from components.market_data.venues.metrics import Transport, VenueMetrics
from components.runtime.clock import Clock
from components.runtime.retry import NS_PER_S, CircuitBreaker, CircuitState, TokenBucket

NS_PER_MS: Final = 1_000_000


BURST_SHARE: Final = 0.6
"""So much of what a second allows may go at once, the rest is spread: any second then holds less than is allowed."""


TOO_MANY_REQUESTS: Final = 429


BANNED: Final = 418


RATE_LIMITED_WAIT_MS: Final = 1_000
"""Where a venue that throttles does not say until when."""


BANNED_WAIT_MS: Final = 60_000


RETRY_AFTER_S_MAX: Final = 86_400


PROBE_WAIT_MS: Final = 50


class RateLimiter:
    """How often something may be done; whoever waits goes in order."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        """Start with the whole burst."""
        self._clock = clock
        self._bucket = TokenBucket.full(capacity=burst, per_second=per_second, now_ns=clock.monotonic_ns())
        self._turn = asyncio.Lock()

    async def acquire(self, count: int = 1) -> None:
        """Wait until it may be done; what weighs more than a whole burst waits for a whole one."""
        count = min(count, self._bucket.capacity)
        async with self._turn:
            while True:
                left = self._bucket.take(self._clock.monotonic_ns(), count)
                if left is not None:
                    break
                await asyncio.sleep(self.wait_ms(count) / 1_000)
            self._bucket = left

    def consume(self) -> None:
        """Count what could not wait."""
        self._bucket = self._bucket.take(self._clock.monotonic_ns()) or self._bucket

    def wait_ms(self, count: int = 1) -> float:
        """Say how long it would be for whoever came first."""
        return self._bucket.wait_ns(self._clock.monotonic_ns(), min(count, self._bucket.capacity)) / NS_PER_MS


def send_rate_limiter(clock: Clock, per_second: float) -> RateLimiter:
    """Pace the messages of one connection, with room for the pongs that go by themselves."""
    burst = max(1, round(per_second * BURST_SHARE))
    return RateLimiter(clock, per_second=per_second * (1 - BURST_SHARE), burst=burst)


class CircuitGuard:
    """Keeps away from a venue that told us to wait, or keeps failing."""

    def __init__(self, clock: Clock, breaker: CircuitBreaker, transport: Transport, metrics: VenueMetrics) -> None:
        """Start with a closed breaker."""
        self._clock, self._breaker, self._transport, self._metrics = clock, breaker, transport, metrics
        self._resume_at_ns = 0

    def pause(self, retry_after_ms: float) -> None:
        """Keep away for so long: the venue said so."""
        self._metrics.retry_afters.inc()
        self._resume_at_ns = max(self._resume_at_ns, self._clock.monotonic_ns() + int(retry_after_ms * NS_PER_MS))

    @property
    def paused_ms(self) -> float:
        """Say how long the venue's own pause still lasts."""
        return max(self._resume_at_ns - self._clock.monotonic_ns(), 0) / NS_PER_MS

    @property
    def open_ms(self) -> float:
        """Say how long the breaker stays open; a little where somebody else's probe is out."""
        now_ns = self._clock.monotonic_ns()
        if self._breaker.state(now_ns) is CircuitState.OPEN:
            return (self._breaker.opened_at_ns + self._breaker.cooldown_ns - now_ns) / NS_PER_MS
        return 0 if self._breaker.try_acquire(now_ns) is not None else PROBE_WAIT_MS

    def try_acquire(self) -> bool:
        """Take leave to try once; succeeded, failed or neither() must follow."""
        asked = self._breaker.try_acquire(self._clock.monotonic_ns())
        self._set_breaker(asked or self._breaker)
        return asked is not None

    async def wait(self) -> None:
        """Wait while the venue is left alone; ask() may be refused all the same, for another may have been quicker."""
        while True:
            wait_ms = max(self.paused_ms, self.open_ms)
            if wait_ms <= 0:
                return
            await asyncio.sleep(wait_ms / 1_000)

    def succeeded(self) -> None:
        """Hear that the venue is well."""
        self._set_breaker(self._breaker.succeeded())

    def failed(self) -> None:
        """Hear that it is not."""
        self._set_breaker(self._breaker.failed(self._clock.monotonic_ns()))

    def _set_breaker(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._metrics.breaker_state(self._transport, breaker.state(self._clock.monotonic_ns()))


class ConnectGate:
    """Lets connections of a venue through: at its pace, not while it wants to be left alone, not while it fails."""

    def __init__(self, rate_limiter: RateLimiter, circuit: CircuitGuard) -> None:
        """Take both, shared by all lines of the venue."""
        self._rate_limiter, self._circuit = rate_limiter, circuit

    async def acquire(self) -> None:
        """Wait for leave to connect once; opened() or failed() must follow."""
        while True:
            await self._circuit.wait()
            await self._rate_limiter.acquire()
            # Nothing is waited for behind this: whoever is cancelled has not taken the leave.
            if self._circuit.try_acquire():
                return

    def succeeded(self) -> None:
        """Hear that a connection does what it should."""
        self._circuit.succeeded()

    def failed(self, retry_after_ms: float) -> None:
        """Hear that one did not; the venue may want to be left alone."""
        self._circuit.failed()
        if retry_after_ms > 0:
            self._circuit.pause(retry_after_ms)


def parse_retry_after_ms(status: int, retry_after: str, now_ns: int) -> float | None:
    """Say how long a venue wants to be left alone by this answer; None where it does not say so."""
    if status not in {TOO_MANY_REQUESTS, BANNED}:
        return None
    told_s = _parse_retry_after_s(retry_after, now_ns)
    if told_s is not None:
        return min(max(told_s, 0), RETRY_AFTER_S_MAX) * 1_000
    return BANNED_WAIT_MS if status == BANNED else RATE_LIMITED_WAIT_MS


def _parse_retry_after_s(text: str, now_ns: int) -> float | None:
    if text.isascii() and text.isdecimal():
        return int(text[:12])
    try:
        return parsedate_to_datetime(text).timestamp() - now_ns / NS_PER_S
    except (ValueError, OverflowError):
        return None
