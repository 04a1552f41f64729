"""A simulated disk that loses what was not synced, and a group committer on it.

The disk fails at random, and can crash its process before every call that changes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from components.contracts.errors import ResourceBusy, StorageError
from components.runtime.filesystem import OpenFile
from components.runtime.journal.journal import Journal
from components.xtrader.simulation.scheduler import Callback, Randomness, Scheduler

SECTOR_BYTES: Final = 512
NO_DESCRIPTOR: Final = -1


@dataclass(eq=False)
class FileContent:
    """A file: the content that readers see, the content that survives a power cut, and the sectors that are dirty."""

    visible: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    dirty_sectors: set[int] = field(default_factory=set)

    def write(self, offset: int, content: bytes) -> None:
        """Change the visible content in memory."""
        if not content:
            return
        self.visible.extend(bytes(max(offset - len(self.visible), 0)))
        self.visible[offset : offset + len(content)] = content
        self.dirty_sectors.update(range(offset // SECTOR_BYTES, (offset + len(content) - 1) // SECTOR_BYTES + 1))

    def sync(self) -> None:
        """Make every dirty sector durable."""
        self._write_sectors(self.dirty_sectors, len(self.visible))
        self.dirty_sectors.clear()

    def lose_power(self, random: Random) -> None:
        """Keep a random subset of the dirty sectors, and any length between the durable and the visible one."""
        shorter, longer = sorted((len(self.durable), len(self.visible)))
        length = random.choice((shorter, longer, random.randint(shorter, longer)))
        self._write_sectors({one for one in sorted(self.dirty_sectors) if random.random() < 0.5}, length)
        self.visible = self.durable[:]
        self.dirty_sectors.clear()

    def _write_sectors(self, sectors: set[int], length: int) -> None:
        del self.durable[length:]
        self.durable.extend(bytes(length - len(self.durable)))
        for start in (one * SECTOR_BYTES for one in sectors):
            end = min(start + SECTOR_BYTES, length)
            if start < end:
                self.durable[start:end] = self.visible[start:end]


class SimulatedDisk:
    """The files of one node; they survive its processes."""

    def __init__(self, randomness: Randomness, on_effect: Callable[[str], None]) -> None:
        """`on_effect` is called before every call that changes something; it may raise."""
        self._randomness, self._on_effect = randomness, on_effect
        self._files: dict[Path, FileContent] = {}
        self._durable_files: dict[Path, FileContent] = {}
        self._locked: set[Path] = set()
        self._opened: list[FileContent] = []

    def on_process_exit(self) -> None:
        """Release what a killed process loses: its locks and open files, nothing that it wrote."""
        self._locked.clear()
        self._opened.clear()

    def lose_power(self) -> None:
        """Lose what was not synced, or any part of it."""
        random = self._randomness.random
        kept = {path: one for path, one in self._files.items() if path in self._durable_files or random.random() < 0.5}
        # A renamed file keeps its old or its new name, never neither.
        renamed = {path: one for path, one in self._durable_files.items() if one not in kept.values()}
        self._files = {**kept, **renamed}
        for one in self._files.values():
            one.lose_power(random)
        self._durable_files = dict(self._files)

    def make_folder(self, folder: Path) -> None:
        """Do nothing: folders are part of the file names here."""
        self._on_effect(f"make_folder {folder}")

    def names(self, folder: Path) -> list[str]:
        """Return the sorted names in a folder."""
        return sorted(path.name for path in self._files if path.parent == folder)

    def is_in_memory(self, folder: Path) -> bool:  # noqa: ARG002  # no folder here is
        """Return False: every sync counts."""
        return False

    def lock(self, path: Path) -> OpenFile:
        """Lock a file until it is closed or the process ends."""
        if path in self._locked:
            raise ResourceBusy(f"{path} is held by process 1")
        self._locked.add(path)
        return self._open(path, FileContent())

    def create(self, path: Path) -> OpenFile:
        """Create a new file."""
        self._on_effect(f"create {path}")
        if path in self._files:
            raise StorageError(f"create {path}: File exists")
        self._files[path] = FileContent()
        return self._open(path, self._files[path])

    def open(self, path: Path, *, writable: bool) -> OpenFile:  # noqa: ARG002  # the simulation never writes to a read-only file
        """Open an existing file."""
        if path not in self._files:
            raise StorageError(f"open {path}: No such file or directory")
        return self._open(path, self._files[path])

    def close(self, file: OpenFile) -> None:
        """Close the file and release its lock."""
        self._locked.discard(file.path)

    def size(self, file: OpenFile) -> int:
        """Return the length in bytes."""
        return len(self._content(file).visible)

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        """Return what was written, synced or not."""
        return bytes(self._content(file).visible[offset : offset + count])

    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        """Write the content, or half of it if the disk is full."""
        self._on_effect(f"write {file.path}")
        is_full = self._randomness.happens(self._randomness.rates.disk_full)
        self._content(file).write(offset, content[: len(content) // 2] if is_full else content)
        if is_full:
            raise StorageError(f"write {file.path}: No space left on device")

    def truncate(self, file: OpenFile, size: int) -> None:
        """Truncate the file."""
        self._on_effect(f"truncate {file.path}")
        del self._content(file).visible[size:]

    def fdatasync(self, file: OpenFile) -> None:
        """Make the content durable; a failed sync leaves sectors that look clean, as on Linux."""
        self._on_effect(f"fdatasync {file.path}")
        if self._randomness.happens(self._randomness.rates.sync_failure):
            self._content(file).dirty_sectors.clear()
            raise StorageError(f"fdatasync {file.path}: Input/output error")
        self._content(file).sync()

    def rename(self, path: Path, to: Path) -> None:
        """Rename the file."""
        self._on_effect(f"rename {path}")
        self._files[to] = self._files.pop(path)

    def sync_folder(self, folder: Path) -> None:
        """Make the file names durable."""
        self._on_effect(f"sync_folder {folder}")
        self._durable_files = dict(self._files)

    def random_bytes(self, count: int) -> bytes:
        """Return bytes for the identity of a journal."""
        return self._randomness.random.randbytes(count)

    def _content(self, file: OpenFile) -> FileContent:
        return self._opened[file.descriptor]

    def _open(self, path: Path, content: FileContent) -> OpenFile:
        self._opened.append(content)
        return OpenFile(len(self._opened) - 1, path)


class SimulatedGroupCommitter:
    """Makes entries durable a little later; entries that arrive before the sync share it.

    `run_in_process` calls a function as the process that the committer belongs to.
    """

    def __init__(
        self,
        journal: Journal,
        scheduler: Scheduler,
        randomness: Randomness,
        run_in_process: Callable[[Callback], None],
        on_durable: Callable[[int, bytes], None],
        on_effect: Callable[[str], None],
    ) -> None:
        self._journal, self._scheduler, self._randomness = journal, scheduler, randomness
        self._run_in_process, self._on_durable, self._on_effect = run_in_process, on_durable, on_effect
        self._queue: list[tuple[int, bytes]] = []
        self._submitted = journal.last_sequence
        self.on_synced: Callback | None = None
        """Called when the real committer's descriptor would become readable."""
        self.failure: StorageError | None = None

    @property
    def durable_sequence(self) -> int:
        """The last durable sequence."""
        return self._journal.last_sequence

    def submit(self, at_ns: int, payload: bytes) -> int:
        """Queue an entry and return the sequence it will have."""
        if self.failure is not None:
            raise StorageError(str(self.failure))
        if not self._queue:
            self._scheduler.after(self._randomness.sync_duration_ns(), lambda: self._run_in_process(self._write))
        self._on_effect("append")
        self._queue.append((at_ns, payload))
        self._submitted += 1
        return self._submitted

    def flush_inline(self) -> bool:
        """Return False: this disk is not in memory, a sync takes time."""
        return False

    def fileno(self) -> int:
        """Return no descriptor: `on_synced` is called directly."""
        return NO_DESCRIPTOR

    def clear_notification(self) -> None:
        """Do nothing: there is no descriptor to read."""

    def flush(self) -> None:
        """Write the queued entries, as a process does before it exits."""
        if self._queue and self.failure is None:
            self._write()

    def _write(self) -> None:
        entries, self._queue = self._queue, []
        first = self._journal.last_sequence + 1
        try:
            self._journal.write(entries)
        except StorageError as failed:
            self.failure = failed
        else:
            for sequence, (_, payload) in enumerate(entries, first):
                self._on_durable(sequence, payload)
        if self.on_synced is not None:
            self.on_synced()
