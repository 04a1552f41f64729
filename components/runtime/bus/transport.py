"""Where the sockets of each component are, and who may bind them; independent of the transport engine."""

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
"""All components in the table of streams. Each publishes `health`."""
HOP_BYTES_MAX: Final = 255
"""The longest identity of a hop in ZeroMQ; an encoded return address stores each length in one byte."""
Envelope: TypeAlias = tuple[bytes, ...]
"""The hops of a request: the ZeroMQ identities along which its reply goes back."""


def producers(stream: Stream) -> tuple[str, ...]:
    """Return the components that publish a stream."""
    return COMPONENTS if stream.producer == ANY else (stream.producer,)


def publisher_path(run: Path, component: str) -> Path:
    """Return the path of the socket on which a component publishes."""
    return run / f"{component}.pub"


def recovery_path(run: Path, component: str) -> Path:
    """Return the path of the socket where a component serves snapshots and replays."""
    return run / f"{component}.recovery"


def request_path(run: Path, stream: Stream) -> Path:
    """Return the path of the socket where the consumer of a request stream replies."""
    (consumer,) = stream.consumers
    return run / f"{consumer}.{stream.name}"


def ipc_address(path: Path) -> str:
    """Return the address of a socket path. Raises ConfigError if the kernel would not bind a path of that length."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES_MAX:
        raise ConfigError(f"socket {path}: the path has {size} bytes, at most {SOCKET_PATH_BYTES_MAX}")
    return f"ipc://{path}"


@dataclass(frozen=True, slots=True)
class SocketLock:
    """The right to bind a socket path. Without it a second process would silently take over the socket of the first."""

    path: Path
    lock: OpenFile

    def release(self) -> None:
        """Remove the socket file and release the lock. Call it after the socket is closed."""
        self.path.unlink(missing_ok=True)
        REAL_DISK.close(self.lock)


def claim_socket(path: Path) -> SocketLock:
    """Lock a socket path and remove what a killed process left there. ResourceBusy names the holder."""
    ipc_address(path)
    make_private_folder(path.parent)
    lock = REAL_DISK.lock(path.with_name(f"{path.name}.lock"))
    path.unlink(missing_ok=True)
    return SocketLock(path, lock)


def split_envelope(frames: list[bytes]) -> tuple[Envelope, list[bytes]]:
    """Split the hops from the message at the first empty frame, as a plain REQ socket sends it."""
    for index, frame in enumerate(frames):
        if len(frame) > HOP_BYTES_MAX:
            break
        if not frame and index:
            return tuple(frames[:index]), frames[index + 1 :]
    return tuple(frames[:1]), []
