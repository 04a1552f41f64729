"""Listens to live venues for nothing but a recording: the service asks for images, and nobody hears what it says."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import uvloop

from components.contracts.values import Symbol, Venue
from components.market_data.core.feed import BookClosed, BookOpened, FeedRequest, Resubscribe
from components.market_data.core.rules import Remedy, Rule
from components.market_data.venues.recorder import Recorder
from components.runtime.clock import Clock
from components.runtime.service import Call, Called, Effects, Fed, Note, Observe, Service
from components.runtime.venue import Caller, Feed

TICK_S: Final = 0.05
NS_PER_S: Final = 1_000_000_000
NO_EPOCH: Final = -1
"""Nobody waits for this image; that it is recorded is all."""


class LiveFeed(Feed, Caller, Protocol):
    """Venues that are listened to, and that answer."""


class Listening:
    """One stretch of listening."""

    def __init__(
        self,
        service: Service,
        feed: LiveFeed,
        rules: Mapping[Venue, Rule],
        recorder: Recorder,
        clock: Clock,
        note: Callable[[Note], None],
    ) -> None:
        """Take the feed, whose taps lead into the recorder already."""
        self._service, self._feed, self._rules = service, feed, rules
        self._recorder, self._clock, self._note = recorder, clock, note
        self._open: dict[Symbol, Venue] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._began_ns = 0
        self._rotations = dict.fromkeys(rules, 0)

    def listen(self, is_stopped: Callable[[], bool], for_s: float | None) -> None:
        """Listen on a loop of its own until somebody stops it, or for so many seconds."""
        until_ns = None if for_s is None else self._clock.monotonic_ns() + int(for_s * NS_PER_S)

        def is_over() -> bool:
            return is_stopped() or (until_ns is not None and self._clock.monotonic_ns() >= until_ns)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.run(is_over))

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Listen until it is over, or nothing can be recorded any longer."""
        await self._feed.open()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._carry_out(self._service.on_start(self._clock.now_ns()))
                hearing = group.create_task(self._feed.run(self._deliver))
                while not is_over() and self._recorder.failure is None:
                    self._pass_time()
                    await asyncio.sleep(TICK_S)
                for task in (hearing, *self._calls):
                    task.cancel()
        finally:
            await self._feed.close()
        self._carry_out(self._service.on_stop(self._clock.now_ns()))

    def _pass_time(self) -> None:
        self._carry_out(self._service.on_tick(self._clock.now_ns()))
        for venue, before in self._rotations.items():
            self._rotations[venue] = self._recorder.rotations(venue)
            if self._rotations[venue] != before:
                self._begin_anew(venue)

    def _begin_anew(self, venue: Venue) -> None:
        """Have an image of each book in the new file too, so that the file is worth something alone."""
        is_fetched = self._rules[venue].remedy is Remedy.FETCH
        for symbol in [symbol for symbol, its in self._open.items() if its == venue]:
            if is_fetched:
                # As after a subscription: an image behind the first change, and another where it was too old.
                self._carry_out(self._service.on_message(Fed(BookOpened(venue, symbol)), self._clock.now_ns()))
            else:
                self._call(Resubscribe(venue, symbol, NO_EPOCH))

    def _deliver(self, said: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        if isinstance(said, BookOpened):
            self._open[said.symbol] = said.venue
        elif isinstance(said, BookClosed):
            self._open.pop(said.symbol, None)
        self._began_ns = self._clock.monotonic_ns()
        self._carry_out(self._service.on_message(Fed(said), self._clock.now_ns()))

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Call):
                self._call(effect.request)
            elif isinstance(effect, Note):
                self._note(effect)
            elif isinstance(effect, Observe):
                effect.measure((self._clock.monotonic_ns() - self._began_ns) / NS_PER_S)

    def _call(self, request: FeedRequest) -> None:
        task = self._group.create_task(self._answer(request))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer(self, request: FeedRequest) -> None:
        answer = await self._feed.call(request)
        if request.epoch != NO_EPOCH:
            self._carry_out(self._service.on_message(Called(request, answer), self._clock.now_ns()))
