"""The recorder writes every frame it accepted, completes its files, and never blocks the event loop."""

import json
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace
from typing_extensions import override

from components.contracts.errors import StorageError
from components.contracts.values import Venue
from components.market_data.core.recording import (
    Frame,
    Via,
    encode_line,
    group_consecutive,
    list_files,
    parse_file_name,
)
from components.market_data.venues.recording.capture import Recorder, RecorderLimits
from components.market_data.venues.recording.reader import Recording, open_recording
from components.market_data.venues.recording.verify import verify
from components.runtime.filesystem import OpenFile, RealDisk
from tests.support.eventually import eventually
from tests.support.shipped_recordings import ShippedRecording, shipped_recordings

OKX = Venue("OKX")
S = 1_000_000_000
LIMITS = RecorderLimits(write_every_s=0.001)
AT_NS = 1_767_225_600 * S
URL = "wss://ws.okx.com:8443/ws/v5/public"


def limits(**bounds: int) -> RecorderLimits:
    return replace(LIMITS, **bounds)


def frame(number: int, text: bytes = b"pong") -> Frame:
    return Frame(AT_NS + number * S, Via.STREAM, URL, text)


def put(recorder: Recorder, *frames: Frame, venue: Venue = OKX) -> None:
    tap = recorder.tap(venue)
    for one in frames:
        tap.on_frame(one.via, one.url, one.text, one.at_ns)


def files(folder: Path) -> list[Path]:
    return [folder / name for name, _ in list_files(path.name for path in folder.iterdir())]


class StuckDisk(RealDisk):
    """Blocks writes until the test allows them."""

    def __init__(self) -> None:
        self.may, self.tried = Event(), Event()

    @override
    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        self.tried.set()
        self.may.wait(10)
        super().write(file, offset, content)


class FullDisk(RealDisk):
    """A disk without free space."""

    @override
    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        raise StorageError(f"write {file.path}: No space left on device")


def test_tapped_frames_are_read_back_unchanged(tmp_path: Path) -> None:
    frames = [frame(number, text) for number, text in enumerate((b"pong", b'{"a":"\xc3\xa4"}', b"\xff\x00", b""))]
    with Recorder(tmp_path / "new" / "folder", LIMITS) as recorder:
        put(recorder, *frames)
    (path,) = files(tmp_path / "new" / "folder")
    assert path.name == "OKX_20260101T000000_1.jsonl"
    assert list(Recording([path])) == frames
    report = recorder.report()
    assert (report.frames, report.dropped, report.files) == (4, 0, (path.name,))


def test_each_venue_has_files_of_its_own(tmp_path: Path) -> None:
    with Recorder(tmp_path, LIMITS) as recorder:
        put(recorder, frame(0))
        put(recorder, frame(1), venue=Venue("DERIBIT"))
        put(recorder, frame(2))
    assert [path.name for path in files(tmp_path)] == ["DERIBIT_20260101T000001_1.jsonl", "OKX_20260101T000000_1.jsonl"]
    assert [len(list(Recording([path]))) for path in files(tmp_path)] == [1, 2]


def test_a_file_ends_before_it_is_too_large(tmp_path: Path) -> None:
    size = len(encode_line(frame(0)))
    with Recorder(tmp_path, limits(file_bytes_max=2 * size)) as recorder:
        put(recorder, *map(frame, range(5)))
    assert [path.stat().st_size for path in files(tmp_path)] == [2 * size, 2 * size, size]
    assert list(Recording(files(tmp_path))) == list(map(frame, range(5)))
    assert recorder.rotations(OKX) == 2
    assert recorder.rotations(Venue("DERIBIT")) == 0


def test_a_file_ends_when_its_time_is_over(tmp_path: Path) -> None:
    with Recorder(tmp_path, limits(file_s_max=10)) as recorder:
        put(recorder, *map(frame, (0, 9, 10, 21, 30)))
    assert [len(list(Recording([path]))) for path in files(tmp_path)] == [2, 1, 2]
    assert group_consecutive(files(tmp_path)) == [files(tmp_path)]


