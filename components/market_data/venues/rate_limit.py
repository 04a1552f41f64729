"""Limits on what is sent to a venue: token-bucket rate limits, Retry-After delays, and a circuit breaker."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Final

from components.market_data.venues.metrics import Transport, VenueMetrics
from components.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from components.runtime.retry import CircuitBreaker, CircuitState, TokenBucket

BURST_SHARE: Final = 0.6
"""This share of one second's allowance may be sent at once and the rest is spread.

No second then exceeds the allowance.
"""
TOO_MANY_REQUESTS: Final = 429
BANNED: Final = 418
"""Status of Binance for an address that ignored 429."""
RATE_LIMITED_WAIT_MS: Final = 1_000
"""Used if a rate-limited reply carries no Retry-After."""
BANNED_WAIT_MS: Final = 60_000
"""Used if a ban carries no Retry-After."""
RETRY_AFTER_S_MAX: Final = 86_400
PROBE_WAIT_MS: Final = 50
"""Delay before the breaker is checked again while another caller probes the venue."""


class RateLimiter:
    """Token bucket; waiting callers are served in order."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        """Start with a full bucket."""
        self._clock = clock
        self._bucket = TokenBucket.full(capacity=burst, per_second=per_second, now_ns=clock.monotonic_ns())
        self._turn = asyncio.Lock()

    async def acquire(self, count: int = 1) -> None:
        """Wait until `count` tokens are available; more than the capacity waits for a full bucket."""
        count = min(count, self._bucket.capacity)
        async with self._turn:
            while True:
                left = self._bucket.take(self._clock.monotonic_ns(), count)
                if left is not None:
                    break
                await asyncio.sleep(self.wait_ms(count) / 1_000)
            self._bucket = left

    def consume(self) -> None:
        """Consume a token for a message that cannot wait."""
        self._bucket = self._bucket.take(self._clock.monotonic_ns()) or self._bucket

    def wait_ms(self, count: int = 1) -> float:
        """Return how long the next caller would wait."""
        return self._bucket.wait_ns(self._clock.monotonic_ns(), min(count, self._bucket.capacity)) / NS_PER_MS


def send_rate_limiter(clock: Clock, per_second: float) -> RateLimiter:
    """Return a limiter for the messages of one connection that leaves room for automatic pongs."""
    burst = max(1, round(per_second * BURST_SHARE))
    return RateLimiter(clock, per_second=per_second * (1 - BURST_SHARE), burst=burst)


class CircuitGuard:
    """Blocks attempts while a venue's Retry-After delay runs or its circuit breaker is open."""

    def __init__(self, clock: Clock, breaker: CircuitBreaker, transport: Transport, metrics: VenueMetrics) -> None:
        """Start with a closed breaker."""
        self._clock, self._breaker, self._transport, self._metrics = clock, breaker, transport, metrics
        self._resume_at_ns = 0

    def pause(self, retry_after_ms: float) -> None:
        """Block attempts for the delay that the venue requested."""
        self._metrics.retry_afters.inc()
        self._resume_at_ns = max(self._resume_at_ns, self._clock.monotonic_ns() + int(retry_after_ms * NS_PER_MS))

    @property
    def paused_ms(self) -> float:
        """Return the rest of the venue's own delay."""
        return max(self._resume_at_ns - self._clock.monotonic_ns(), 0) / NS_PER_MS

    @property
    def open_ms(self) -> float:
        """Return how long the breaker stays open; a short time while another caller's probe is pending."""
        now_ns = self._clock.monotonic_ns()
        if self._breaker.state(now_ns) is CircuitState.OPEN:
            return (self._breaker.opened_at_ns + self._breaker.cooldown_ns - now_ns) / NS_PER_MS
        return 0 if self._breaker.try_acquire(now_ns) is not None else PROBE_WAIT_MS

    def try_acquire(self) -> bool:
        """Return whether one attempt may start; succeeded() or failed() must follow."""
        acquired = self._breaker.try_acquire(self._clock.monotonic_ns())
        self._set_breaker(acquired or self._breaker)
        return acquired is not None

    async def wait(self) -> None:
        """Wait while attempts are blocked.

        try_acquire() may still return False, because another caller may have been first.
        """
        while True:
            wait_ms = max(self.paused_ms, self.open_ms)
            if wait_ms <= 0:
                return
            await asyncio.sleep(wait_ms / 1_000)

    def succeeded(self) -> None:
        """Record a success."""
        self._set_breaker(self._breaker.succeeded())

    def failed(self) -> None:
        """Record a failure."""
        self._set_breaker(self._breaker.failed(self._clock.monotonic_ns()))

    def _set_breaker(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._metrics.breaker_state(self._transport, breaker.state(self._clock.monotonic_ns()))


class ConnectGate:
    """Limits connection attempts to a venue: by rate, by Retry-After, and by the circuit breaker."""

    def __init__(self, rate_limiter: RateLimiter, circuit: CircuitGuard) -> None:
        """Combine both limits; all connections of the venue share them."""
        self._rate_limiter, self._circuit = rate_limiter, circuit

    async def acquire(self) -> None:
        """Wait until one connection attempt may start; succeeded() or failed() must follow."""
        while True:
            await self._circuit.wait()
            await self._rate_limiter.acquire()
            # There is no await after this, so a cancelled caller has not acquired the attempt.
            if self._circuit.try_acquire():
                return

    def succeeded(self) -> None:
        """Record that a connection is subscribed."""
        self._circuit.succeeded()

    def failed(self, retry_after_ms: float) -> None:
        """Record a failed connection and the venue's Retry-After delay, if any."""
        self._circuit.failed()
        if retry_after_ms > 0:
            self._circuit.pause(retry_after_ms)


def parse_retry_after_ms(status: int, retry_after: str, now_ns: int) -> float | None:
    """Return the delay that a response requests; None if it does not limit the rate."""
    if status not in {TOO_MANY_REQUESTS, BANNED}:
        return None
    delay_s = _parse_retry_after_s(retry_after, now_ns)
    if delay_s is not None:
        return min(max(delay_s, 0), RETRY_AFTER_S_MAX) * 1_000
    return BANNED_WAIT_MS if status == BANNED else RATE_LIMITED_WAIT_MS


def _parse_retry_after_s(text: str, now_ns: int) -> float | None:
    if text.isascii() and text.isdecimal():
        return int(text[:12])
    try:
        return parsedate_to_datetime(text).timestamp() - now_ns / NS_PER_S
    except (ValueError, OverflowError):
        return None
