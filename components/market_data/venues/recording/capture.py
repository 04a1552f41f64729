"""Captures raw frames of live venues: a writer thread with a bounded queue, and the session of the `record` command.

The event loop never waits for the disk. The service runs only so that snapshots are requested; nothing is published.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Protocol, Self

import uvloop
from msgspec import Struct

from components.contracts.errors import InvariantError, StorageError
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import ResyncMethod, SequenceRule
from components.market_data.core.events import BookStreamDown, BookStreamUp, FeedRequest, Resubscribe
from components.market_data.core.recording import Frame, RecordingFile, Via, encode_line, file_name, parse_file_name
from components.market_data.venues.registry import is_metadata
from components.runtime.clock import NS_PER_S, Clock
from components.runtime.filesystem import REAL_DISK, Disk, OpenFile
from components.runtime.service import (
    CallVenue,
    Effects,
    LogEvent,
    ObserveLatency,
    Service,
    VenueCallCompleted,
    VenueClient,
    VenueEvent,
    VenueEventSource,
)

TICK_S: Final = 0.05
NO_EPOCH: Final = -1
"""Epoch of a request whose reply is only recorded."""


class RecorderLimits(Struct, frozen=True, kw_only=True):
    """Bounds of the queue, and the size of one file."""

    queued_frames_max: int = 50_000
    queued_bytes_max: int = 64 * 1024 * 1024
    """A frame that arrives while either bound is reached is dropped and counted."""
    file_bytes_max: int = 128 * 1024 * 1024
    file_s_max: int = 3_600
    write_every_s: float = 0.05
    """Interval of the writer thread.

    Frames of one interval are written together, so the loop never has to wake the writer.
    """
    close_timeout_s: float = 10.0
    """If writing the rest of the queue takes longer, the disk counts as failed."""


class CaptureReport(Struct, frozen=True):
    """The totals of a recorder."""

    frames: int
    bytes: int
    dropped: int
    files: tuple[str, ...]


class Recorder:
    """Records venues into a directory, each into its own files. Leaving the context completes all files."""

    def __init__(self, folder: Path, limits: RecorderLimits, disk: Disk = REAL_DISK) -> None:
        self.dropped = 0
        self.failure: StorageError | None = None
        """Why recording stopped."""
        self._folder, self._limits, self._disk = folder, limits, disk
        self._queue: deque[tuple[Venue, Frame]] = deque()
        # The event loop counts what it queued, the writer what it removed; so neither needs a lock.
        self._bytes_in = self._bytes_out = self._frames_out = 0
        self._series: dict[Venue, _FileSeries] = {}
        self._files: list[str] = []
        self._stop_requested = Event()
        self._is_complete = False
        self._thread = Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        """Start the writer thread."""
        self._disk.make_folder(self._folder)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the queued frames and complete the files."""
        self._stop_requested.set()
        self._thread.join(self._limits.close_timeout_s)
        if self._thread.is_alive():
            raise StorageError(f"{self._folder}: {len(self._queue)} frames were not written within close_timeout_s")
        if self.failure is not None and error is None:
            raise self.failure
        if not self._is_complete and error is None:
            raise InvariantError("the writer thread of the recorder died")

    def tap(self, venue: Venue) -> "VenueTap":
        """Return the tap for a venue's connections."""
        return VenueTap(self, venue)

    def put(self, venue: Venue, frame: Frame) -> None:
        """Queue a frame for the writer, or drop it. Called from the event loop only."""
        limits, size = self._limits, len(frame.text)
        is_full = self._bytes_in - self._bytes_out + size > limits.queued_bytes_max
        if (
            is_full
            or len(self._queue) >= limits.queued_frames_max
            or self.failure is not None
            or self._stop_requested.is_set()
        ):
            self.dropped += 1
            return
        self._bytes_in += size
        self._queue.append((venue, frame))

    def rotations(self, venue: Venue) -> int:
        """Return the number of a venue's files beyond its first; each new file needs its own snapshots."""
        series = self._series.get(venue)
        return max(series.rotations, 0) if series is not None else 0

    def report(self) -> CaptureReport:
        """Return the totals."""
        return CaptureReport(self._frames_out, self._bytes_out, self.dropped, tuple(self._files))

    def _run(self) -> None:
        try:
            while not self._stop_requested.wait(self._limits.write_every_s):
                self._write()
            self._write()
            for series in self._series.values():
                series.finish()
            self._is_complete = True
        except StorageError as error:
            self.failure = error

    def _write(self) -> None:
        while self._queue:
            venue, frame = self._queue.popleft()
            if venue not in self._series:
                self._series[venue] = _FileSeries(venue, self._folder, self._limits, self._disk, self._files)
            self._series[venue].write(frame)
            self._bytes_out += len(frame.text)
            self._frames_out += 1
        for series in self._series.values():
            series.flush()


class VenueTap:
    """Passes the frames of one venue to a recorder."""

    def __init__(self, recorder: Recorder, venue: Venue) -> None:
        self._recorder, self._venue = recorder, venue

    def on_frame(self, via: str, url: str, text: bytes, at_ns: int) -> None:
        """Queue a received frame."""
        self._recorder.put(self._venue, Frame(at_ns, Via(via), url, text))


