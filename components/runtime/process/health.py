"""Liveness and readiness of the event loop: its state, the health server, and the watchdog.

The loop updates the state in each iteration. The server answers /healthz, /readyz and /metrics on a thread of its own,
so that no client can delay the loop or another client. The watchdog ends a process whose loop is stuck.
"""

import errno
import faulthandler
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final, NamedTuple

import msgspec
from prometheus_client import Gauge

from components.contracts.errors import ConfigError, ResourceBusy
from components.runtime.cli import EXIT_BUG
from components.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from components.runtime.filesystem import write_atomic
from components.runtime.logs import logger
from components.runtime.metrics import CONTENT_TYPE, Metrics

STARTING: Final = ("starting",)
READY_FILE_INTERVAL_NS: Final = NS_PER_S
"""How often the ready file is renewed. A check of its age should allow several intervals."""
CONNECTIONS_MAX: Final = 16
BACKLOG: Final = 128
"""Above this the kernel makes a client wait a second before it retries."""
REQUEST_BYTES_MAX: Final = 4096
CONNECTION_NS_MAX: Final = 2 * NS_PER_S
POLL_S: Final = 0.25
"""How often connections are checked for their deadline, while there are any."""
READ_BYTES: Final = 4096
JSON: Final = "application/json"
REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
CHECKS_PER_TIMEOUT: Final = 4
STDERR_FD: Final = 2


class HealthState:
    """The state of the loop: written by the loop, read by the health server and the watchdog on their own threads."""

    def __init__(self, clock: Clock, ready_file: Path, ready_gauge: Gauge) -> None:
        """Start not ready. The age of the loop counts only from the first report on."""
        self._clock = clock
        self._file = ready_file
        self._gauge = ready_gauge
        self._renewed_at_ns = 0
        self.iterations = 0
        self.reported_at_ns = clock.monotonic_ns()
        self.unmet: tuple[str, ...] = STARTING

    def report(self, unmet: tuple[str, ...]) -> None:
        """Report one iteration of the loop and the unmet readiness conditions; called about every tick."""
        self.reported_at_ns = self._clock.monotonic_ns()
        self.iterations += 1
        if unmet != self.unmet:
            self._change(unmet)
        elif not unmet and self.reported_at_ns - self._renewed_at_ns >= READY_FILE_INTERVAL_NS:
            self._renew()

    def age_ms(self) -> int:
        """Return the time since the last report, in milliseconds."""
        return (self._clock.monotonic_ns() - self.reported_at_ns) // NS_PER_MS

    def stop(self) -> None:
        """Withdraw readiness for good."""
        self._change(("stopping",))

    def _change(self, unmet: tuple[str, ...]) -> None:
        self.unmet = unmet
        self._gauge.set(0 if unmet else 1)
        if unmet:
            self._file.unlink(missing_ok=True)
        else:
            self._renew()

    def _renew(self) -> None:
        self._renewed_at_ns = self.reported_at_ns
        try:
            os.utime(self._file)
        except FileNotFoundError:
            write_atomic(self._file, b"")


class Page(NamedTuple):
    """The response to one HTTP request."""

    status: int
    content_type: str
    body: bytes


def health_pages(health: HealthState, metrics: Metrics, *, stale_ms: int) -> dict[str, Callable[[], Page]]:
    """Return the pages by path."""

    def healthz() -> Page:
        age_ms = health.age_ms() if health.iterations else 0
        body = {"alive": age_ms <= stale_ms, "loop_age_ms": age_ms}
        return Page(200 if body["alive"] else 503, JSON, msgspec.json.encode(body))

    def readyz() -> Page:
        unmet = health.unmet if healthz().status == 200 else ("loop", *health.unmet)
        body = {"ready": not unmet, "unmet": unmet}
        return Page(503 if unmet else 200, JSON, msgspec.json.encode(body))

    return {
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": lambda: Page(200, CONTENT_TYPE, metrics.exposition()),
    }


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    deadline_ns: int
    received: bytes = b""
    unsent: bytes = field(default=b"", repr=False)


