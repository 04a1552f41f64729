"""The two loops that run a sans-I/O service: a blocking one, and one on uvloop for who speaks to a venue."""

import asyncio
from collections import deque
from typing import Any, Final

import uvloop

from components.contracts.errors import InvariantError
from components.runtime.life import Life, Seat
from components.runtime.service import Called, Fed

TURN_MESSAGES_MAX: Final = 64
"""So many messages of one socket, then the others and the venue have their turn."""
CALLS_MAX: Final = 64
"""So many calls to the venue run at once; more wait, in order."""


def drive_blocking(seat: Seat) -> None:
    """Run a service that speaks only to the bus."""
    if seat.venue is not None or seat.feed is not None:
        raise InvariantError("a venue needs the async driver")
    life = Life(seat)
    if seat.committer is not None:
        seat.bus.watch(seat.committer.fileno(), life.carrier.on_synced)
    life.start()
    receive, hear = seat.bus.receive, life.hear
    while not life.is_over():
        hear(receive(life.pass_time()))


def drive_async(seat: Seat) -> None:
    """Run a service that speaks to a venue too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Turns(seat).run())


class _Turns:
    """The loop's turns: messages as the descriptors wake it, time as it passes, the venue as it speaks."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self._bus = seat, seat.bus
        self._life = Life(seat, self._call if seat.venue is not None else None)
        self._calls: set[asyncio.Task[None]] = set()
        self._queued: deque[Any] = deque()
        self._is_turn_due = False

    async def run(self) -> None:
        """Run until drained."""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._loop.set_exception_handler(self._on_loop_error)
        venue = self._seat.venue
        if venue is not None:
            await venue.open()
        try:
            async with asyncio.TaskGroup() as group:
                await self._live(group)
        finally:
            self._watch_nothing()
            if venue is not None:
                await venue.close()

    async def _live(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._life.start()
        feed = self._seat.feed
        hearing = group.create_task(feed.run(self._deliver)) if feed is not None else None
        for descriptor in self._bus.filenos():
            self._loop.add_reader(descriptor, self._turn)
        if self._seat.committer is not None:
            self._loop.add_reader(self._seat.committer.fileno(), self._on_synced)
        self._pass_time()
        await self._over
        for task in (*self._calls, *((hearing,) if hearing is not None else ())):
            task.cancel()

    def _turn(self) -> None:
        self._is_turn_due = False
        self._life.hear(self._bus.drain(TURN_MESSAGES_MAX))
        self._look_again()

    def _look_again(self) -> None:
        """Take a turn soon if messages wait: any send may have swallowed the edge that would have woken us."""
        if not self._is_turn_due and self._bus.is_readable():
            self._is_turn_due = True
            self._loop.call_soon(self._turn)

    def _on_synced(self) -> None:
        self._life.carrier.on_synced()
        self._look_again()

    def _pass_time(self) -> None:
        pause_ms = self._life.pass_time()
        if self._life.is_over():
            self._end(None)
        else:
            self._loop.call_later(pause_ms / 1000, self._pass_time)
        self._look_again()

    def _deliver(self, body: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        self._life.hear((Fed(body),))
        self._look_again()

    def _call(self, request: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        self._queued.append(request)
        self._start_calls()

    def _start_calls(self) -> None:
        while self._queued and len(self._calls) < CALLS_MAX and not self._over.done():
            task = self._group.create_task(self._carry_out(self._queued.popleft()))
            self._calls.add(task)
            task.add_done_callback(self._on_call_ended)

    def _on_call_ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._start_calls()

    async def _carry_out(self, request: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        if self._seat.venue is None:
            raise InvariantError("a call without a venue")
        answer = await self._seat.venue.call(request)
        self._life.hear((Called(request, answer),))
        self._look_again()

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End with what one of our callbacks raised; trouble in a library's connection is only logged."""
        error = context.get("exception")
        if "handle" in context and isinstance(error, BaseException):
            self._end(error)
        else:
            self._seat.log.warning("loop_error", message=context.get("message", ""), error=repr(error))

    def _end(self, error: BaseException | None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)

    def _watch_nothing(self) -> None:
        for descriptor in self._bus.filenos():
            self._loop.remove_reader(descriptor)
        if self._seat.committer is not None:
            self._loop.remove_reader(self._seat.committer.fileno())
