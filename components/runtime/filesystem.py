"""File system access: the `Disk` protocol that the journal uses, file locks, atomic writes, private folders.

`Disk` covers every call of the journal, so that tests and the simulation can replace it by a disk that fails or
crashes.
"""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from stat import S_ISDIR
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from components.contracts.errors import ConfigError, PeerUnreachable, ResourceBusy, StorageError

Params = ParamSpec("Params")
Result = TypeVar("Result")
Instance = TypeVar("Instance")
Target = TypeVar("Target", bound="Path | OpenFile")
IN_MEMORY_FILE_SYSTEMS: Final = frozenset({"tmpfs", "ramfs"})
MOUNTINFO: Final = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file and the path for error messages."""

    descriptor: int
    path: Path


class Disk(Protocol):
    """The file operations of the journal. Each completes or raises StorageError (`lock`: ResourceBusy)."""

    def make_folder(self, folder: Path) -> None:
        """Create the folder and its missing parents (mode 0700), each made durable in its parent."""

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted; a missing folder is empty."""

    def is_in_memory(self, folder: Path) -> bool:
        """Return whether the folder is on an in-memory file system, target a sync costs nothing and keeps nothing."""

    def lock(self, path: Path) -> OpenFile:
        """Lock the file until it is closed. ResourceBusy names the process that holds it."""

    def create(self, path: Path) -> OpenFile:
        """Create a file (mode 0600) for reading and writing; an existing one is an error."""

    def open(self, path: Path, *, writable: bool) -> OpenFile:
        """Open an existing file."""

    def close(self, file: OpenFile) -> None:
        """Close the file and release its lock."""

    def size(self, file: OpenFile) -> int:
        """Return the length in bytes."""

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        """Return up to `count` bytes; fewer only at the end of the file."""

    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        """Write all bytes at the offset. They are durable only after fdatasync."""

    def truncate(self, file: OpenFile, size: int) -> None:
        """Truncate the file. It is durable only after fdatasync."""

    def fdatasync(self, file: OpenFile) -> None:
        """Make the file's content durable. After a failure its state is unknown: never retry."""

    def rename(self, path: Path, to: Path) -> None:
        """Rename the file. It is durable only after sync_folder."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in the folder durable."""

    def random_bytes(self, count: int) -> bytes:
        """Return random bytes for the id of a journal."""


def _raises_storage_error(
    call: Callable[Concatenate[Instance, Target, Params], Result],
) -> Callable[Concatenate[Instance, Target, Params], Result]:
    """Convert an OSError of this call to a StorageError that names the operation and the path."""

    @wraps(call)
    def wrapper(self: Instance, target: Target, /, *args: Params.args, **named: Params.kwargs) -> Result:
        try:
            return call(self, target, *args, **named)
        except OSError as error:
            path = target.path if isinstance(target, OpenFile) else target
            raise StorageError(f"{call.__name__} {path}: {error.strerror or error}") from error

    return wrapper


