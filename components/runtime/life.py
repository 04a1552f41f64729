"""What every loop does with a sans-I/O service: start, hear, let time pass, stop, drain."""

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from components.contracts.topics import HEALTH
from components.runtime.bus import Bus
from components.runtime.carrier import Carrier, Logger, Snapshot, Syncing
from components.runtime.clock import Clock
from components.runtime.heartbeat import Heartbeat
from components.runtime.service import Inbound, Service
from components.runtime.venue import Caller, Feed

NS_PER_MS: Final = 1_000_000
HURRIED_TICK_MS: Final = 5
"""While something is joined or replayed, here or by a peer, the loop looks to the side this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Everything a driver needs; `pulse` hears what is unmet about every tick, `should_stop` is asked as often."""

    component: str
    version: str
    service: Service
    bus: Bus
    clock: Clock
    log: Logger
    committer: Syncing | None = None
    """Opened and closed, like the bus, by whoever made the seat."""
    venue: Caller | None = None
    feed: Feed | None = None
    tick_ms: int
    pulse: Callable[[tuple[str, ...]], None]
    should_stop: Callable[[], bool]
    drain_ms_max: int


class Life:
    """One run of a service, from its start until it is drained."""

    def __init__(self, seat: Seat, call: Callable[[Any], None] | None = None) -> None:
        self._seat, self._service, self._bus, self._clock = seat, seat.service, seat.bus, seat.clock
        self.carrier = Carrier(seat.bus, seat.clock, seat.log, seat.committer, call)
        self._heartbeat = Heartbeat(seat.bus, seat.clock, seat.component, seat.version)
        self._due_at_ns = self._tick_at_ns = 0
        self._pause_ms = HURRIED_TICK_MS
        self._drain_until_ns: int | None = None

    def start(self) -> None:
        """Begin; what is alive by now stays, so the collector need not look at it again."""
        self.carrier.carry(self._service.on_start(self._clock.now_ns()))
        gc.collect()
        gc.freeze()

    def hear(self, inbounds: Iterable[Inbound]) -> None:
        """Give the service one thing after the other."""
        on_message, now_ns, carry = self._service.on_message, self._clock.now_ns, self.carrier.carry
        for inbound in inbounds:
            if effects := on_message(inbound, now_ns()):
                carry(effects)

    def pass_time(self) -> int:
        """Tick, tend and beat where due; give the milliseconds that may be waited for a message."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_at_ns:
            self._pass(now_ns)
        return self._pause_ms

    def is_over(self) -> bool:
        """Say whether the loop ends: asked to stop, and drained or out of time."""
        if self._drain_until_ns is None:
            if not self._seat.should_stop():
                return False
            self._drain_until_ns = self._clock.monotonic_ns() + self._seat.drain_ms_max * NS_PER_MS
            self.carrier.carry(self._service.on_stop(self._clock.now_ns()))
        if self._service.is_drained() and self.carrier.is_idle:
            return True
        if self._clock.monotonic_ns() < self._drain_until_ns:
            return False
        self._seat.log.warning("drain_cut_short", drain_ms_max=self._seat.drain_ms_max)
        return True

    def _pass(self, now_ns: int) -> None:
        self._tend()
        if now_ns >= self._tick_at_ns:
            self._tick_at_ns = now_ns + self._seat.tick_ms * NS_PER_MS
            self._tick(now_ns)
        self._pause_ms = HURRIED_TICK_MS if self._bus.is_hurried else self._seat.tick_ms
        self._due_at_ns = now_ns + self._pause_ms * NS_PER_MS

    def _tend(self) -> None:
        self.hear(self._bus.tend())
        for wanted in self._bus.snapshots_wanted():
            is_ours = wanted.stream.name == HEALTH.name
            messages = (self._heartbeat.last,) if is_ours else self._service.snapshot(wanted.stream)
            self.carrier.carry((Snapshot(wanted, tuple(messages)),))

    def _tick(self, now_ns: int) -> None:
        self.carrier.carry(self._service.on_tick(self._clock.now_ns()))
        unmet = ("stopping",) if self._drain_until_ns is not None else self._service.unmet(self._clock.now_ns())
        self._heartbeat.beat(unmet, now_ns)
        self._seat.pulse(unmet)