def test_every_file_begins_with_the_metadata(tmp_path: Path) -> None:
    listed = Frame(AT_NS, Via.RESPONSE, "https://www.okx.com/api/v5/public/instruments?instType=SPOT", b"{}")
    book = Frame(AT_NS, Via.RESPONSE, "https://www.okx.com/api/v5/market/books?instId=BTC-USDT", b"{}")
    with Recorder(tmp_path, limits(file_s_max=10)) as recorder:
        put(recorder, listed, book, frame(0), frame(10), frame(20))
    assert [list(Recording([path])) for path in files(tmp_path)] == [
        [listed, book, frame(0)],
        [listed, frame(10)],
        [listed, frame(20)],
    ]


def test_metadata_larger_than_a_file_does_not_make_a_file_of_each_frame(tmp_path: Path) -> None:
    listed = Frame(AT_NS, Via.RESPONSE, "https://www.okx.com/api/v5/public/instruments?instType=SPOT", b"x" * 5_000)
    with Recorder(tmp_path, limits(file_bytes_max=1_000)) as recorder:
        put(recorder, listed, *map(frame, range(10)))
    assert [len(list(Recording([path]))) for path in files(tmp_path)] == [1, 11]


def test_a_second_recorder_takes_no_name_that_is_taken(tmp_path: Path) -> None:
    for _ in range(3):
        with Recorder(tmp_path, LIMITS) as recorder:
            put(recorder, frame(0))
    assert [part.number for path in files(tmp_path) if (part := parse_file_name(path.name))] == [1, 2, 3]


def test_a_file_gets_its_final_name_only_when_complete(tmp_path: Path) -> None:
    disk = StuckDisk()
    with Recorder(tmp_path, LIMITS, disk) as recorder:
        put(recorder, frame(0))
        assert disk.tried.wait(5)
        assert [path.name for path in files(tmp_path)] == ["OKX_20260101T000000_1.jsonl.part"]
        disk.may.set()
    assert [path.name for path in files(tmp_path)] == ["OKX_20260101T000000_1.jsonl"]


def test_a_frame_that_finds_the_queue_full_is_dropped_and_counted(tmp_path: Path) -> None:
    disk = StuckDisk()
    with Recorder(tmp_path, limits(queued_frames_max=3), disk) as recorder:
        put(recorder, frame(0))
        assert disk.tried.wait(5)
        put(recorder, *map(frame, range(1, 8)))
        assert recorder.dropped == 4
        disk.may.set()
    assert list(Recording(files(tmp_path))) == [frame(0), frame(1), frame(2), frame(3)]
    assert recorder.report().dropped == 4


def test_large_frames_fill_the_queue_by_their_bytes(tmp_path: Path) -> None:
    disk = StuckDisk()
    with Recorder(tmp_path, limits(queued_bytes_max=1_000), disk) as recorder:
        put(recorder, frame(0, b"x" * 100))
        assert disk.tried.wait(5)
        put(recorder, frame(1, b"x" * 800), frame(2, b"x" * 800), frame(3, b"x" * 100))
        assert recorder.dropped == 1
        disk.may.set()


def test_a_full_disk_is_reported_and_later_frames_are_counted_as_dropped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, LIMITS, FullDisk())
    with pytest.raises(StorageError, match="No space left"), recorder:
        lose_two(recorder)
    assert recorder.dropped == 1


def lose_two(recorder: Recorder) -> None:
    put(recorder, frame(0))
    eventually(lambda: recorder.failure)
    put(recorder, frame(1))


@pytest.mark.parametrize("one", shipped_recordings(), ids=lambda one: one.venue)
def test_a_recording_in_many_files_is_the_same_recording(one: ShippedRecording, tmp_path: Path) -> None:
    frames = list(Recording([one.path]))
    with Recorder(tmp_path, limits(file_bytes_max=8_000)) as recorder:
        put(recorder, *frames, venue=Venue(one.venue))
    parts = files(tmp_path)
    assert len(parts) > 3
    whole = Recording(parts)
    (book,) = verify(whole, open_recording(whole))
    verdict = book.report()
    assert {key: getattr(verdict, key) for key in one.expected_report()} == one.expected_report()
    assert json.loads(parts[0].read_text().splitlines()[0])["via"] == "http"
