"""A capture session requests everything that a recording needs to be verified."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from components.contracts.values import Venue
from components.market_data.core.events import FetchSnapshot, Resubscribe, SnapshotUnavailable
from components.market_data.core.recording import Frame, list_files
from components.market_data.service.replay import replay_service
from components.market_data.venues.adapter import Tap
from components.market_data.venues.recording.capture import NO_EPOCH, CaptureSession, Recorder, RecorderLimits
from components.market_data.venues.recording.reader import Recording, RecordingReader, open_recording
from components.market_data.venues.recording.replay_feed import ReplayFeed
from components.market_data.venues.recording.verify import verify
from components.runtime.clock import SystemClock
from components.runtime.service import LogEvent
from tests.support.shipped_recordings import ShippedRecording, shipped_recordings

pytestmark = pytest.mark.integration


class TappedFeed(ReplayFeed):
    """Replays a recording as if it were live: whatever is received goes into the tap first."""

    def __init__(self, recording: Recording, reader: RecordingReader, tap: Tap) -> None:
        super().__init__(tapping(recording, tap), reader, 0, SystemClock())
        self.requested: list[Any] = []

    @override
    async def call(self, request: Any) -> Any:
        self.requested.append(request)
        return SnapshotUnavailable("only recorded", 0.0) if request.epoch == NO_EPOCH else await super().call(request)


def tapping(frames: Recording, tap: Tap) -> Iterator[Frame]:
    for frame in frames:
        tap.on_frame(frame.via, frame.url, frame.text, frame.at_ns)
        yield frame


def record(
    one: ShippedRecording, folder: Path, limits: RecorderLimits, *, is_done: Any
) -> tuple[TappedFeed, list[LogEvent]]:
    recording, venue, notes = Recording([one.path]), Venue(one.venue), list[LogEvent]()
    reader = open_recording(recording)
    rule, pushes = reader.adapter.sequence_rule, reader.adapter.pushes_snapshot
    with Recorder(folder, limits) as recorder:
        feed = TappedFeed(recording, reader, recorder.tap(venue))
        service = replay_service(venue, tuple(reader.registry.by_symbol), rule, pushes_snapshot=pushes)
        listening = CaptureSession(service, feed, {venue: rule}, recorder, SystemClock(), notes.append)
        asyncio.run(listening.run(lambda: bool(is_done(feed, recorder, notes))))
    return feed, notes


def has_all(one: ShippedRecording) -> Any:
    return lambda _feed, recorder, _notes: recorder.report().frames >= len(one.recording.lines)


@pytest.mark.parametrize("one", shipped_recordings(), ids=lambda one: one.venue)
def test_everything_received_is_recorded(one: ShippedRecording, tmp_path: Path) -> None:
    feed, notes = record(one, tmp_path, RecorderLimits(write_every_s=0.001), is_done=has_all(one))
    (name,) = [name for name, _ in list_files(path.name for path in tmp_path.iterdir())]
    recording = Recording([tmp_path / name])
    (book,) = verify(recording, open_recording(recording))
    assert book.report().sha256_chain_top10 == one.expected_report()["sha256_chain_top10"]
    assert [note.event for note in notes][-1] == "stream_summary"
    assert all(request.symbol == one.symbol for request in feed.requested)


@pytest.mark.parametrize("venue", ["OKX", "DERIBIT"])
def test_each_new_file_begins_with_a_new_subscription(venue: str, tmp_path: Path) -> None:
    feed = rotated(venue, tmp_path, lambda feed, *_: any(map(is_for_nobody, feed.requested)))
    assert {type(request) for request in feed.requested if is_for_nobody(request)} == {Resubscribe}


@pytest.mark.parametrize("venue", ["BINANCE", "BINANCEUM"])
def test_each_new_file_gets_a_snapshot_that_its_updates_follow(venue: str, tmp_path: Path) -> None:
    feed = rotated(venue, tmp_path, lambda feed, *_: len(feed.requested) > 1)
    assert {type(request) for request in feed.requested} == {FetchSnapshot}
    assert not any(map(is_for_nobody, feed.requested)), "the book waits for its image as after a subscription"


def rotated(venue: str, folder: Path, is_done: Any) -> TappedFeed:
    one = next(one for one in shipped_recordings() if one.venue == venue)
    return record(one, folder, RecorderLimits(write_every_s=0.001, file_bytes_max=4_000), is_done=is_done)[0]


def is_for_nobody(request: Any) -> bool:
    return bool(request.epoch == NO_EPOCH)
