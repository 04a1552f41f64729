"""Replays a recording as a live feed: the same messages, stamped with their receive times, at any speed."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any

from components.contracts.errors import InvariantError
from components.market_data.core.events import (
    BookStreamUp,
    DecodedFrame,
    DepthSnapshot,
    FeedDown,
    FeedMessage,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    Resubscribe,
    Resubscribed,
    SnapshotUnavailable,
)
from components.market_data.core.recording import Frame, ReplayEvent, SnapshotMatcher, Via
from components.market_data.venues.recording.reader import RecordingReader
from components.runtime.clock import NS_PER_S, Clock


def replay_events(frames: Iterable[Frame], reader: RecordingReader, clock: Clock) -> Iterator[ReplayEvent]:
    """Yield the feed messages of each frame; the book streams open with the first frame of a stream."""
    venue, is_open = reader.adapter.venue, False
    for frame in frames:
        if frame.via is Via.STREAM and not is_open:
            is_open = True
            yield from ((frame.at_ns, event) for event in _opening_events(reader))
        began_ns = clock.monotonic_ns()
        data = tuple(reader.decode(frame))
        parse_ns = clock.monotonic_ns() - began_ns
        if frame.via is Via.STREAM:
            if data:
                yield frame.at_ns, DecodedFrame(venue, data, frame.at_ns, parse_ns, len(frame.text))
        else:
            yield from ((frame.at_ns, datum) for datum in data if isinstance(datum, DepthSnapshot))


def _opening_events(reader: RecordingReader) -> Iterator[FeedMessage]:
    venue = reader.adapter.venue
    instruments = tuple(reader.registry)
    yield InstrumentsLoaded(venue, instruments)
    yield FeedUp(venue)
    yield from (BookStreamUp(venue, one.symbol) for one in instruments)


class ReplayPacer:
    """Delays by which recorded time passes `speed` times as fast as real time; at speed 0 there is no delay."""

    def __init__(self, speed: float, clock: Clock) -> None:
        self._speed, self._clock = speed, clock
        self._first_at_ns: int | None = None
        self._began_ns = 0

    def wait_s(self, at_ns: int) -> float:
        """Return the seconds until an event of that time is due; not above zero if it is due."""
        if not self._speed:
            return 0.0
        if self._first_at_ns is None:
            self._first_at_ns, self._began_ns = at_ns, self._clock.monotonic_ns()
        passed_ns = self._clock.monotonic_ns() - self._began_ns
        return ((at_ns - self._first_at_ns) / self._speed - passed_ns) / NS_PER_S


def throttled(events: Iterable[ReplayEvent], pacer: ReplayPacer) -> Iterator[ReplayEvent]:
    """Yield each event when it is due; blocks the calling thread."""
    never = Event()
    for at_ns, event in events:
        wait_s = pacer.wait_s(at_ns)
        if wait_s > 0:
            never.wait(wait_s)
        yield at_ns, event


class ReplayClock:
    """Recorded time up to the current event, so that old recordings do not look stale while they are replayed."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for the time between two events and after the last."""
        self._clock = clock
        self._at_ns = self._advanced_at_ns = 0

    def advance_to(self, at_ns: int) -> None:
        """Set the time to that of an event."""
        self._at_ns, self._advanced_at_ns = at_ns, self._clock.monotonic_ns()

    def now_ns(self) -> int:
        """Return recorded time plus the time since the last event; real time before the first."""
        return self._at_ns + self._clock.monotonic_ns() - self._advanced_at_ns if self._at_ns else self._clock.now_ns()

    def monotonic_ns(self) -> int:
        """Return a clock that never jumps."""
        return self._clock.monotonic_ns()


class ReplayFeed:
    """A recording in place of a venue: a feed that also answers snapshot requests from the recording."""

    def __init__(
        self,
        frames: Iterable[Frame],
        reader: RecordingReader,
        speed: float,
        clock: Clock,
        on_time: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Replay at `speed`; `on_time` is called with the receive time of each event before it is delivered."""
        self._frames, self._reader, self._clock, self._on_time = frames, reader, clock, on_time
        self._pacer = ReplayPacer(speed, clock)
        self._matcher = SnapshotMatcher()
        self._pending: dict[FetchSnapshot, asyncio.Future[DepthSnapshot | SnapshotUnavailable]] = {}
        self._is_finished = False

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Fail all pending requests."""
        self._finish()

    async def run(self, deliver: Callable[[Any], None]) -> None:
        """Deliver the whole recording, then wait to be cancelled."""
        for at_ns, event in replay_events(self._frames, self._reader, self._clock):
            # Yields to the loop after each event even without a delay, so that the requests it caused can run.
            await asyncio.sleep(max(self._pacer.wait_s(at_ns), 0.0))
            self._on_time(at_ns)
            if isinstance(event, DepthSnapshot):
                self._on_snapshot(event)
            else:
                deliver(event)
        self._finish()
        deliver(FeedDown(self._reader.adapter.venue, "the recording has ended", is_permanent=True))
        await asyncio.get_running_loop().create_future()

    async def call(self, request: Any) -> DepthSnapshot | SnapshotUnavailable | Resubscribed:  # noqa: ANN401 -- as VenueClient declares it
        """Return the next recorded snapshot."""
        if isinstance(request, Resubscribe):
            return Resubscribed()
        if not isinstance(request, FetchSnapshot):
            raise InvariantError(f"a recording cannot answer {type(request).__name__}")
        snapshot = self._matcher.match_request(request)
        if snapshot is not None or self._is_finished:
            return snapshot or SnapshotUnavailable("the recording has ended", 0.0)
        self._fail_requests(
            [other for other in self._pending if other.symbol == request.symbol], "replaced by a newer request"
        )
        self._pending[request] = asyncio.get_running_loop().create_future()
        return await self._pending[request]

    def _on_snapshot(self, snapshot: DepthSnapshot) -> None:
        request = self._matcher.match_snapshot(snapshot)
        if request is not None:
            self._complete(request, snapshot)

    def _finish(self) -> None:
        self._is_finished = True
        self._fail_requests(list(self._pending), "the recording has ended")

    def _fail_requests(self, requests: Iterable[FetchSnapshot], reason: str) -> None:
        for request in requests:
            self._complete(request, SnapshotUnavailable(reason, 0.0))

    def _complete(self, request: FetchSnapshot, reply: DepthSnapshot | SnapshotUnavailable) -> None:
        future = self._pending.pop(request)
        if not future.done():
            future.set_result(reply)
