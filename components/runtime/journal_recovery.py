"""How a log is made fit for writing: begun if it is new, its torn end set aside, its last write made sure."""

from collections import deque
from pathlib import Path

from components.contracts.errors import ConfigError, InvariantError
from components.runtime.disk import Disk
from components.runtime.journal_format import SegmentHeader
from components.runtime.journal_scan import JournalReader, TornTail
from components.runtime.journal_segment import create_segment, segment_name, segments_in


def read_to_end(disk: Disk, folder: Path) -> JournalReader:
    """Follow the chain from genesis to the end."""
    scan = JournalReader(disk, folder)
    deque(scan.records(), maxlen=0)
    return scan


def recover(
    disk: Disk, folder: Path, new_header: SegmentHeader
) -> tuple[JournalReader, SegmentHeader, tuple[int, Path] | None]:
    """Give the log as it now stands, its last segment's header, and what was torn off, kept where."""
    torn = None
    scan = _open_scan(disk, folder, new_header)
    if scan.torn_tail is not None:
        torn = scan.torn_tail.bytes_count, _truncate_tail(disk, folder, scan.torn_tail)
        scan = _open_scan(disk, folder, new_header)
    if scan.header is None or scan.torn_tail is not None:
        raise InvariantError(f"{folder} is still torn after its tail was set aside")
    _rewrite_last_frame(disk, folder / segment_name(scan.header.first_sequence), scan)
    return scan, scan.header, torn


def _open_scan(disk: Disk, folder: Path, new_header: SegmentHeader) -> JournalReader:
    if not segments_in(disk, folder):
        disk.close(create_segment(disk, folder, new_header)[0])
    scan = read_to_end(disk, folder)
    found = scan.header or new_header
    if (found.owner, found.account) != (new_header.owner, new_header.account):
        ours, theirs = (f"{one.owner} for account {one.account}" for one in (new_header, found))
        raise ConfigError(f"{folder} is the journal of {theirs}, not of {ours}")
    return scan


def _truncate_tail(disk: Disk, folder: Path, tail: TornTail) -> Path:
    """Keep the torn bytes beside the log, durably, before they are cut from it."""
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


def _rewrite_last_frame(disk: Disk, path: Path, scan: JournalReader) -> None:
    """Write the last write again and sync it, before anyone acts on it.

    A process that was killed may have left it un-synced; a sync that failed may have left pages that look clean and are
    nowhere but in memory. Only writing makes them dirty, and so sure to be synced.
    """
    file = disk.open(path, writable=True)
    disk.write(file, scan.last_write_at, disk.read(file, scan.last_write_at, scan.end - scan.last_write_at))
    disk.fdatasync(file)
    disk.sync_folder(path.parent)
    disk.close(file)
