"""ZeroMQ, and the only file that imports it: four kinds of sockets and one wait, without a word about streams."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import zmq

from components.contracts.errors import StorageError
from components.runtime.bus.transport import SocketLock, claim_socket, ipc_address

FRAMES_MAX: Final = 8
"""A delimiter, three frames, and room for the hops a request came through."""
FRAME_BYTES_MAX: Final = 4 << 20
"""Twice the largest part: what is larger never reaches us, libzmq drops the peer that sends it."""
LINGER_MS: Final = 300
"""What was said just before the end may still leave; nothing else may hold a process up."""
RECONNECT_MS: Final = 20
RECONNECT_MS_MAX: Final = 500
_POLLIN, _EVENTS, _RCVMORE = int(zmq.POLLIN), zmq.EVENTS, zmq.RCVMORE
_MORE: Final = zmq.SNDMORE
_NOW: Final = zmq.DONTWAIT
_MORE_NOW: Final = zmq.SNDMORE | zmq.DONTWAIT


class Socket:
    """One socket that is read whole messages at a time."""

    def __init__(self, zmq_socket: "zmq.Socket[bytes]", lock: SocketLock | None = None) -> None:
        self.zmq_socket, self._lock = zmq_socket, lock
        self._receive, self._send, self._get = zmq_socket.recv, zmq_socket.send, zmq_socket.getsockopt
        self._timeout_ms = -1

    def fileno(self) -> int:
        """Give the descriptor; it is edge-triggered, so after anything done here `is_readable` must be asked again."""
        return int(self.zmq_socket.getsockopt(zmq.FD))

    def is_readable(self) -> bool:
        """Say whether a message waits."""
        return bool(int(self._get(_EVENTS)) & _POLLIN)

    def read(self) -> list[bytes]:
        """Read one message that is there; frames beyond FRAMES_MAX are read and dropped."""
        frames = [self._receive()]
        while self._get(_RCVMORE):
            frame = self._receive()
            if len(frames) < FRAMES_MAX:
                frames.append(frame)
        return frames

    def read_within(self, timeout_ms: int) -> list[bytes] | None:
        """Wait for one message on this socket alone, which is as fast as C."""
        if timeout_ms != self._timeout_ms:
            self.zmq_socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
            self._timeout_ms = timeout_ms
        try:
            return self.read()
        except zmq.Again:
            return None

    def close(self) -> None:
        """Close, without waiting here, and leave the path to the next."""
        self.zmq_socket.close()
        if self._lock is not None:
            self._lock.release()


class PublisherSocket(Socket):
    """Where everything a process says leaves; a slow hearer loses, nobody waits for it."""

    def send(self, topic: bytes, header: bytes, payload: bytes) -> None:
        """Say it to whoever is connected."""
        send = self._send
        send(topic, _MORE)
        send(header, _MORE)
        send(payload)

    def new_subscriptions(self) -> set[bytes]:
        """Give the topics that were subscribed to since the last call."""
        topics = set()
        while self.is_readable():
            (frame, *_) = self.read()
            if frame[:1] == b"\x01":
                topics.add(frame[1:])
        return topics


class ServerSocket(Socket):
    """Where requests arrive, from a plain REQ too; a client that is gone never holds it up."""

    def reply(self, envelope: Iterable[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        """Answer along the hops the request came; False where the client is gone or does not read."""
        try:
            _send_now(self._send, envelope, frames)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        return True


class ClientSocket(Socket):
    """Where one peer is asked; what cannot leave now is not queued."""

    def send(self, envelope: Sequence[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        """Send a request, never waiting; False where the peer is not there or does not read."""
        try:
            _send_now(self._send, envelope, frames)
        except zmq.Again:
            return False
        return True


def _send_now(send: Callable[..., Any], envelope: Iterable[bytes], frames: tuple[bytes, bytes, bytes]) -> None:
    """Send one whole message along these hops without waiting."""
    for hop in envelope:
        send(hop, _MORE_NOW)
    send(b"", _MORE_NOW)
    send(frames[0], _MORE_NOW)
    send(frames[1], _MORE_NOW)
    send(frames[2], _NOW)


def request_frames_once(path: Path, frames: tuple[bytes, bytes, bytes], timeout_ms: int) -> list[bytes] | None:
    """Ask once as a plain REQ and give the answer's frames; None where none came in time.

    RELAXED lets another question follow an unanswered one; CORRELATE keeps a late answer from being taken for another.
    """
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        for option in (zmq.REQ_RELAXED, zmq.REQ_CORRELATE, zmq.IMMEDIATE):
            socket.setsockopt(option, 1)
        for option in (zmq.SNDTIMEO, zmq.RCVTIMEO):
            socket.setsockopt(option, timeout_ms)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(ipc_address(path))
        try:
            socket.send_multipart(frames)
            return socket.recv_multipart()
        except zmq.Again:
            return None


AnyPort = TypeVar("AnyPort", bound=Socket)


class Transport:
    """The sockets of one process, and the one wait over those that are hot."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._sockets: list[Socket] = []
        self._registered: dict[object, Socket | Callable[[], None]] = {}
        self._polled: list[tuple[Any, int]] = []

    def bind_publisher(self, path: Path, high_water_mark: int) -> PublisherSocket:
        """Bind the socket of everything a process says."""
        socket = self._socket(zmq.XPUB, high_water_mark, linger_ms=LINGER_MS)
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # each newcomer is seen, not only the first
        return self._track(PublisherSocket(socket, self._bind(socket, path)))

    def bind_server(self, path: Path, high_water_mark: int) -> ServerSocket:
        """Bind a socket that is asked."""
        socket = self._socket(zmq.ROUTER, high_water_mark, linger_ms=LINGER_MS)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        return self._track(ServerSocket(socket, self._bind(socket, path)))

    def connect_subscriber(self, paths_with_marks: Iterable[tuple[Path, int]], topics: Iterable[bytes]) -> Socket:
        """Hear topics from several processes on one socket; they may come later and come again."""
        socket = self._socket(zmq.SUB, 0)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        for path, high_water_mark in paths_with_marks:
            socket.setsockopt(zmq.RCVHWM, high_water_mark)
            socket.connect(ipc_address(path))
        return self._track(Socket(socket))

    def connect_client(self, path: Path, high_water_mark: int) -> ClientSocket:
        """Connect to a socket that is asked; it may come later and come again."""
        socket = self._socket(zmq.DEALER, high_water_mark)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.connect(ipc_address(path))
        return self._track(ClientSocket(socket))

    def register(self, socket: Socket) -> None:
        """Wake up for this port."""
        self._registered[socket.zmq_socket] = socket
        self._polled.append((socket.zmq_socket, _POLLIN))

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Wake up for a descriptor of somebody else too, and tell them."""
        self._registered[descriptor] = on_readable
        self._polled.append((descriptor, _POLLIN))

    def poll(self, timeout_ms: int) -> list[Socket]:
        """Wait for the hot ports and descriptors; give the ports that are readable."""
        ports = []
        for socket, _ in zmq.zmq_poll(self._polled, timeout_ms):
            hot = self._registered[socket]
            if isinstance(hot, Socket):
                ports.append(hot)
            else:
                hot()
        return ports

    def close(self) -> None:
        """Close every port; last words may leave within their bound."""
        for port in self._sockets:
            port.close()
        self._context.term()

    def _socket(self, kind: int, high_water_mark: int, *, linger_ms: int = 0) -> "zmq.Socket[bytes]":
        # No ZMTP heartbeats: libzmq 4.3.5 aborts the process when a ping meets a full queue (issues 3937, 4364, 4767).
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, linger_ms)
        socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES_MAX)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        socket.set_hwm(high_water_mark)
        return socket

    def _bind(self, socket: "zmq.Socket[bytes]", path: Path) -> SocketLock:
        with ExitStack() as undo:
            undo.callback(socket.close)
            held = claim_socket(path)
            undo.callback(held.release)
            try:
                socket.bind(ipc_address(path))
            except zmq.ZMQError as error:
                raise StorageError(f"bind {path}: {error}") from error
            undo.pop_all()
        return held

    def _track(self, socket: AnyPort) -> AnyPort:
        self._sockets.append(socket)
        return socket
