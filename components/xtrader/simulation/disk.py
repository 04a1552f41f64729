"""A disk in memory that forgets what was not synced, fails by chance, and can end its process at every call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from components.contracts.errors import Busy, IoFailed
from components.runtime.disk import OpenFile
from components.xtrader.simulation.chance import Chance

SECTOR_BYTES: Final = 512


@dataclass(eq=False)
class Content:
    """A file: what a reader sees, what a power cut would leave, and which sectors differ and are known to."""

    seen: bytearray = field(default_factory=bytearray)
    synced: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)

    def write(self, offset: int, content: bytes) -> None:
        """Change what readers see, in memory."""
        if not content:
            return
        self.seen.extend(bytes(max(offset - len(self.seen), 0)))
        self.seen[offset : offset + len(content)] = content
        self.dirty.update(range(offset // SECTOR_BYTES, (offset + len(content) - 1) // SECTOR_BYTES + 1))

    def sync(self) -> None:
        """Put every sector that is known to differ on the disk."""
        self._put(self.dirty, len(self.seen))
        self.dirty.clear()

    def lose_power(self, dice: Random) -> None:
        """Keep any of the dirty sectors, in any combination, and any length between the two."""
        shorter, longer = sorted((len(self.synced), len(self.seen)))
        length = dice.choice((shorter, longer, dice.randint(shorter, longer)))
        self._put({one for one in sorted(self.dirty) if dice.random() < 0.5}, length)
        self.seen = self.synced[:]
        self.dirty.clear()

    def _put(self, sectors: set[int], length: int) -> None:
        del self.synced[length:]
        self.synced.extend(bytes(length - len(self.synced)))
        for start in (one * SECTOR_BYTES for one in sectors):
            end = min(start + SECTOR_BYTES, length)
            if start < end:
                self.synced[start:end] = self.seen[start:end]


class SimulatedDisk:
    """The files of one process; they outlive it."""

    def __init__(self, chance: Chance, touch: Callable[[str], None]) -> None:
        """`touch` is told of every call that changes something, before it is done; it may raise."""
        self._chance, self._touch = chance, touch
        self._named: dict[Path, Content] = {}
        self._named_synced: dict[Path, Content] = {}
        self._locked: set[Path] = set()
        self._opened: list[Content] = []

    def let_go(self) -> None:
        """Lose what a process loses when it is killed: its locks and open files, nothing that it wrote."""
        self._locked.clear()
        self._opened.clear()

    def lose_power(self) -> None:
        """Lose what was not synced, or any part of it."""
        dice = self._chance.dice
        kept = {path: one for path, one in self._named.items() if path in self._named_synced or dice.random() < 0.5}
        # A file that was renamed has one of its names, never none.
        gone = {path: one for path, one in self._named_synced.items() if one not in kept.values()}
        self._named = {**kept, **gone}
        for one in self._named.values():
            one.lose_power(dice)
        self._named_synced = dict(self._named)

    def make_folder(self, folder: Path) -> None:
        """Do nothing: folders are part of the names here."""
        self._touch(f"make_folder {folder}")

    def names(self, folder: Path) -> list[str]:
        """List a folder, sorted."""
        return sorted(path.name for path in self._named if path.parent == folder)

    def is_in_memory(self, folder: Path) -> bool:  # noqa: ARG002  # no folder here is
        """Say no: every sync counts."""
        return False

    def lock(self, path: Path) -> OpenFile:
        """Hold a file until it is closed or the process ends."""
        if path in self._locked:
            raise Busy(f"{path} is held by process 1")
        self._locked.add(path)
        return self._open(path, Content())

    def create(self, path: Path) -> OpenFile:
        """Make a new file."""
        self._touch(f"create {path}")
        if path in self._named:
            raise IoFailed(f"create {path}: File exists")
        self._named[path] = Content()
        return self._open(path, self._named[path])

    def open(self, path: Path, *, writable: bool) -> OpenFile:  # noqa: ARG002  # nobody here writes by mistake
        """Open a file that exists."""
        if path not in self._named:
            raise IoFailed(f"open {path}: No such file or directory")
        return self._open(path, self._named[path])

    def close(self, file: OpenFile) -> None:
        """Let go of the file, and of its lock."""
        self._locked.discard(file.path)

    def size(self, file: OpenFile) -> int:
        """Give the length in bytes."""
        return len(self._content(file).seen)

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        """Read what was written, synced or not."""
        return bytes(self._content(file).seen[offset : offset + count])

    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        """Write, or half of it where the disk is full."""
        self._touch(f"write {file.path}")
        is_full = self._chance.happens(self._chance.odds.disk_full)
        self._content(file).write(offset, content[: len(content) // 2] if is_full else content)
        if is_full:
            raise IoFailed(f"write {file.path}: No space left on device")

    def truncate(self, file: OpenFile, size: int) -> None:
        """Cut the file."""
        self._touch(f"truncate {file.path}")
        del self._content(file).seen[size:]

    def fdatasync(self, file: OpenFile) -> None:
        """Make the content durable; a sync that fails leaves sectors that look clean, as Linux does."""
        self._touch(f"fdatasync {file.path}")
        if self._chance.happens(self._chance.odds.sync_fails):
            self._content(file).dirty.clear()
            raise IoFailed(f"fdatasync {file.path}: Input/output error")
        self._content(file).sync()

    def rename(self, path: Path, to: Path) -> None:
        """Give the file another name."""
        self._touch(f"rename {path}")
        self._named[to] = self._named.pop(path)

    def sync_folder(self, folder: Path) -> None:
        """Make the names durable."""
        self._touch(f"sync_folder {folder}")
        self._named_synced = dict(self._named)

    def random_bytes(self, count: int) -> bytes:
        """Give bytes that no other journal will be named by."""
        return self._chance.dice.randbytes(count)

    def _content(self, file: OpenFile) -> Content:
        return self._opened[file.descriptor]

    def _open(self, path: Path, content: Content) -> OpenFile:
        self._opened.append(content)
        return OpenFile(len(self._opened) - 1, path)
