"""Reading a journal: segments in order, frames through a bounded window, torn tail versus corruption, verification.

An invalid end of the last segment is a torn write. Invalid bytes that anything valid follows are corruption.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import starmap
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from components.contracts.errors import CorruptData, UsageError
from components.runtime.filesystem import REAL_DISK, Disk
from components.runtime.journal.format import (
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES_MAX,
    Frame,
    FrameHead,
    Record,
    SegmentHeader,
    UnpackedRecord,
    genesis_digest,
    unpack_frame,
    unpack_frame_head,
    unpack_header,
    unpack_records,
)

WINDOW_BYTES: Final = 1 << 20
"""The part of a segment that is held in memory, unless one frame is larger; a segment has up to 64 MiB."""
INDEX_INTERVAL_BYTES: Final = 1 << 18
"""Skipping a quarter of a MiB takes about a millisecond."""
_SEGMENT_NAME: Final = re.compile(r"\d{20}\.log")
_identity: Final = attrgetter("journal_id", "owner", "account")
_sequence: Final = attrgetter("sequence")


class FrameLocation(NamedTuple):
    """The location of a frame: its first record, its segment, its offset (0: the start of the segment)."""

    sequence: int
    segment: int
    offset: int


GENESIS: Final = FrameLocation(1, 1, 0)


def segment_name(first_sequence: int) -> str:
    """Return the file name of a segment. Names sort as their first records do."""
    return f"{first_sequence:020}.log"


def segments_in(disk: Disk, folder: Path) -> list[int]:
    """Return the first sequence of each segment, in order, from the file names."""
    return [int(name[:20]) for name in disk.names(folder) if _SEGMENT_NAME.fullmatch(name)]


def segment_location(disk: Disk, folder: Path, sequence: int) -> FrameLocation:
    """Return the start of the segment that holds a record, from the file names alone."""
    first = max((one for one in segments_in(disk, folder) if one <= sequence), default=1)
    return FrameLocation(first, first, 0)


class Segment:
    """A segment opened for reading, possibly while its writer appends to it."""

    def __init__(self, disk: Disk, folder: Path, first_sequence: int) -> None:
        self.first_sequence, self.path = first_sequence, folder / segment_name(first_sequence)
        self._disk = disk
        self._file = disk.open(self.path, writable=False)
        self.size = disk.size(self._file)
        self._window, self._window_at = b"", 0

    def close(self) -> None:
        """Close the file."""
        self._disk.close(self._file)

    def header(self) -> tuple[SegmentHeader, int] | None:
        """Return the header and its length, or None if it is torn or damaged and not being written at this moment."""
        while (found := unpack_header(self.bytes_at(0, HEADER_BYTES_MAX), self.path)) is None and self._has_changed():
            pass
        return found

    def head_at(self, offset: int) -> FrameHead | None:
        """Return the head of the frame at this offset, or None if no complete frame is there."""
        head = unpack_frame_head(self.bytes_at(offset, FRAME_HEADER_BYTES), offset)
        return head if head and offset + FRAME_HEADER_BYTES + head.body_bytes <= self.size else None

    def frame_at(self, offset: int) -> Frame | None:
        """Return the frame at this offset, or None if there is no valid one and none is just being written."""
        while (frame := self._valid_frame(offset)) is None and self._has_changed():
            pass
        return frame

    def valid_frame_after(self, offset: int) -> Frame | None:
        """Search byte by byte for a valid frame, which proves that everything before it had been durable."""
        while (offset := self._find(FRAME_MAGIC, offset + 1)) >= 0:
            if frame := self._valid_frame(offset):
                return frame
        return None

    def bytes_at(self, offset: int, count: int) -> bytes:
        """Return bytes of the file, up to its size when last measured."""
        start = offset - self._window_at
        if start < 0 or start + count > len(self._window):
            in_file = max(self.size - offset, 0)
            self._window = self._disk.read(self._file, offset, min(max(count, WINDOW_BYTES), in_file))
            self._window_at, start = offset, 0
        return self._window[start : start + count]

    def _valid_frame(self, offset: int) -> Frame | None:
        head = self.head_at(offset)
        return head and unpack_frame(self.bytes_at(offset, FRAME_HEADER_BYTES + head.body_bytes), offset, head)

    def _has_changed(self) -> bool:
        """Measure the size again: an incomplete frame may be in the process of being written while the file grows."""
        size_before, self.size = self.size, self._disk.size(self._file)
        self._window, self._window_at = b"", 0
        return self.size != size_before

    def _find(self, needle: bytes, start: int) -> int:
        while start < self.size:
            chunk = self.bytes_at(start, WINDOW_BYTES)
            if (found := chunk.find(needle)) >= 0:
                return start + found
            # The magic may lie across two windows.
            start += max(len(chunk) - len(needle) + 1, 1)
        return -1


class SparseIndex:
    """A sparse index of frames, so that reading the newest records does not start at the oldest."""

    def __init__(self) -> None:
        self._locations: list[FrameLocation] = []

    def add(self, sequence: int, segment: int, offset: int) -> None:
        """Add a frame if it is far enough behind the last indexed one."""
        last = self._locations[-1] if self._locations else None
        if last is None or last.segment != segment or offset - last.offset >= INDEX_INTERVAL_BYTES:
            self._locations.append(FrameLocation(sequence, segment, offset))

    def find(self, sequence: int) -> FrameLocation:
        """Return the nearest location from which this record can be reached."""
        return self._locations[bisect_right(self._locations, sequence, key=_sequence) - 1]


@dataclass(frozen=True, slots=True)
class TornTail:
    """The invalid end of the last segment: a write that was cut short."""

    path: Path
    offset: int
    bytes_count: int
    sequence: int

    def description(self) -> str:
        """Return a description for a person."""
        return f"{self.path}: record {self.sequence} at offset {self.offset} is torn ({self.bytes_count} bytes)"


class JournalReader:
    """Reads a journal from one location to its end. Afterwards its attributes hold what was found."""

    def __init__(self, disk: Disk, folder: Path, start: FrameLocation = GENESIS) -> None:
        self._disk, self._folder, self._start = disk, folder, start
        self._segments = segments_in(disk, folder)
        if start.segment not in self._segments:
            raise self._missing_segment_error(start.segment)
        self.header: SegmentHeader | None = None  # of the last segment with a valid header
        self.last_sequence = start.sequence - 1
        self.head: bytes | None = None  # unknown until the first record is read
        self.last_write_at = self.end = 0
        self.index = SparseIndex()
        self.torn_tail: TornTail | None = None

    def records(self, from_sequence: int = 1) -> Iterator[UnpackedRecord]:
        """Yield the records from this sequence on. Frames before it are skipped without reading their records."""
        first = self._segments.index(self._start.segment)
        for number in range(first, len(self._segments)):
            with closing(Segment(self._disk, self._folder, self._segments[number])) as segment:
                has_header = self._open_segment(segment)
                if has_header:
                    yield from self._records_of(segment, from_sequence)
                if not has_header or self.end < segment.size:
                    self._classify_damage(segment, self._segments[number + 1 : number + 2])

    def _open_segment(self, segment: Segment) -> bool:
        """Verify that the segment belongs where its name says, and move to its first frame to be read."""
        self.end = 0
        if (found := segment.header()) is None:
            return False
        header, self.end = found
        self._check_link(segment, header)
        self.header, self.head, self.last_write_at = header, header.previous, 0
        if self._start.offset and segment.first_sequence == self._start.segment:
            self.head, self.end = None, self._start.offset
        return True

    def _check_link(self, segment: Segment, header: SegmentHeader) -> None:
        expected = self._start.segment if self.header is None else self.last_sequence + 1
        if not header.first_sequence == segment.first_sequence == expected:
            raise CorruptData(
                f"{segment.path}: record {expected} is missing, record {header.first_sequence} comes next"
            )
        previous = self.head
        if segment.first_sequence == 1:
            previous = genesis_digest(*_identity(header))
        if self.header is not None and _identity(header) != _identity(self.header):
            raise CorruptData(f"{segment.path}: record {expected} is from another journal, {header.journal_id}")
        if header.previous != (previous or header.previous):
            raise CorruptData(f"{segment.path}: record {expected} does not follow from the one before it")

    def _records_of(self, segment: Segment, from_sequence: int) -> Iterator[UnpackedRecord]:
        while self._skip_frame(segment, from_sequence):
            pass
        while (frame := segment.frame_at(self.end)) is not None:
            self._check_order(segment, frame.first_sequence)
            yield from self._records_in(frame, segment, from_sequence)

    def _skip_frame(self, segment: Segment, from_sequence: int) -> bool:
        head = segment.head_at(self.end)
        if head is None or head.first_sequence + head.records > from_sequence:
            return False
        self._check_order(segment, head.first_sequence)
        self.last_sequence += head.records
        self.head, self.end = None, self.end + FRAME_HEADER_BYTES + head.body_bytes
        return True

    def _records_in(self, frame: Frame, segment: Segment, from_sequence: int) -> Iterator[UnpackedRecord]:
        head = self.head
        for unpacked in unpack_records(frame, head, segment.path):
            head = unpacked[3]
            if unpacked[0] >= from_sequence:
                yield unpacked
        self.index.add(frame.first_sequence, segment.first_sequence, frame.offset)
        self.head, self.last_sequence = head, self.last_sequence + frame.records
        self.last_write_at, self.end = frame.offset, frame.end

    def _check_order(self, segment: Segment, sequence: int) -> None:
        if sequence != self.last_sequence + 1:
            missing = f"record {self.last_sequence + 1} is missing, record {sequence} comes next"
            raise CorruptData(f"{segment.path}: at offset {self.end} {missing}")

    def _classify_damage(self, segment: Segment, next_segments: list[int]) -> None:
        """Raise CorruptData if anything valid follows the damage; otherwise record a torn tail.

        Only one write is in progress at a time, and a new segment is created only after the previous one was synced.
        """
        damaged = self.last_sequence + 1
        later = segment.valid_frame_after(self.end)
        following = [later.first_sequence] if later else next_segments
        if not following:
            self.torn_tail = TornTail(segment.path, self.end, segment.size - self.end, damaged)
            return
        last = following[0] - 1
        what = f"record {damaged}" if last <= damaged else f"one of the records {damaged} to {last}"
        where = f"at offset {self.end}" if self.end else "at offset 0 (or the segment header there)"
        raise CorruptData(f"{segment.path}: {what} {where} is damaged, and record {following[0]} is valid")

    def _missing_segment_error(self, first_sequence: int) -> UsageError | CorruptData:
        if not self._segments:
            return UsageError(f"{self._folder} holds no journal")
        return CorruptData(f"{self._folder}: record {first_sequence} is missing, the first segment begins later")


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a journal; `problem` names the record and the offset."""

    ok: bool
    records: int
    last_sequence: int
    head_hash: str
    problem: str | None


def read_records(folder: Path, from_sequence: int = 1, *, disk: Disk = REAL_DISK) -> Iterator[Record]:
    """Yield the records of a journal without locking it, also while a process writes to it.

    An incomplete end is ignored.
    """
    first = max(from_sequence, 1)
    return starmap(Record, JournalReader(disk, folder, segment_location(disk, folder, first)).records(first))


def verify_journal(folder: Path, *, disk: Disk = REAL_DISK) -> Verification:
    """Verify the chain from the first record on. A torn tail counts as a problem until the next start truncates it."""
    reader, problem = JournalReader(disk, folder), None
    try:
        for _ in reader.records():
            pass
    except CorruptData as damage:
        problem = str(damage)
    # An empty last segment has just been created by a writer: nothing is torn.
    if reader.torn_tail is not None and (reader.torn_tail.bytes_count or reader.header is None):
        problem = reader.torn_tail.description()
    head_hash = (reader.head or b"").hex()
    return Verification(problem is None, reader.last_sequence, reader.last_sequence, head_hash, problem)
