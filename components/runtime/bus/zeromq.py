"""The ZeroMQ transport, and the only module that imports zmq: four kinds of sockets and one poll over them."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import zmq

from components.contracts.errors import StorageError
from components.runtime.bus.transport import SocketLock, claim_socket, ipc_address

FRAMES_MAX: Final = 8
"""A delimiter, three frames, and room for the hops of a request."""
FRAME_BYTES_MAX: Final = 4 << 20
"""Twice the largest recovery batch. libzmq disconnects a peer that sends more."""
LINGER_MS: Final = 300
"""How long frames sent just before the end may take to leave; nothing else may delay the end of a process."""
RECONNECT_MS: Final = 20
RECONNECT_MS_MAX: Final = 500
_POLLIN, _EVENTS, _RCVMORE = int(zmq.POLLIN), zmq.EVENTS, zmq.RCVMORE
_MORE: Final = zmq.SNDMORE
_NOW: Final = zmq.DONTWAIT
_MORE_NOW: Final = zmq.SNDMORE | zmq.DONTWAIT


class Socket:
    """One socket that is read one whole message at a time."""

    def __init__(self, zmq_socket: "zmq.Socket[bytes]", lock: SocketLock | None = None) -> None:
        self.zmq_socket, self._lock = zmq_socket, lock
        self._receive, self._send, self._get = zmq_socket.recv, zmq_socket.send, zmq_socket.getsockopt
        self._timeout_ms = -1

    def fileno(self) -> int:
        """Return the descriptor. It is edge-triggered, so check `is_readable` after every call on this socket."""
        return int(self.zmq_socket.getsockopt(zmq.FD))

    def is_readable(self) -> bool:
        """Return whether a message is waiting."""
        return bool(int(self._get(_EVENTS)) & _POLLIN)

    def read(self) -> list[bytes]:
        """Return one message that has arrived. Frames beyond FRAMES_MAX are read and dropped."""
        frames = [self._receive()]
        while self._get(_RCVMORE):
            frame = self._receive()
            if len(frames) < FRAMES_MAX:
                frames.append(frame)
        return frames

    def read_within(self, timeout_ms: int) -> list[bytes] | None:
        """Block until one message arrives or the timeout expires.

        Faster than `zmq_poll` when the process has one input socket.
        """
        if timeout_ms != self._timeout_ms:
            self.zmq_socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
            self._timeout_ms = timeout_ms
        try:
            return self.read()
        except zmq.Again:
            return None

    def close(self) -> None:
        """Close the socket without waiting, and release its path."""
        self.zmq_socket.close()
        if self._lock is not None:
            self._lock.release()


AnySocket = TypeVar("AnySocket", bound=Socket)


class PublisherSocket(Socket):
    """The socket of all published streams. Messages for a slow subscriber are dropped; the process never waits."""

    def send(self, topic: bytes, header: bytes, payload: bytes) -> None:
        """Send one message to all subscribers of its topic."""
        send = self._send
        send(topic, _MORE)
        send(header, _MORE)
        send(payload)

    def new_subscriptions(self) -> set[bytes]:
        """Return the topics that were subscribed to since the last call."""
        topics = set()
        while self.is_readable():
            (frame, *_) = self.read()
            if frame[:1] == b"\x01":
                topics.add(frame[1:])
        return topics


class ServerSocket(Socket):
    """A socket that receives requests, also from a plain REQ socket. A client that is gone never blocks it."""

    def reply(self, envelope: Iterable[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        """Send a reply along the hops of its request. Return False if the client is gone or its queue is full."""
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
    """A socket that sends requests to one peer. A request that cannot leave now is not queued."""

    def send(self, envelope: Sequence[bytes], frames: tuple[bytes, bytes, bytes]) -> bool:
        """Send a request without waiting. Return False if the peer is not connected or its queue is full."""
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
    """Send one request from a plain REQ socket and return the frames of the reply, or None after the timeout.

    RELAXED allows another request after an unanswered one; CORRELATE prevents a late reply from being matched to
    another request.
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


class Transport:
    """The sockets of one process, and the poll over the registered ones."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._sockets: list[Socket] = []
        self._registered: dict[object, Socket | Callable[[], None]] = {}
        self._polled: list[tuple[Any, int]] = []

    def bind_publisher(self, path: Path, high_water_mark: int) -> PublisherSocket:
        """Bind the socket on which a process publishes."""
        socket = self._socket(zmq.XPUB, high_water_mark, linger_ms=LINGER_MS)
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # each new subscription is reported, not only the first
        return self._track(PublisherSocket(socket, self._bind(socket, path)))

    def bind_server(self, path: Path, high_water_mark: int) -> ServerSocket:
        """Bind a socket that receives requests."""
        socket = self._socket(zmq.ROUTER, high_water_mark, linger_ms=LINGER_MS)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        return self._track(ServerSocket(socket, self._bind(socket, path)))

    def connect_subscriber(self, paths_with_marks: Iterable[tuple[Path, int]], topics: Iterable[bytes]) -> Socket:
        """Subscribe to topics of several processes on one socket. The processes may start later and restart."""
        socket = self._socket(zmq.SUB, 0)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        for path, high_water_mark in paths_with_marks:
            socket.setsockopt(zmq.RCVHWM, high_water_mark)
            socket.connect(ipc_address(path))
        return self._track(Socket(socket))

    def connect_client(self, path: Path, high_water_mark: int) -> ClientSocket:
        """Connect to a socket that receives requests. Its process may start later and restart."""
        socket = self._socket(zmq.DEALER, high_water_mark)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.connect(ipc_address(path))
        return self._track(ClientSocket(socket))

    def register(self, socket: Socket) -> None:
        """Include this socket in `poll`."""
        self._registered[socket.zmq_socket] = socket
        self._polled.append((socket.zmq_socket, _POLLIN))

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Include a foreign descriptor in `poll`, and call `on_readable` when it is readable."""
        self._registered[descriptor] = on_readable
        self._polled.append((descriptor, _POLLIN))

    def poll(self, timeout_ms: int) -> list[Socket]:
        """Wait for the registered sockets and descriptors, and return the readable sockets."""
        readable = []
        for socket, _ in zmq.zmq_poll(self._polled, timeout_ms):
            registered = self._registered[socket]
            if isinstance(registered, Socket):
                readable.append(registered)
            else:
                registered()
        return readable

    def close(self) -> None:
        """Close every socket. Frames that were already sent may leave within LINGER_MS."""
        for socket in self._sockets:
            socket.close()
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
            lock = claim_socket(path)
            undo.callback(lock.release)
            try:
                socket.bind(ipc_address(path))
            except zmq.ZMQError as error:
                raise StorageError(f"bind {path}: {error}") from error
            undo.pop_all()
        return lock

    def _track(self, socket: AnySocket) -> AnySocket:
        self._sockets.append(socket)
        return socket
