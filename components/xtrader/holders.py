"""Who holds a lock of the run folder, asked without disturbing anybody."""

import fcntl
from pathlib import Path

from components.contracts.errors import PeerUnreachable, StorageError


def lock_holder(lock: Path) -> int | None:
    """Give the process that holds it; None where nobody does. A shared lock is tried, and nothing is written."""
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


def _holder_pid(content: bytes, lock: Path) -> int:
    # A lock taken this very moment has no name in it yet, and 0 would mean every process of ours.
    if not content.isdigit() or int(content) == 0:
        raise PeerUnreachable(f"{lock} was taken this moment; ask again")
    return int(content)
