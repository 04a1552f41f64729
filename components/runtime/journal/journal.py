"""The append-only, hash-chained journal of one process: open and recover, append, rotate, read.

Every write is one frame and one sync. Opening truncates a torn tail (the bytes are kept in a file beside it) and
rewrites the last frame, so that it is durable before anything acts on it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice, starmap
from pathlib import Path
from typing import Final

from components.contracts.errors import ConfigError, CorruptData, InvariantError, StorageError
from components.runtime.filesystem import REAL_DISK, Disk, OpenFile
from components.runtime.journal.format import (
    Entry,
    Record,
    SegmentHeader,
    frame_bytes,
    genesis_digest,
    pack_frame,
    pack_header,
)
from components.runtime.journal.reader import JournalReader, TornTail, segment_name, segments_in

SEGMENT_BYTES_MAX: Final = 64 << 20
"""Small enough to copy and verify one at a time, large enough to keep their number low."""


@dataclass(frozen=True, slots=True)
class TruncatedTail:
    """The bytes of an unacknowledged write that were cut off when the journal was opened."""

    bytes_cut: int
    kept_as: Path


class Journal:
    """The only writer of a journal's folder. Another thread may read while one writes."""

    def __init__(
        self, disk: Disk, folder: Path, lock: OpenFile, new_header: SegmentHeader, segment_bytes_max: int
    ) -> None:
        reader, self._header, torn = recover(disk, folder, new_header)
        self._disk, self._folder, self._lock = disk, folder, lock
        self._segment_bytes_max = segment_bytes_max
        self._file = disk.open(folder / segment_name(self._header.first_sequence), writable=True)
        self._index, self._end = reader.index, reader.end
        self._failure: str | None = None
        self.truncated = TruncatedTail(*torn) if torn else None
        self.in_memory = disk.is_in_memory(folder)
        self.journal_id = self._header.journal_id
        self.last_sequence = reader.last_sequence
        self.head = reader.head or self._header.previous

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        owner: str,
        account: str,
        now_ns: int,
        disk: Disk = REAL_DISK,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> "Journal":
        """Create the journal or open it after its last record. ResourceBusy names the process that holds it."""
        identity = disk.random_bytes(16).hex()
        new_header = SegmentHeader(identity, owner, account, now_ns, 1, genesis_digest(identity, owner, account))
        disk.make_folder(folder)
        with ExitStack() as held:
            lock = disk.lock(folder / "lock")
            held.callback(disk.close, lock)
            journal = cls(disk, folder, lock, new_header, segment_bytes_max)
            held.pop_all()
        return journal

    def write(self, entries: Sequence[Entry]) -> None:
        """Write the entries as one frame and sync once. After the first StorageError every write fails."""
        if self._failure is not None:
            raise StorageError(self._failure)
        if not entries:
            return
        try:
            self._append(entries)
        except StorageError as failed:
            # The state on disk after a failed sync is unknown, and a second sync may succeed although data is lost.
            self._failure = str(failed)
            raise

    def records(self, from_sequence: int = 1) -> Iterator[Record]:
        """Yield the records that were durable when this was called, from a sequence on."""
        first, last = max(from_sequence, 1), self.last_sequence
        if first > last:
            return
        reader = JournalReader(self._disk, self._folder, self._index.find(first))
        read_to = first - 1
        for record in starmap(Record, islice(reader.records(first), last - read_to)):
            yield record
            read_to = record.sequence
        if read_to < last:
            raise CorruptData(f"{self._folder}: record {read_to + 1} was durable and is missing")

    def close(self) -> None:
        """Release the folder. Everything written is already durable."""
        self._disk.close(self._file)
        self._disk.close(self._lock)

    def _append(self, entries: Sequence[Entry]) -> None:
        first_sequence = self.last_sequence + 1
        segment_has_records = first_sequence > self._header.first_sequence
        if segment_has_records and self._end + frame_bytes(entries) > self._segment_bytes_max:
            self._rotate(entries[0][0])
        frame, head = pack_frame(entries, first_sequence=first_sequence, previous=self.head, offset=self._end)
        self._disk.write(self._file, self._end, frame)
        self._disk.fdatasync(self._file)
        self._index.add(first_sequence, self._header.first_sequence, self._end)
        self._end += len(frame)
        self.head, self.last_sequence = head, self.last_sequence + len(entries)

    def _rotate(self, now_ns: int) -> None:
        first_sequence = self.last_sequence + 1
        header = replace(self._header, created_at_ns=now_ns, first_sequence=first_sequence, previous=self.head)
        full = self._file
        self._file, self._end = create_segment(self._disk, self._folder, header)
        self._header = header
        self._disk.close(full)


