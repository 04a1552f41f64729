"""Small files that are there whole or not at all."""

import os
from pathlib import Path
from stat import S_ISDIR

from components.contracts.errors import ConfigError, StorageError


def write_atomic(path: Path, content: bytes) -> None:
    """Put a file (0600) in place of whatever had its name; a reader sees the old one or the new one.

    It is not synced: what is written so tells of a running process, and goes with it.
    """
    try:
        draft = _draft(path, content, is_durable=False)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"write {path}: {error.strerror or error}") from error


def create_durable(path: Path, content: bytes) -> bool:
    """Put a file (0600) where none is and make it durable; False where one was, which is left alone."""
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
    """Make a folder that only this user may enter, or refuse the one that is there."""
    try:
        for missing in [one for one in (*reversed(folder.parents), folder) if not one.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(f"make {folder}: {error.strerror or error}") from error
    if not S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{folder}: is not a folder of user {os.geteuid()}; move it away")
    if found.st_mode & 0o077:
        raise ConfigError(f"{folder}: others may enter it; run: chmod 700 {folder}")


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
