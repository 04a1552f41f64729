"""The append-only log: what a process must not forget is here, synced, before anyone is told."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice, starmap
from pathlib import Path
from typing import Final

from components.contracts.errors import CorruptData, StorageError
from components.runtime.disk import REAL_DISK, Disk, OpenFile
from components.runtime.journal_format import Entry, SegmentHeader, frame_bytes, genesis_digest, pack_frame
from components.runtime.journal_recovery import recover
from components.runtime.journal_scan import JournalReader, segment_location
from components.runtime.journal_segment import create_segment, segment_name

SEGMENT_BYTES_MAX: Final = 64 << 20  # small enough to copy and verify one at a time, large enough to have few


@dataclass(frozen=True, slots=True)
class Record:
    """One entry as it is kept; `digest` is the head of the chain after it."""

    sequence: int
    at_ns: int
    payload: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class TruncatedTail:
    """What the last crash left of a write that was never acknowledged."""

    bytes_cut: int
    kept_as: Path


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk from genesis found; `problem` names the record and the offset."""

    ok: bool
    records: int
    last_sequence: int
    head_hash: str
    problem: str | None


class Journal:
    """The one writer of a journal's folder; another thread may read while one writes."""

    def __init__(
        self, disk: Disk, folder: Path, lock: OpenFile, new_header: SegmentHeader, segment_bytes_max: int
    ) -> None:
        scan, self._header, torn = recover(disk, folder, new_header)
        self._disk, self._folder, self._lock = disk, folder, lock
        self._segment_bytes_max = segment_bytes_max
        self._file = disk.open(folder / segment_name(self._header.first_sequence), writable=True)
        self._index, self._end = scan.index, scan.end
        self._failure: str | None = None
        self.truncated = TruncatedTail(*torn) if torn else None
        self.in_memory = disk.is_in_memory(folder)
        self.journal_id = self._header.journal_id
        self.last_sequence = scan.last_sequence
        self.head = scan.head or self._header.previous

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
        """Begin the journal or take it up where it ends; Busy names who holds it."""
        identity = disk.random_bytes(16).hex()
        newborn = SegmentHeader(identity, owner, account, now_ns, 1, genesis_digest(identity, owner, account))
        disk.make_folder(folder)
        with ExitStack() as held:
            lock = disk.lock(folder / "lock")
            held.callback(disk.close, lock)
            journal = cls(disk, folder, lock, newborn, segment_bytes_max)
            held.pop_all()
        return journal

    def write(self, entries: Sequence[Entry]) -> None:
        """Write the entries as one frame and sync it once; after the first IoFailed every write fails."""
        if self._failure is not None:
            raise StorageError(self._failure)
        if not entries:
            return
        try:
            self._append(entries)
        except StorageError as failed:
            # What a failed sync left behind cannot be known here, and a second one would lie about it.
            self._failure = str(failed)
            raise

    def records(self, from_sequence: int = 1) -> Iterator[Record]:
        """Read what was durable when asked; frames that come later are left out."""
        first, last = max(from_sequence, 1), self.last_sequence
        if first > last:
            return
        scan = JournalReader(self._disk, self._folder, self._index.find(first))
        read_to = first - 1
        for record in starmap(Record, islice(scan.records(first), last - read_to)):
            yield record
            read_to = record.sequence
        if read_to < last:
            raise CorruptData(f"{self._folder}: record {read_to + 1} had been durable and is gone")

    def close(self) -> None:
        """Let go of the folder. Everything written is durable already."""
        self._disk.close(self._file)
        self._disk.close(self._lock)

    def _append(self, entries: Sequence[Entry]) -> None:
        first_sequence = self.last_sequence + 1
        segment_is_begun = first_sequence > self._header.first_sequence
        if segment_is_begun and self._end + frame_bytes(entries) > self._segment_bytes_max:
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


def read_records(folder: Path, from_sequence: int = 1, *, disk: Disk = REAL_DISK) -> Iterator[Record]:
    """Read a journal without its lock, beside a live writer too; a torn or growing end is simply the end."""
    first = max(from_sequence, 1)
    return starmap(Record, JournalReader(disk, folder, segment_location(disk, folder, first)).records(first))


def verify_journal(folder: Path, *, disk: Disk = REAL_DISK) -> Verification:
    """Follow the chain from genesis; a torn tail is a problem too until a start has set it aside."""
    scan, problem = JournalReader(disk, folder), None
    try:
        for _ in scan.records():
            pass
    except CorruptData as damage:
        problem = str(damage)
    # A last segment without a byte is one that a writer has just begun: nothing is torn from it.
    if scan.torn_tail is not None and (scan.torn_tail.bytes_count or scan.header is None):
        problem = scan.torn_tail.described()
    head_hash = (scan.head or b"").hex()
    return Verification(problem is None, scan.last_sequence, scan.last_sequence, head_hash, problem)
