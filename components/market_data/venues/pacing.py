"""What keeps us from asking a venue too much: a pace of sends, a pause that it told us, a breaker."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Final

from components.market_data.venues.counts import Door, VenueCounts
from components.runtime.clock import Clock
from components.runtime.retry import NS_PER_S, Breaker, BreakerState, TokenBucket

NS_PER_MS: Final = 1_000_000
BURST_SHARE: Final = 0.6
"""So much of what a second allows may go at once, the rest is spread: any second then holds less than is allowed."""
TOO_MANY_REQUESTS: Final = 429
BANNED: Final = 418
THROTTLED_MS: Final = 1_000
"""Where a venue that throttles does not say until when."""
BANNED_MS_MIN: Final = 60_000
TOLD_S_MAX: Final = 86_400
LOOK_AGAIN_MS: Final = 50


class Pace:
    """How often something may be done; whoever waits goes in order."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        """Start with the whole burst."""
        self._clock = clock
        self._bucket = TokenBucket.full(capacity=burst, per_second=per_second, now_ns=clock.monotonic_ns())
        self._turn = asyncio.Lock()

    async def wait(self, count: int = 1) -> None:
        """Wait until it may be done; what weighs more than a whole burst waits for a whole one."""
        count = min(count, self._bucket.capacity)
        async with self._turn:
            while True:
                left = self._bucket.take(self._clock.monotonic_ns(), count)
                if left is not None:
                    break
                await asyncio.sleep(self.wait_ms(count) / 1_000)
            self._bucket = left

    def spend(self) -> None:
        """Count what could not wait."""
        self._bucket = self._bucket.take(self._clock.monotonic_ns()) or self._bucket

    def wait_ms(self, count: int = 1) -> float:
        """Say how long it would be for whoever came first."""
        return self._bucket.wait_ns(self._clock.monotonic_ns(), min(count, self._bucket.capacity)) / NS_PER_MS


def pace_of_sends(clock: Clock, per_second: float) -> Pace:
    """Pace the messages of one connection, with room for the pongs that go by themselves."""
    burst = max(1, round(per_second * BURST_SHARE))
    return Pace(clock, per_second=per_second * (1 - BURST_SHARE), burst=burst)


class Restraint:
    """Keeps away from a venue that told us to wait, or keeps failing."""

    def __init__(self, clock: Clock, breaker: Breaker, door: Door, counts: VenueCounts) -> None:
        """Start with a closed breaker."""
        self._clock, self._breaker, self._door, self._counts = clock, breaker, door, counts
        self._free_at_ns = 0

    def hold(self, wait_ms: float) -> None:
        """Keep away for so long: the venue said so."""
        self._counts.waits.inc()
        self._free_at_ns = max(self._free_at_ns, self._clock.monotonic_ns() + int(wait_ms * NS_PER_MS))

    @property
    def held_ms(self) -> float:
        """Say how long the venue's own pause still lasts."""
        return max(self._free_at_ns - self._clock.monotonic_ns(), 0) / NS_PER_MS

    @property
    def broken_ms(self) -> float:
        """Say how long the breaker stays open; a little where somebody else's probe is out."""
        now_ns = self._clock.monotonic_ns()
        if self._breaker.state(now_ns) is BreakerState.OPEN:
            return (self._breaker.opened_at_ns + self._breaker.pause_ns - now_ns) / NS_PER_MS
        return 0 if self._breaker.ask(now_ns) is not None else LOOK_AGAIN_MS

    def ask(self) -> bool:
        """Take leave to try once; succeeded, failed or neither() must follow."""
        asked = self._breaker.ask(self._clock.monotonic_ns())
        self._set(asked or self._breaker)
        return asked is not None

    async def wait(self) -> None:
        """Wait while the venue is left alone; ask() may be refused all the same, for another may have been quicker."""
        while True:
            wait_ms = max(self.held_ms, self.broken_ms)
            if wait_ms <= 0:
                return
            await asyncio.sleep(wait_ms / 1_000)

    def succeeded(self) -> None:
        """Hear that the venue is well."""
        self._set(self._breaker.succeeded())

    def failed(self) -> None:
        """Hear that it is not."""
        self._set(self._breaker.failed(self._clock.monotonic_ns()))

    def _set(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._counts.breaker(self._door, breaker.state(self._clock.monotonic_ns()))


class Gate:
    """Lets connections of a venue through: at its pace, not while it wants to be left alone, not while it fails."""

    def __init__(self, pace: Pace, restraint: Restraint) -> None:
        """Take both, shared by all lines of the venue."""
        self._pace, self._restraint = pace, restraint

    async def wait(self) -> None:
        """Wait for leave to connect once; opened() or failed() must follow."""
        while True:
            await self._restraint.wait()
            await self._pace.wait()
            # Nothing is waited for behind this: whoever is cancelled has not taken the leave.
            if self._restraint.ask():
                return

    def opened(self) -> None:
        """Hear that a connection does what it should."""
        self._restraint.succeeded()

    def failed(self, wait_ms: float) -> None:
        """Hear that one did not; the venue may want to be left alone."""
        self._restraint.failed()
        if wait_ms > 0:
            self._restraint.hold(wait_ms)


def told_ms(status: int, retry_after: str, now_ns: int) -> float | None:
    """Say how long a venue wants to be left alone by this answer; None where it does not say so."""
    if status not in {TOO_MANY_REQUESTS, BANNED}:
        return None
    told_s = _seconds(retry_after, now_ns)
    if told_s is not None:
        return min(max(told_s, 0), TOLD_S_MAX) * 1_000
    return BANNED_MS_MIN if status == BANNED else THROTTLED_MS


def _seconds(text: str, now_ns: int) -> float | None:
    if text.isascii() and text.isdecimal():
        return int(text[:12])
    try:
        return parsedate_to_datetime(text).timestamp() - now_ns / NS_PER_S
    except (ValueError, OverflowError):
        return None
