"""What every loop does with a sans-I/O service: start, hear, let time pass, stop, drain."""

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from components.contracts.topics import HEALTH
from components.runtime.bus import Bus
from components.runtime.carrier import EffectExecutor, Logger, PendingSnapshot, RecordCommitter
from components.runtime.clock import Clock
from components.runtime.heartbeat import HealthPublisher
from components.runtime.service import Inbound, Service
from components.runtime.venue import VenueClient, VenueEventSource

NS_PER_MS: Final = 1_000_000
RECOVERY_POLL_MS: Final = 5
"""While something is joined or replayed, here or by a peer, the loop looks to the side this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopContext:
    """Everything a driver needs; `pulse` hears what is unmet about every tick, `should_stop` is asked as often."""

    component: str
    version: str
    service: Service
    bus: Bus
    clock: Clock
    log: Logger
    committer: RecordCommitter | None = None
    """Opened and closed, like the bus, by whoever made the seat."""
    venue: VenueClient | None = None
    feed: VenueEventSource | None = None
    tick_ms: int
    report_health: Callable[[tuple[str, ...]], None]
    should_stop: Callable[[], bool]
    drain_ms_max: int


class ServiceLoop:
    """One run of a service, from its start until it is drained."""

    def __init__(self, context: LoopContext, call: Callable[[Any], None] | None = None) -> None:
        self._context, self._service, self._bus, self._clock = context, context.service, context.bus, context.clock
        self.executor = EffectExecutor(context.bus, context.clock, context.log, context.committer, call)
        self._health_publisher = HealthPublisher(context.bus, context.clock, context.component, context.version)
        self._due_at_ns = self._tick_at_ns = 0
        self._pause_ms = RECOVERY_POLL_MS
        self._drain_until_ns: int | None = None

    def start(self) -> None:
        """Begin; what is alive by now stays, so the collector need not look at it again."""
        self.executor.execute(self._service.on_start(self._clock.now_ns()))
        gc.collect()
        gc.freeze()

    def dispatch(self, inbounds: Iterable[Inbound]) -> None:
        """Give the service one thing after the other."""
        on_message, now_ns, carry = self._service.on_message, self._clock.now_ns, self.executor.execute
        for inbound in inbounds:
            if effects := on_message(inbound, now_ns()):
                carry(effects)

    def run_timers(self) -> int:
        """Tick, tend and beat where due; give the milliseconds that may be waited for a message."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_at_ns:
            self._run_due(now_ns)
        return self._pause_ms

    def is_finished(self) -> bool:
        """Say whether the loop ends: asked to stop, and drained or out of time."""
        if self._drain_until_ns is None:
            if not self._context.should_stop():
                return False
            self._drain_until_ns = self._clock.monotonic_ns() + self._context.drain_ms_max * NS_PER_MS
            self.executor.execute(self._service.on_stop(self._clock.now_ns()))
        if self._service.is_drained() and self.executor.is_idle:
            return True
        if self._clock.monotonic_ns() < self._drain_until_ns:
            return False
        self._context.log.warning("drain_cut_short", drain_ms_max=self._context.drain_ms_max)
        return True

    def _run_due(self, now_ns: int) -> None:
        self._poll_bus()
        if now_ns >= self._tick_at_ns:
            self._tick_at_ns = now_ns + self._context.tick_ms * NS_PER_MS
            self._tick(now_ns)
        self._pause_ms = RECOVERY_POLL_MS if self._bus.needs_fast_polling else self._context.tick_ms
        self._due_at_ns = now_ns + self._pause_ms * NS_PER_MS

    def _poll_bus(self) -> None:
        self.dispatch(self._bus.poll_background())
        for wanted in self._bus.poll_snapshot_requests():
            is_ours = wanted.stream.name == HEALTH.name
            messages = (self._health_publisher.last_health,) if is_ours else self._service.snapshot(wanted.stream)
            self.executor.execute((PendingSnapshot(wanted, tuple(messages)),))

    def _tick(self, now_ns: int) -> None:
        self.executor.execute(self._service.on_tick(self._clock.now_ns()))
        unmet = ("stopping",) if self._drain_until_ns is not None else self._service.unmet(self._clock.now_ns())
        self._health_publisher.publish_if_due(unmet, now_ns)
        self._context.report_health(unmet)
