"""Where each component's sockets are: one place per duty in the run folder, held by one process."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from components.contracts.errors import ConfigError
from components.contracts.streams import ANY, STREAMS, Stream
from components.runtime.filesystem import REAL_DISK, OpenFile, make_private_folder
from components.runtime.paths import SOCKET_PATH_BYTES_MAX

COMPONENTS: Final = tuple(
    sorted({name for stream in STREAMS.values() for name in (stream.producer, *stream.consumers)} - {ANY})
)
"""Whoever the table of streams names; each says `health`."""


def producers(stream: Stream) -> tuple[str, ...]:
    """Name the components that publish on a stream."""
    return COMPONENTS if stream.producer == ANY else (stream.producer,)


def publisher_path(run: Path, component: str) -> Path:
    """Where a component publishes everything it says."""
    return run / f"{component}.pub"


def recovery_path(run: Path, component: str) -> Path:
    """Where a component gives snapshots and replays of what it says."""
    return run / f"{component}.side"


def request_path(run: Path, stream: Stream) -> Path:
    """Where the one hearer of a request stream answers."""
    (answerer,) = stream.consumers
    return run / f"{answerer}.{stream.name}"


def ipc_address(path: Path) -> str:
    """Give the address to connect to; a path the kernel would not bind is refused by name."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES_MAX:
        raise ConfigError(f"socket {path}: the path has {size} bytes, at most {SOCKET_PATH_BYTES_MAX}")
    return f"ipc://{path}"


@dataclass(frozen=True, slots=True)
class SocketLock:
    """The right to bind a path: without it a second process would silently steal the first one's socket."""

    path: Path
    lock: OpenFile

    def release(self) -> None:
        """Remove the socket file and let go; call it after the socket is closed."""
        self.path.unlink(missing_ok=True)
        REAL_DISK.close(self.lock)


def claim_socket(path: Path) -> SocketLock:
    """Take the lock beside the path and clear what a killed process left there; Busy names the holder."""
    ipc_address(path)
    make_private_folder(path.parent)
    lock = REAL_DISK.lock(path.with_name(f"{path.name}.lock"))
    path.unlink(missing_ok=True)
    return SocketLock(path, lock)


HOP_BYTES_MAX: Final = 255
"""The longest name that ZeroMQ gives a hop; a ticket says in one byte how long each is."""
Envelope: TypeAlias = tuple[bytes, ...]


def split_envelope(frames: list[bytes]) -> tuple[Envelope, list[bytes]]:
    """Part the hops from the message at the first empty frame, so that a plain REQ is understood."""
    for index, frame in enumerate(frames):
        if len(frame) > HOP_BYTES_MAX:
            break
        if not frame and index:
            return tuple(frames[:index]), frames[index + 1 :]
    return tuple(frames[:1]), []
