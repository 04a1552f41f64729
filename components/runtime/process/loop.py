"""The service loop: starts a sans-I/O service, dispatches inputs, runs timers, drains, and publishes its health.

Two drivers run it: a blocking one for services that use only the bus, and an asyncio driver on uvloop for services with
a venue.
"""

import asyncio
import gc
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from components.contracts.errors import InvariantError
from components.contracts.protocol import ComponentHealth
from components.contracts.streams import HEALTH, HEARTBEAT_MS
from components.runtime.bus.bus import Bus
from components.runtime.clock import NS_PER_MS, Clock
from components.runtime.process.effects import EffectExecutor, Logger, PendingSnapshot, RecordCommitter
from components.runtime.service import Inbound, Service, VenueCallCompleted, VenueClient, VenueEvent, VenueEventSource

RECOVERY_POLL_MS: Final = 5
"""The poll interval of the bus while recovery is in progress, here or at a subscriber."""
DRAIN_MESSAGES_MAX: Final = 64
"""How many messages of one socket are handled before other sockets and the venue get their turn."""
CONCURRENT_CALLS_MAX: Final = 64
"""How many venue calls run concurrently; further ones wait, in order."""


class HealthPublisher:
    """Publishes the component's health when readiness changes, and heartbeats and health every HEARTBEAT_MS."""

    def __init__(self, bus: Bus, clock: Clock, component: str, version: str) -> None:
        self._bus, self._clock, self._component, self._version = bus, clock, component, version
        self._due_at_ns = 0
        self.last_health = ComponentHealth(component, version, ("starting",), (), 0)

    def publish_if_due(self, unmet: tuple[str, ...], now_ns: int) -> None:
        """Publish what is due; `now_ns` is monotonic."""
        is_due = now_ns >= self._due_at_ns
        if is_due:
            self._due_at_ns = now_ns + HEARTBEAT_MS * NS_PER_MS
            self._bus.publish_heartbeats()
        if is_due or unmet != self.last_health.unmet:
            self.last_health = ComponentHealth(
                self._component, self._version, unmet, self._bus.offsets(), self._clock.now_ns()
            )
            self._bus.publish(HEALTH, self.last_health)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopContext:
    """What a driver needs. `report_health` and `should_stop` are called about every tick."""

    component: str
    version: str
    service: Service
    bus: Bus
    clock: Clock
    log: Logger
    committer: RecordCommitter | None = None
    """Opened and closed by the caller, like the bus."""
    venue: VenueClient | None = None
    feed: VenueEventSource | None = None
    tick_ms: int
    report_health: Callable[[tuple[str, ...]], None]
    should_stop: Callable[[], bool]
    drain_timeout_ms: int


class ServiceLoop:
    """One run of a service, from its start until it has drained."""

    def __init__(self, context: LoopContext, call: Callable[[Any], None] | None = None) -> None:
        self._context, self._service, self._bus, self._clock = context, context.service, context.bus, context.clock
        self.executor = EffectExecutor(context.bus, context.clock, context.log, context.committer, call)
        self._health_publisher = HealthPublisher(context.bus, context.clock, context.component, context.version)
        self._due_at_ns = self._tick_at_ns = 0
        self._pause_ms = RECOVERY_POLL_MS
        self._drain_until_ns: int | None = None

    def start(self) -> None:
        """Start the service. Objects alive now are long-lived, so the garbage collector skips them from here on."""
        self.executor.execute(self._service.on_start(self._clock.now_ns()))
        gc.collect()
        gc.freeze()

    def dispatch(self, inbounds: Iterable[Inbound]) -> None:
        """Pass inputs to the service one by one and execute its effects."""
        on_message, now_ns, execute = self._service.on_message, self._clock.now_ns, self.executor.execute
        for inbound in inbounds:
            if effects := on_message(inbound, now_ns()):
                execute(effects)

    def run_timers(self) -> int:
        """Run the tick, the background work of the bus and the heartbeat if due.

        Return how many milliseconds the driver may wait.
        """
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_at_ns:
            self._run_due(now_ns)
        return self._pause_ms

    def is_finished(self) -> bool:
        """Return whether the loop ends: a shutdown was requested, and it has drained or exceeded the drain timeout."""
        if self._drain_until_ns is None:
            if not self._context.should_stop():
                return False
            self._drain_until_ns = self._clock.monotonic_ns() + self._context.drain_timeout_ms * NS_PER_MS
            self.executor.execute(self._service.on_stop(self._clock.now_ns()))
        if self._service.is_drained() and self.executor.is_idle:
            return True
        if self._clock.monotonic_ns() < self._drain_until_ns:
            return False
        self._context.log.warning("drain_timeout", drain_timeout_ms=self._context.drain_timeout_ms)
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
        for request in self._bus.poll_snapshot_requests():
            is_ours = request.stream.name == HEALTH.name
            messages = (self._health_publisher.last_health,) if is_ours else self._service.snapshot(request.stream)
            self.executor.execute((PendingSnapshot(request, tuple(messages)),))

    def _tick(self, now_ns: int) -> None:
        self.executor.execute(self._service.on_tick(self._clock.now_ns()))
        unmet = ("stopping",) if self._drain_until_ns is not None else self._service.unmet(self._clock.now_ns())
        self._health_publisher.publish_if_due(unmet, now_ns)
        self._context.report_health(unmet)


