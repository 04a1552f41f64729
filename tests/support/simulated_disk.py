"""A disk in memory that forgets what was not synced, fails on demand, and can crash at every call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from components.contracts.errors import ResourceBusy, StorageError
from components.runtime.filesystem import OpenFile

SECTOR_BYTES = 512


class Crashed(BaseException):
    """The machine stopped; a BaseException, so that no handler catches it by accident."""


@dataclass(eq=False)
class Content:
    """A file: its content as seen, its content after a crash, and the sectors that may differ."""

    seen: bytes = b""
    synced: bytes = b""
    dirty: set[int] = field(default_factory=set)

    def write(self, offset: int, content: bytes) -> None:
        before = self.seen.ljust(offset, b"\0")
        self.seen = before[:offset] + content + before[offset + len(content) :]
        self.dirty.update(range(offset // SECTOR_BYTES, (offset + len(content) - 1) // SECTOR_BYTES + 1))

    def sync(self) -> None:
        self.synced = self._on_disk(len(self.seen), self.dirty)
        self.dirty.clear()

    def after_crash(self, randomness: Random) -> "Content":
        """Return the file with any of the dirty sectors, in any combination, and any length between the two."""
        shorter, longer = sorted((len(self.synced), len(self.seen)))
        length = randomness.choice((shorter, longer, randomness.randint(shorter, longer)))
        kept = self._on_disk(length, {one for one in self.dirty if randomness.random() < 0.5})
        return Content(kept, kept)

    def _on_disk(self, length: int, written: set[int]) -> bytes:
        kept = bytearray(self.synced.ljust(length, b"\0")[:length])
        for start in (one * SECTOR_BYTES for one in written):
            sector = self.seen[start : min(start + SECTOR_BYTES, length)]
            kept[start : start + len(sector)] = sector
        return bytes(kept)


@dataclass
class SimulatedDisk:
    """The disk of one run of a process; `crash` returns the disk that the next run finds."""

    crash_at: int | None = None
    sync_fails_at: int | None = None
    bytes_max: int | None = None
    in_memory: bool = False
    keeps_syncs: bool = True
    keeps_names: bool = True
    calls: int = 0
    syncs: int = 0
    named: dict[Path, Content] = field(default_factory=dict)
    named_synced: dict[Path, Content] = field(default_factory=dict)
    locked: set[Path] = field(default_factory=set)
    opened: list[Content] = field(default_factory=list)
    random_count: int = 0
    before_sync: Callable[[], object] = lambda: None

    def crash(self, randomness: Random) -> "SimulatedDisk":
        """Return the disk after a crash: what was not synced is lost, or any part of it."""
        names = {
            path: one for path, one in self.named.items() if path in self.named_synced or randomness.random() < 0.5
        }
        lost = {path: one for path, one in self.named_synced.items() if one not in names.values()}
        survived = {path: one.after_crash(randomness) for path, one in (names | lost).items()}
        return SimulatedDisk(named=survived, named_synced=dict(survived), random_count=self.random_count)

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.crash_at:
            raise Crashed

    def _content(self, file: OpenFile) -> Content:
        return self.opened[file.descriptor]

    def _open(self, path: Path, content: Content) -> OpenFile:
        self.opened.append(content)
        return OpenFile(len(self.opened) - 1, path)

    def make_folder(self, folder: Path) -> None:
        self._call()

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self.named if path.parent == folder)

    def is_in_memory(self, folder: Path) -> bool:
        return self.in_memory

    def lock(self, path: Path) -> OpenFile:
        if path in self.locked:
            raise ResourceBusy(f"{path} is held by process 1")
        self.locked.add(path)
        return self._open(path, Content())

    def create(self, path: Path) -> OpenFile:
        self._call()
        if path in self.named:
            raise StorageError(f"create {path}: File exists")
        self.named[path] = Content()
        return self._open(path, self.named[path])

    def open(self, path: Path, *, writable: bool) -> OpenFile:
        return self._open(path, self.named[path])

    def close(self, file: OpenFile) -> None:
        self.locked.discard(file.path)

    def size(self, file: OpenFile) -> int:
        return len(self._content(file).seen)

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        return self._content(file).seen[offset : offset + count]

    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        self._call()
        room = len(content) if self.bytes_max is None else max(self.bytes_max - offset, 0)
        self._content(file).write(offset, content[:room])
        if room < len(content):
            raise StorageError(f"write {file.path}: No space left on device")

    def truncate(self, file: OpenFile, size: int) -> None:
        self._call()
        self._content(file).seen = self._content(file).seen[:size]

    def fdatasync(self, file: OpenFile) -> None:
        self._call()
        self.before_sync()
        self.syncs += 1
        one = self._content(file)
        if self.syncs == self.sync_fails_at:
            # As on Linux: the sectors look clean now, so that the next sync succeeds and keeps none of them.
            one.dirty.clear()
            raise StorageError(f"fdatasync {file.path}: Input/output error")
        if self.keeps_syncs:
            one.sync()

    def rename(self, path: Path, to: Path) -> None:
        self._call()
        self.named[to] = self.named.pop(path)

    def sync_folder(self, folder: Path) -> None:
        self._call()
        if self.keeps_names:
            self.named_synced = dict(self.named)

    def random_bytes(self, count: int) -> bytes:
        self.random_count += 1
        return self.random_count.to_bytes(count, "big")