def read_to_end(disk: Disk, folder: Path) -> JournalReader:
    """Verify the chain from the first record to the end."""
    reader = JournalReader(disk, folder)
    deque(reader.records(), maxlen=0)
    return reader


def recover(
    disk: Disk, folder: Path, new_header: SegmentHeader
) -> tuple[JournalReader, SegmentHeader, tuple[int, Path] | None]:
    """Make the journal ready for writing.

    Return its reader, the last segment's header, and what was truncated to which file.
    """
    torn = None
    reader = _open_reader(disk, folder, new_header)
    if reader.torn_tail is not None:
        torn = reader.torn_tail.bytes_count, _truncate_tail(disk, folder, reader.torn_tail)
        reader = _open_reader(disk, folder, new_header)
    if reader.header is None or reader.torn_tail is not None:
        raise InvariantError(f"{folder} is still torn after its tail was truncated")
    _rewrite_last_frame(disk, folder / segment_name(reader.header.first_sequence), reader)
    return reader, reader.header, torn


def _open_reader(disk: Disk, folder: Path, new_header: SegmentHeader) -> JournalReader:
    if not segments_in(disk, folder):
        disk.close(create_segment(disk, folder, new_header)[0])
    reader = read_to_end(disk, folder)
    found = reader.header or new_header
    if (found.owner, found.account) != (new_header.owner, new_header.account):
        ours, theirs = (f"{one.owner} for account {one.account}" for one in (new_header, found))
        raise ConfigError(f"{folder} is the journal of {theirs}, not of {ours}")
    return reader


def _truncate_tail(disk: Disk, folder: Path, tail: TornTail) -> Path:
    """Copy the torn bytes durably to a file beside the journal, then cut them off."""
    kept_as = _free_name(disk, folder, f"{tail.path.name}.torn-{tail.offset}")
    if tail.offset == 0:
        disk.rename(tail.path, kept_as)
        disk.sync_folder(folder)
        return kept_as
    segment, beside = disk.open(tail.path, writable=True), disk.create(kept_as)
    disk.write(beside, 0, disk.read(segment, tail.offset, tail.bytes_count))
    disk.fdatasync(beside)
    disk.sync_folder(folder)
    disk.truncate(segment, tail.offset)
    disk.fdatasync(segment)
    disk.close(beside)
    disk.close(segment)
    return kept_as


def _free_name(disk: Disk, folder: Path, name: str) -> Path:
    taken = sum(one.startswith(f"{name}-") for one in disk.names(folder))
    return folder / f"{name}-{taken + 1}"


def _rewrite_last_frame(disk: Disk, path: Path, reader: JournalReader) -> None:
    """Write the last frame again and sync it, before anything acts on it.

    A process that was killed may have left it unsynced; a sync that failed may have left pages that are marked clean
    but exist only in memory. Only writing marks them dirty, so that the next sync includes them.
    """
    file = disk.open(path, writable=True)
    disk.write(file, reader.last_write_at, disk.read(file, reader.last_write_at, reader.end - reader.last_write_at))
    disk.fdatasync(file)
    disk.sync_folder(path.parent)
    disk.close(file)


def create_segment(disk: Disk, folder: Path, header: SegmentHeader) -> tuple[OpenFile, int]:
    """Create a segment durably: first its header, then its name. Return it with the offset of its first frame."""
    content = pack_header(header)
    file = disk.create(folder / segment_name(header.first_sequence))
    disk.write(file, 0, content)
    disk.fdatasync(file)
    disk.sync_folder(folder)
    return file, len(content)
