"""The format of recordings, and the matching of recorded snapshots to requests.

A recording holds one received frame per line; the file name states the venue and the start time.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from components.contracts.errors import CorruptData
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import DepthSnapshot, FeedMessage, FetchSnapshot

SUFFIX: Final = ".jsonl"
PARTIAL_SUFFIX: Final = ".part"
TIMESTAMP_FORMAT: Final = "%Y%m%dT%H%M%S"
ReplayEvent: TypeAlias = tuple[int, FeedMessage | DepthSnapshot]
"""A receive time and what was received; a fetched snapshot is the reply to the request that waits for one."""
_FILE_NAME: Final = re.compile(r"([A-Z]{2,16})_(\d{8}T\d{6})_([1-9]\d{0,8})\.jsonl(\.part)?", re.ASCII)
_SURROGATE: Final = b"\\ud"


class Via(StrEnum):
    """How a frame was received."""

    STREAM = "ws"
    RESPONSE = "http"


class Frame(Struct, frozen=True, gc=False):
    """One frame of a stream, or one HTTP response, exactly as received."""

    at_ns: int
    via: Via
    url: str
    text: bytes


class _Line(Struct):
    at_ns: int
    via: Via
    url: str
    text: str


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Line).decode


def encode_line(frame: Frame) -> bytes:
    """Encode one frame as a line with its line end."""
    try:
        return _encode(_Line(frame.at_ns, frame.via, frame.url, frame.text.decode())) + b"\n"
    except UnicodeDecodeError:
        return _encode_invalid_utf8(frame)


def decode_line(line: bytes, name: str, number: int) -> Frame:
    """Decode one line; raise CorruptData, naming the file and the line, if it is not a recorded frame."""
    try:
        read = _decode(line) if _SURROGATE not in line else _decode_invalid_utf8(line)
        text = read.text.encode("utf-8", "surrogateescape")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CorruptData(f"{name}: line {number} is not a recorded frame: {error}") from error
    return Frame(read.at_ns, read.via, read.url, text)


# Bytes that are not UTF-8 are kept exactly, each as the lone surrogate of Python's surrogateescape.
def _encode_invalid_utf8(frame: Frame) -> bytes:
    text = frame.text.decode("utf-8", "surrogateescape")
    line = {"at_ns": frame.at_ns, "via": frame.via, "url": frame.url, "text": text}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _decode_invalid_utf8(line: bytes) -> _Line:
    return msgspec.convert(json.loads(line), _Line)


class RecordingFile(Struct, frozen=True, order=True, gc=False):
    """One file of a recording as described by its name; files with one start time are ordered by their number."""

    venue: Venue
    began_at_s: int
    number: int
    is_complete: bool = True
    """False if the file is still being written or its writer did not finish."""

    def follows(self, other: "RecordingFile") -> bool:
        """Return whether this file continues where the other ends."""
        return (self.venue, self.began_at_s, self.number) == (other.venue, other.began_at_s, other.number + 1)


def file_name(file: RecordingFile) -> str:
    """Return the file name: VENUE_YYYYMMDDTHHMMSS_n.jsonl, in UTC."""
    stamp = datetime.fromtimestamp(file.began_at_s, UTC).strftime(TIMESTAMP_FORMAT)
    return f"{file.venue}_{stamp}_{file.number}{SUFFIX}{'' if file.is_complete else PARTIAL_SUFFIX}"


def parse_file_name(name: str) -> RecordingFile | None:
    """Parse a file name; return None if it is not the name of a recording."""
    parts = _FILE_NAME.fullmatch(name)
    if parts is None:
        return None
    venue, stamp, number, unfinished = parts.groups()
    try:
        began = datetime.strptime(stamp, TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return RecordingFile(Venue(venue), int(began.timestamp()), int(number), unfinished is None)


def list_files(names: Iterable[str]) -> list[tuple[str, RecordingFile]]:
    """Return the recordings among some file names, ordered by venue, start time and number."""
    found = [(name, part) for name in names if (part := parse_file_name(name)) is not None]
    return sorted(found, key=lambda one: one[1])


def group_consecutive(paths: Iterable[Path]) -> list[list[Path]]:
    """Group files that directly follow each other into one recording each; any other file is a recording of its own."""
    recordings: list[list[Path]] = []
    before: tuple[Path, RecordingFile | None] | None = None
    for path in paths:
        part = parse_file_name(path.name)
        if before and part and before[1] and path.parent == before[0].parent and part.follows(before[1]):
            recordings[-1].append(path)
        else:
            recordings.append([path])
        before = path, part
    return recordings


class SnapshotMatcher:
    """Pairs requests with recorded snapshots.

    One request and one snapshot are kept per symbol; a newer one replaces the older.
    """

    def __init__(self) -> None:
        self._requests: dict[Symbol, FetchSnapshot] = {}
        self._snapshots: dict[Symbol, DepthSnapshot] = {}

    def match_request(self, request: FetchSnapshot) -> DepthSnapshot | None:
        """Return the snapshot that is waiting for a request; otherwise keep the request for the next snapshot."""
        snapshot = self._snapshots.pop(request.symbol, None)
        if snapshot is None:
            self._requests[request.symbol] = request
        return snapshot

    def match_snapshot(self, snapshot: DepthSnapshot) -> FetchSnapshot | None:
        """Return the request that is waiting for a snapshot; otherwise keep the snapshot for the next request."""
        request = self._requests.pop(snapshot.symbol, None)
        if request is None:
            self._snapshots[snapshot.symbol] = snapshot
        return request