class HealthServer:
    """An HTTP server for a bounded number of clients, each for a bounded time."""

    def __init__(self, pages: dict[str, Callable[[], Page]], clock: Clock, *, host: str, port: int) -> None:
        """Bind the address; port 0 selects a free port."""
        self._pages = pages
        self._clock = clock
        self._listener = _listen(host, port)
        self._connections: dict[socket.socket, _Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._stop_fd, selectors.EVENT_READ)
        self._thread = Thread(target=self._serve, name="health", daemon=True)
        self.host = host
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        """Start the server thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the server and release the port."""
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join()
        for connection in list(self._connections.values()):
            self._close(connection)
        self._selector.close()
        self._listener.close()
        os.close(self._stop_fd)

    def _serve(self) -> None:
        while True:
            for key, events in self._selector.select(POLL_S if self._connections else None):
                if key.fileobj == self._stop_fd:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif connection := self._connections.get(key.data.socket):
                    self._on_event(connection, events)
            self._close_expired()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # the client disconnected, or there are no descriptors left
        client.settimeout(0)
        if len(self._connections) >= CONNECTIONS_MAX:
            self._close(next(iter(self._connections.values())))
        connection = _Connection(client, self._clock.monotonic_ns() + CONNECTION_NS_MAX)
        self._connections[client] = connection
        self._selector.register(client, selectors.EVENT_READ, connection)

    def _on_event(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read(connection)
            if connection.unsent:
                self._write(connection)
        except OSError:
            self._close(connection)

    def _read(self, connection: _Connection) -> None:
        read = connection.socket.recv(READ_BYTES)
        connection.received += read
        if b"\r\n\r\n" in connection.received or len(connection.received) > REQUEST_BYTES_MAX:
            connection.unsent = _response(self._page(connection.received))
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
        elif not read:
            self._close(connection)

    def _write(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            return
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            self._close(connection)

    def _page(self, received: bytes) -> Page:
        if b"\r\n\r\n" not in received:
            return _plain(431)
        method, _, rest = received.partition(b"\r\n")[0].partition(b" ")
        target, _, version = rest.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            return _plain(400)
        if method != b"GET":
            return _plain(405)
        page = self._pages.get(target.partition(b"?")[0].decode("ascii", "replace"))
        return page() if page else _plain(404)

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket]
        connection.socket.close()

    def _close_expired(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for connection in [one for one in self._connections.values() if now_ns > one.deadline_ns]:
            self._close(connection)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ResourceBusy(f"port {port} on {host} is held by another process") from error
        raise ConfigError(f"runtime.health_host: {host}:{port}: {error.strerror or error}") from error
    listener.settimeout(0)
    return listener


def _plain(status: int) -> Page:
    return Page(status, "text/plain; charset=utf-8", REASONS[status].encode() + b"\n")


def _response(page: Page) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + page.body


class Watchdog:
    """Ends the process if the loop makes no progress, after dumping the stack of each thread.

    It starts with the first report.
    """

    def __init__(self, health: HealthState, timeout_ms: int) -> None:
        """Watch this state; `timeout_ms` is the longest time between two reports."""
        self._health = health
        self._timeout_ms = timeout_ms
        self._stopped = Event()
        self._thread = Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the watchdog thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the watchdog thread."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        suspect = 0
        while not self._stopped.wait(self._timeout_ms / CHECKS_PER_TIMEOUT / 1000):
            iterations_seen = self._health.iterations
            is_stale = iterations_seen > 0 and self._health.age_ms() > self._timeout_ms
            # A process that was paused looks stale at the first check after it resumes, so only a second one counts.
            if is_stale and iterations_seen == suspect:
                self._end()
            suspect = iterations_seen if is_stale else 0

    def _end(self) -> None:
        logger().critical("loop_stuck", age_ms=self._health.age_ms(), timeout_ms=self._timeout_ms)
        faulthandler.dump_traceback(STDERR_FD, all_threads=True)
        os._exit(EXIT_BUG)
