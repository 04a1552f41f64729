"""The two loops that run a sans-I/O service: a blocking one, and one on uvloop for who speaks to a venue."""

import asyncio
from collections import deque
from typing import Any, Final

import uvloop

from components.contracts.errors import InvariantError
from components.runtime.life import LoopContext, ServiceLoop
from components.runtime.service import VenueCallCompleted, VenueEvent

DRAIN_MESSAGES_MAX: Final = 64
"""So many messages of one socket, then the others and the venue have their turn."""
CONCURRENT_CALLS_MAX: Final = 64
"""So many calls to the venue run at once; more wait, in order."""


def run_blocking(context: LoopContext) -> None:
    """Run a service that speaks only to the bus."""
    if context.venue is not None or context.feed is not None:
        raise InvariantError("a venue needs the async driver")
    life = ServiceLoop(context)
    if context.committer is not None:
        context.bus.register_fd(context.committer.fileno(), life.executor.on_synced)
    life.start()
    receive, hear = context.bus.receive, life.dispatch
    while not life.is_finished():
        hear(receive(life.run_timers()))


def run_async(context: LoopContext) -> None:
    """Run a service that speaks to a venue too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_AsyncDriver(context).run())


class _AsyncDriver:
    """The loop's turns: messages as the descriptors wake it, time as it passes, the venue as it speaks."""

    def __init__(self, context: LoopContext) -> None:
        self._context, self._bus = context, context.bus
        self._service_loop = ServiceLoop(context, self._queue_call if context.venue is not None else None)
        self._calls: set[asyncio.Task[None]] = set()
        self._queued: deque[Any] = deque()
        self._is_turn_due = False

    async def run(self) -> None:
        """Run until drained."""
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
        hearing = group.create_task(feed.run(self._on_venue_event)) if feed is not None else None
        for descriptor in self._bus.filenos():
            self._loop.add_reader(descriptor, self._drain_bus)
        if self._context.committer is not None:
            self._loop.add_reader(self._context.committer.fileno(), self._on_synced)
        self._run_timers()
        await self._finished
        for task in (*self._calls, *((hearing,) if hearing is not None else ())):
            task.cancel()

    def _drain_bus(self) -> None:
        self._is_turn_due = False
        self._service_loop.dispatch(self._bus.drain(DRAIN_MESSAGES_MAX))
        self._reschedule_if_readable()

    def _reschedule_if_readable(self) -> None:
        """Take a turn soon if messages wait: any send may have swallowed the edge that would have woken us."""
        if not self._is_turn_due and self._bus.is_readable():
            self._is_turn_due = True
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

    def _on_venue_event(self, body: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        self._service_loop.dispatch((VenueEvent(body),))
        self._reschedule_if_readable()

    def _queue_call(self, request: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
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

    async def _run_call(self, request: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        if self._context.venue is None:
            raise InvariantError("a call without a venue")
        answer = await self._context.venue.call(request)
        self._service_loop.dispatch((VenueCallCompleted(request, answer),))
        self._reschedule_if_readable()

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End with what one of our callbacks raised; trouble in a library's connection is only logged."""
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