def run_blocking(context: LoopContext) -> None:
    """Run a service that uses only the bus."""
    if context.venue is not None or context.feed is not None:
        raise InvariantError("a venue needs the async driver")
    loop = ServiceLoop(context)
    if context.committer is not None:
        context.bus.register_fd(context.committer.fileno(), loop.executor.on_synced)
    loop.start()
    receive, dispatch = context.bus.receive, loop.dispatch
    while not loop.is_finished():
        dispatch(receive(loop.run_timers()))


def run_async(context: LoopContext) -> None:
    """Run a service that uses a venue."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_AsyncDriver(context).run())


class _AsyncDriver:
    """Runs the service loop on asyncio: bus and syncs by descriptor, timers by the event loop, venue calls as tasks."""

    def __init__(self, context: LoopContext) -> None:
        self._context, self._bus = context, context.bus
        self._service_loop = ServiceLoop(context, self._queue_call if context.venue is not None else None)
        self._calls: set[asyncio.Task[None]] = set()
        self._queued: deque[Any] = deque()
        self._is_drain_scheduled = False

    async def run(self) -> None:
        """Run until the service has drained."""
        self._loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._loop.set_exception_handler(self._on_loop_error)
        venue = self._context.venue
        if venue is not None:
            await venue.open()
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve(group)
        finally:
            self._remove_readers()
            if venue is not None:
                await venue.close()

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._service_loop.start()
        feed = self._context.feed
        feed_task = group.create_task(feed.run(self._on_venue_event)) if feed is not None else None
        for descriptor in self._bus.filenos():
            self._loop.add_reader(descriptor, self._drain_bus)
        if self._context.committer is not None:
            self._loop.add_reader(self._context.committer.fileno(), self._on_synced)
        self._run_timers()
        await self._finished
        for task in (*self._calls, *((feed_task,) if feed_task is not None else ())):
            task.cancel()

    def _drain_bus(self) -> None:
        self._is_drain_scheduled = False
        self._service_loop.dispatch(self._bus.drain(DRAIN_MESSAGES_MAX))
        self._reschedule_if_readable()

    def _reschedule_if_readable(self) -> None:
        """Schedule another drain if messages are waiting: a send may have consumed the edge of the descriptor."""
        if not self._is_drain_scheduled and self._bus.is_readable():
            self._is_drain_scheduled = True
            self._loop.call_soon(self._drain_bus)

    def _on_synced(self) -> None:
        self._service_loop.executor.on_synced()
        self._reschedule_if_readable()

    def _run_timers(self) -> None:
        pause_ms = self._service_loop.run_timers()
        if self._service_loop.is_finished():
            self._finish(None)
        else:
            self._loop.call_later(pause_ms / 1000, self._run_timers)
        self._reschedule_if_readable()

    def _on_venue_event(self, body: Any) -> None:  # noqa: ANN401 -- any value of the adapter's protocol
        self._service_loop.dispatch((VenueEvent(body),))
        self._reschedule_if_readable()

    def _queue_call(self, request: Any) -> None:  # noqa: ANN401 -- any value of the adapter's protocol
        self._queued.append(request)
        self._start_calls()

    def _start_calls(self) -> None:
        while self._queued and len(self._calls) < CONCURRENT_CALLS_MAX and not self._finished.done():
            task = self._group.create_task(self._run_call(self._queued.popleft()))
            self._calls.add(task)
            task.add_done_callback(self._on_call_ended)

    def _on_call_ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._start_calls()

    async def _run_call(self, request: Any) -> None:  # noqa: ANN401 -- any value of the adapter's protocol
        if self._context.venue is None:
            raise InvariantError("a call without a venue")
        result = await self._context.venue.call(request)
        self._service_loop.dispatch((VenueCallCompleted(request, result),))
        self._reschedule_if_readable()

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End with the exception of one of our callbacks. Errors in a library's connection are only logged."""
        error = context.get("exception")
        if "handle" in context and isinstance(error, BaseException):
            self._finish(error)
        else:
            self._context.log.warning("loop_error", message=context.get("message", ""), error=repr(error))

    def _finish(self, error: BaseException | None) -> None:
        if self._finished.done():
            return
        if error is None:
            self._finished.set_result(None)
        else:
            self._finished.set_exception(error)

    def _remove_readers(self) -> None:
        for descriptor in self._bus.filenos():
            self._loop.remove_reader(descriptor)
        if self._context.committer is not None:
            self._loop.remove_reader(self._context.committer.fileno())
