"""Listens to live venues for nothing but a recording: the service asks for images, and nobody hears what it says."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import uvloop

from components.contracts.values import Symbol, Venue
from components.market_data.core.feed import BookStreamDown, BookStreamUp, FeedRequest, Resubscribe
from components.market_data.core.rules import ResyncMethod, SequenceRule
from components.market_data.venues.recorder import Recorder
from components.runtime.clock import Clock
from components.runtime.service import (
    CallVenue,
    Effects,
    LogEvent,
    ObserveLatency,
    Service,
    VenueCallCompleted,
    VenueEvent,
)
from components.runtime.venue import VenueClient, VenueEventSource

TICK_S: Final = 0.05
_NS_PER_S: Final = 1_000_000_000
NO_EPOCH: Final = -1
"""Nobody waits for this image; that it is recorded is all."""


class LiveFeed(VenueEventSource, VenueClient, Protocol):
    """Venues that are listened to, and that answer."""


class CaptureSession:
    """One stretch of listening."""

    def __init__(
        self,
        service: Service,
        feed: LiveFeed,
        sequence_rules: Mapping[Venue, SequenceRule],
        recorder: Recorder,
        clock: Clock,
        log: Callable[[LogEvent], None],
    ) -> None:
        """Take the feed, whose taps lead into the recorder already."""
        self._service, self._feed, self._sequence_rules = service, feed, sequence_rules
        self._recorder, self._clock, self._log = recorder, clock, log
        self._open_books: dict[Symbol, Venue] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._began_ns = 0
        self._rotations = dict.fromkeys(sequence_rules, 0)

    def run_blocking(self, is_stopped: Callable[[], bool], for_s: float | None) -> None:
        """Listen on a loop of its own until somebody stops it, or for so many seconds."""
        until_ns = None if for_s is None else self._clock.monotonic_ns() + int(for_s * _NS_PER_S)

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
                self._execute(self._service.on_start(self._clock.now_ns()))
                hearing = group.create_task(self._feed.run(self._deliver))
                while not is_over() and self._recorder.failure is None:
                    self._tick()
                    await asyncio.sleep(TICK_S)
                for task in (hearing, *self._requests):
                    task.cancel()
        finally:
            await self._feed.close()
        self._execute(self._service.on_stop(self._clock.now_ns()))

    def _tick(self) -> None:
        self._execute(self._service.on_tick(self._clock.now_ns()))
        for venue, before in self._rotations.items():
            self._rotations[venue] = self._recorder.rotations(venue)
            if self._rotations[venue] != before:
                self._refresh_snapshots(venue)

    def _refresh_snapshots(self, venue: Venue) -> None:
        """Have an image of each book in the new file too, so that the file is worth something alone."""
        is_fetched = self._sequence_rules[venue].resync_method is ResyncMethod.FETCH
        for symbol in [symbol for symbol, its in self._open_books.items() if its == venue]:
            if is_fetched:
                # As after a subscription: an image behind the first change, and another where it was too old.
                self._execute(self._service.on_message(VenueEvent(BookStreamUp(venue, symbol)), self._clock.now_ns()))
            else:
                self._start_request(Resubscribe(venue, symbol, NO_EPOCH))

    def _deliver(self, message: Any) -> None:  # noqa: ANN401 -- the adapter's own vocabulary
        if isinstance(message, BookStreamUp):
            self._open_books[message.symbol] = message.venue
        elif isinstance(message, BookStreamDown):
            self._open_books.pop(message.symbol, None)
        self._began_ns = self._clock.monotonic_ns()
        self._execute(self._service.on_message(VenueEvent(message), self._clock.now_ns()))

    def _execute(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, CallVenue):
                self._start_request(effect.request)
            elif isinstance(effect, LogEvent):
                self._log(effect)
            elif isinstance(effect, ObserveLatency):
                effect.measure((self._clock.monotonic_ns() - self._began_ns) / _NS_PER_S)

    def _start_request(self, request: FeedRequest) -> None:
        task = self._group.create_task(self._run_request(request))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _run_request(self, request: FeedRequest) -> None:
        answer = await self._feed.call(request)
        if request.epoch != NO_EPOCH:
            self._execute(self._service.on_message(VenueCallCompleted(request, answer), self._clock.now_ns()))