class RealDisk:
    """The files of the operating system."""

    @_raises_storage_error
    def make_folder(self, folder: Path) -> None:
        """Create the folder and its missing parents (mode 0700), each made durable in its parent."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode=0o700, exist_ok=True)
            self.sync_folder(one.parent)

    @_raises_storage_error
    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted; a missing folder is empty."""
        try:
            return sorted(one.name for one in folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    @_raises_storage_error
    def is_in_memory(self, folder: Path) -> bool:
        """Return whether the folder is on an in-memory file system, target a sync costs nothing and keeps nothing."""
        return file_system_of(folder.resolve(), MOUNTINFO.read_text()) in IN_MEMORY_FILE_SYSTEMS

    @_raises_storage_error
    def lock(self, path: Path) -> OpenFile:
        """Lock the file until it is closed. ResourceBusy names the process that holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
            os.close(descriptor)
            raise ResourceBusy(f"{path} is held by process {holder or 'unknown'}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return OpenFile(descriptor, path)

    @_raises_storage_error
    def create(self, path: Path) -> OpenFile:
        """Create a file (mode 0600) for reading and writing; an existing one is an error."""
        return OpenFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path)

    @_raises_storage_error
    def open(self, path: Path, *, writable: bool) -> OpenFile:
        """Open an existing file."""
        return OpenFile(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC), path)

    @_raises_storage_error
    def close(self, file: OpenFile) -> None:
        """Close the file and release its lock."""
        os.close(file.descriptor)

    @_raises_storage_error
    def size(self, file: OpenFile) -> int:
        """Return the length in bytes."""
        return os.fstat(file.descriptor).st_size

    @_raises_storage_error
    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        """Return up to `count` bytes; fewer only at the end of the file."""
        return os.pread(file.descriptor, count, offset)

    @_raises_storage_error
    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        """Write all bytes at the offset. A short write means that the disk is full and raises StorageError."""
        written = os.pwrite(file.descriptor, content, offset)
        if written != len(content):
            raise StorageError(
                f"write {file.path}: only {written} of {len(content)} bytes were written (No space left on device)"
            )

    @_raises_storage_error
    def truncate(self, file: OpenFile, size: int) -> None:
        """Truncate the file. It is durable only after fdatasync."""
        os.ftruncate(file.descriptor, size)

    @_raises_storage_error
    def fdatasync(self, file: OpenFile) -> None:
        """Make the file's content durable. After a failure its state is unknown: never retry."""
        os.fdatasync(file.descriptor)

    @_raises_storage_error
    def rename(self, path: Path, to: Path) -> None:
        """Rename the file. It is durable only after sync_folder."""
        path.rename(to)

    @_raises_storage_error
    def sync_folder(self, folder: Path) -> None:
        """Make the names in the folder durable."""
        _sync_folder(folder)

    def random_bytes(self, count: int) -> bytes:
        """Return random bytes for the id of a journal."""
        return os.urandom(count)


REAL_DISK: Final = RealDisk()


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that holds the folder, from the text of /proc/self/mountinfo."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split(" ")[4].replace("\\040", " "))
        # Of two mounts on one point the later one covers the earlier one.
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ")[0]
    return kind


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file (mode 0600) atomically: a reader sees the old content or the new.

    It is not synced: such files describe a running process and are removed with it.
    """
    try:
        draft = _draft(path, content, is_durable=False)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"write {path}: {error.strerror or error}") from error


def create_durable(path: Path, content: bytes) -> bool:
    """Create a file (mode 0600) durably. Return False, and change nothing, if it exists."""
    try:
        draft = _draft(path, content, is_durable=True)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        _sync_folder(path.parent)
        return True
    except OSError as error:
        raise StorageError(f"write {path}: {error.strerror or error}") from error


def make_private_folder(folder: Path) -> None:
    """Create a folder that only this user may enter. Raises ConfigError if an existing one is not private."""
    try:
        for missing in [one for one in (*reversed(folder.parents), folder) if not one.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(f"create {folder}: {error.strerror or error}") from error
    if not S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{folder}: must be a folder owned by user {os.geteuid()}; move it away")
    if found.st_mode & 0o077:
        raise ConfigError(f"{folder}: others may enter it; run: chmod 700 {folder}")


def lock_holder(lock: Path) -> int | None:
    """Return the process id that holds a lock, or None. It tries a shared lock and writes nothing."""
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _holder_pid(file.read(20), lock)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{lock}: {error.strerror or error}") from error
    return None


def _draft(path: Path, content: bytes, *, is_durable: bool) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if is_durable:
            os.fsync(descriptor)
    return draft


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _holder_pid(content: bytes, lock: Path) -> int:
    # A lock that is being acquired contains no process id yet, and signalling 0 would reach our whole process group.
    if not content.isdigit() or int(content) == 0:
        raise PeerUnreachable(f"{lock} is being acquired at this moment; try again")
    return int(content)