class _FileSeries:
    """The consecutive files of one venue; each starts with the venue's metadata, so that it can be read alone."""

    def __init__(self, venue: Venue, folder: Path, limits: RecorderLimits, disk: Disk, file_names: list[str]) -> None:
        self._venue, self._folder, self._limits, self._disk, self._file_names = venue, folder, limits, disk, file_names
        self._metadata: dict[str, bytes] = {}
        self._current_file: RecordingFile | None = None
        self._file: OpenFile | None = None
        self._lines: list[bytes] = []
        self._size = self._written = 0
        self._first_frame_at_ns = 0
        self.rotations = -1

    def write(self, frame: Frame) -> None:
        line = encode_line(frame)
        if self._file is None or self._is_full(line, frame.at_ns):
            self.finish()
            self._open(frame.at_ns)
        if is_metadata(frame.via, frame.url):
            self._metadata[frame.url] = line
        self._lines.append(line)
        self._size += len(line)

    def flush(self) -> None:
        if self._file is not None and self._lines:
            content = b"".join(self._lines)
            self._lines.clear()
            self._disk.write(self._file, self._written, content)
            self._written += len(content)

    def finish(self) -> None:
        """Make the file durable, then rename it to the name of a complete file."""
        if self._file is None or self._current_file is None:
            return
        self.flush()
        self._disk.fdatasync(self._file)
        self._disk.close(self._file)
        complete = RecordingFile(self._current_file.venue, self._current_file.began_at_s, self._current_file.number)
        self._disk.rename(self._file.path, self._folder / file_name(complete))
        self._disk.sync_folder(self._folder)
        self._file_names[self._file_names.index(self._file.path.name)] = file_name(complete)
        self._file = None

    def _is_full(self, line: bytes, at_ns: int) -> bool:
        has_aged = at_ns - self._first_frame_at_ns >= self._limits.file_s_max * NS_PER_S
        return has_aged or 0 < self._size > self._limits.file_bytes_max - len(line)

    def _open(self, at_ns: int) -> None:
        self._current_file = self._next_file(at_ns // NS_PER_S)
        self._file = self._disk.create(self._folder / file_name(self._current_file))
        self._file_names.append(self._file.path.name)
        self.rotations += 1
        self._first_frame_at_ns = at_ns
        self._lines = list(self._metadata.values())
        self._size = self._written = 0

    def _next_file(self, now_s: int) -> RecordingFile:
        """Return the next file of the recording; a new recording uses the first number that is free in its second."""
        began_at_s = self._current_file.began_at_s if self._current_file is not None else now_s
        found = [parse_file_name(name) for name in self._disk.names(self._folder)]
        taken = [file.number for file in found if file and (file.venue, file.began_at_s) == (self._venue, began_at_s)]
        return RecordingFile(self._venue, began_at_s, max(taken, default=0) + 1, is_complete=False)


class LiveFeed(VenueEventSource, VenueClient, Protocol):
    """A feed that also executes requests."""


class CaptureSession:
    """One run of the `record` command."""

    def __init__(
        self,
        service: Service,
        feed: LiveFeed,
        sequence_rules: Mapping[Venue, SequenceRule],
        recorder: Recorder,
        clock: Clock,
        log: Callable[[LogEvent], None],
    ) -> None:
        """Run a feed whose taps lead into the recorder."""
        self._service, self._feed, self._sequence_rules = service, feed, sequence_rules
        self._recorder, self._clock, self._log = recorder, clock, log
        self._open_books: dict[Symbol, Venue] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._began_ns = 0
        self._rotations = dict.fromkeys(sequence_rules, 0)

    def run_blocking(self, is_stopped: Callable[[], bool], for_s: float | None) -> None:
        """Capture on a new event loop until stopped, or for `for_s` seconds."""
        until_ns = None if for_s is None else self._clock.monotonic_ns() + int(for_s * NS_PER_S)

        def is_over() -> bool:
            return is_stopped() or (until_ns is not None and self._clock.monotonic_ns() >= until_ns)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.run(is_over))

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Capture until `is_over` returns True or the recorder fails."""
        await self._feed.open()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._execute(self._service.on_start(self._clock.now_ns()))
                feed_task = group.create_task(self._feed.run(self._deliver))
                while not is_over() and self._recorder.failure is None:
                    self._tick()
                    await asyncio.sleep(TICK_S)
                for task in (feed_task, *self._requests):
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
        """Obtain a snapshot of each book for a new file, so that the file can be verified alone."""
        is_fetched = self._sequence_rules[venue].resync_method is ResyncMethod.FETCH
        for symbol in [symbol for symbol, owner in self._open_books.items() if owner == venue]:
            if is_fetched:
                # As after a subscription: a snapshot after the first update, and another one if it was too old.
                self._execute(self._service.on_message(VenueEvent(BookStreamUp(venue, symbol)), self._clock.now_ns()))
            else:
                self._start_request(Resubscribe(venue, symbol, NO_EPOCH))

    def _deliver(self, message: Any) -> None:  # noqa: ANN401 -- as VenueEventSource declares it
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
                effect.measure((self._clock.monotonic_ns() - self._began_ns) / NS_PER_S)

    def _start_request(self, request: FeedRequest) -> None:
        task = self._group.create_task(self._run_request(request))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _run_request(self, request: FeedRequest) -> None:
        reply = await self._feed.call(request)
        if request.epoch != NO_EPOCH:
            self._execute(self._service.on_message(VenueCallCompleted(request, reply), self._clock.now_ns()))
