"""One pass over the log in order: what holds, where it ends, and whether its end is torn or its middle damaged."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from components.contracts.errors import CorruptData, UsageError
from components.runtime.disk import Disk
from components.runtime.journal_format import (
    FRAME_HEADER_BYTES,
    Frame,
    SegmentHeader,
    UnpackedRecord,
    genesis_digest,
    unpack_records,
)
from components.runtime.journal_segment import Segment, segments_in

INDEX_INTERVAL_BYTES: Final = 1 << 18  # stepping over a quarter of a MiB takes about a millisecond
_identity: Final = attrgetter("journal_id", "owner", "account")
_sequence: Final = attrgetter("sequence")


class FrameLocation(NamedTuple):
    """Where a frame stands: which record it begins with, in which segment, at which offset (0: the segment's start)."""

    sequence: int
    segment: int
    offset: int


GENESIS: Final = FrameLocation(1, 1, 0)


class SparseIndex:
    """A sparse index, so that reading the newest records does not begin at the oldest."""

    def __init__(self) -> None:
        self._locations: list[FrameLocation] = []

    def add(self, sequence: int, segment: int, offset: int) -> None:
        """Remember a frame, if the last one remembered is far enough behind it."""
        last = self._locations[-1] if self._locations else None
        if last is None or last.segment != segment or offset - last.offset >= INDEX_INTERVAL_BYTES:
            self._locations.append(FrameLocation(sequence, segment, offset))

    def find(self, sequence: int) -> FrameLocation:
        """Give the nearest place from which this record can be reached."""
        return self._locations[bisect_right(self._locations, sequence, key=_sequence) - 1]


@dataclass(frozen=True, slots=True)
class TornTail:
    """The end of the last segment, where nothing whole stands any more: a write that was cut short."""

    path: Path
    offset: int
    bytes_count: int
    sequence: int

    def described(self) -> str:
        """Say it to a person."""
        return f"{self.path}: record {self.sequence} at offset {self.offset} is torn ({self.bytes_count} bytes)"


def segment_location(disk: Disk, folder: Path, sequence: int) -> FrameLocation:
    """Find the segment of a record by the names of the files alone."""
    first = max((one for one in segments_in(disk, folder) if one <= sequence), default=1)
    return FrameLocation(first, first, 0)


class JournalReader:
    """Reads a journal's folder from one place to its end; afterwards the attributes tell how far it came."""

    def __init__(self, disk: Disk, folder: Path, start: FrameLocation = GENESIS) -> None:
        self._disk, self._folder, self._start = disk, folder, start
        self._segments = segments_in(disk, folder)
        if start.segment not in self._segments:
            raise self._missing(start.segment)
        self.header: SegmentHeader | None = None  # of the last segment whose header is whole
        self.last_sequence = start.sequence - 1
        self.head: bytes | None = None  # unknown until the first record is read
        self.last_write_at = self.end = 0
        self.index = SparseIndex()
        self.torn_tail: TornTail | None = None

    def records(self, from_sequence: int = 1) -> Iterator[UnpackedRecord]:
        """Read on from this record; the frames before it are stepped over unread."""
        first = self._segments.index(self._start.segment)
        for number in range(first, len(self._segments)):
            with closing(Segment(self._disk, self._folder, self._segments[number])) as segment:
                is_begun = self._open_segment(segment)
                if is_begun:
                    yield from self._records_of(segment, from_sequence)
                if not is_begun or self.end < segment.size:
                    self._classify_damage(segment, self._segments[number + 1 : number + 2])

    def _open_segment(self, segment: Segment) -> bool:
        """Check that the segment belongs where its name says, and stand before its first frame to be read."""
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
        while self._step_over(segment, from_sequence):
            pass
        while (frame := segment.frame_at(self.end)) is not None:
            self._check_order(segment, frame.first_sequence)
            yield from self._records_in(frame, segment, from_sequence)

    def _step_over(self, segment: Segment, from_sequence: int) -> bool:
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
            wrong = f"record {self.last_sequence + 1} is missing, record {sequence} comes next"
            raise CorruptData(f"{segment.path}: at offset {self.end} {wrong}")

    def _classify_damage(self, segment: Segment, next_segments: list[int]) -> None:
        """Refuse damage that anything whole follows; take it for a torn write where nothing does.

        Only one write is ever on its way, and a later segment is begun only after this one was synced.
        """
        damaged = self.last_sequence + 1
        later = segment.valid_frame_after(self.end)
        following = [later.first_sequence] if later else next_segments
        if not following:
            self.torn_tail = TornTail(segment.path, self.end, segment.size - self.end, damaged)
            return
        last = following[0] - 1
        what = f"record {damaged}" if last <= damaged else f"one of the records {damaged} to {last}"
        where = f"at offset {self.end}" if self.end else "at offset 0 (the segment's header before it)"
        raise CorruptData(f"{segment.path}: {what} {where} is damaged, and record {following[0]} is whole")

    def _missing(self, first_sequence: int) -> UsageError | CorruptData:
        if not self._segments:
            return UsageError(f"{self._folder} holds no journal")
        return CorruptData(f"{self._folder}: record {first_sequence} is missing, the first segment begins later")
