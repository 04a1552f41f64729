"""The seam of every transport: what a process can do on the bus; nothing above it knows the engine.

One process's end of every stream: what it says, hears, asks and answers, over the sockets of one transport.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

from components.contracts.errors import InvariantError, PeerUnreachable
from components.contracts.streams import Stream, StreamClass
from components.contracts.values import StreamOffset
from components.runtime.bus.codec import Producer, encode, new_run_id
from components.runtime.bus.counters import BusCounters, Log, StreamStatistics
from components.runtime.bus.publisher import Publisher, RecordReader, RecoveryServer, SnapshotRequested
from components.runtime.bus.requests import RequestClient, RequestServer, decode_reply
from components.runtime.bus.subscriber import RECOVERY_HIGH_WATER_MARK, Subscriber
from components.runtime.bus.transport import publisher_path, request_path
from components.runtime.bus.transport import recovery_path as side_of
from components.runtime.bus.zeromq import Socket, Transport, request_frames_once
from components.runtime.clock import NS_PER_MS, Clock, SystemClock
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.service import Inbound, Inbounds, MessageReceived, RequestTimedOut, StreamBindings

CLI_CLIENT: Final = "verb"
CLI_POLL_MS: Final = 20
"""How often a verb that waits looks to its joins and retries."""


class Bus(Protocol):
    """One process's end of every stream."""

    @property
    def needs_fast_polling(self) -> bool:
        """Say whether `tend` should be called again soon."""

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer whoever holds this ticket."""

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Ask; Answered or Unanswered comes out of a later receive or tend."""

    def send_command(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages."""

    def drain(self, limit: int) -> list[Inbound]:
        """Take what is there without waiting."""

    def is_readable(self) -> bool:
        """Say whether messages wait; ask after every send."""

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors to watch, edge-triggered."""

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Have `receive` wake up for this descriptor too, and tell its owner before it gives any message."""

    def poll_background(self) -> list[Inbound]:
        """Do what is not hot: joins, replays, newcomers, deadlines, silence."""

    def poll_snapshot_requests(self) -> list[SnapshotRequested]:
        """Give what late joiners want that only the service can answer."""

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message said on its stream."""

    def publish_heartbeats(self) -> None:
        """Once a second: say each stream's place, tell producers ours, bring the metrics up to date."""

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Give how far each stream is heard."""

    def statistics(self) -> Sequence[StreamStatistics]:
        """Give what was counted, stream by stream."""

    def close(self) -> None:
        """Close every socket; last words may leave within their bound."""


def open_bus(
    run: Path,
    bindings: StreamBindings,
    *,
    clock: Clock,
    metrics: Metrics,
    log: Log,
    records: RecordReader | None = None,
) -> Bus:
    """Open one process's end of every stream in `lines`; Busy where another process holds it.

    `records` reads the journal of the record stream from a sequence on, for replays.
    """
    voice = Producer(bindings.component, new_run_id(), clock)
    return MessageBus(run, bindings, voice, Transport(), metrics=metrics, log=log, records=records)


def request_once(run: Path, stream: Stream, body: Any, deadline_ms: int) -> Any:  # noqa: ANN401 -- any request, any answer
    """Ask a running process once, for a verb; PeerUnreachable means the outcome is unknown.

    On a sealed stream the body is the frame itself.
    """
    payload = body if stream.stream_class is StreamClass.SEALED else encode(body)
    header = Producer(CLI_CLIENT, new_run_id(), SystemClock()).header()
    frames = request_frames_once(request_path(run, stream), (stream.name.encode(), header, payload), deadline_ms)
    if frames is None:
        (answerer,) = stream.consumers
        raise PeerUnreachable(f"{answerer} did not answer on {stream.name} within {deadline_ms} ms; is it running?")
    return decode_reply(stream, frames)


def follow(
    run: Path, stream: Stream, since: StreamOffset | None = None, *, idle_timeout_ms: int | None = None
) -> Iterator[MessageReceived]:
    """Follow a stream, for a verb, until the caller has enough or nothing came for `quiet_ms_max`.

    With a place, an event stream is replayed from behind it; a state stream begins with what is said next.
    """
    clock = SystemClock()
    lines = StreamBindings(component=CLI_CLIENT, subscribes={stream: since})
    bus = open_bus(run, lines, clock=clock, metrics=Metrics(CLI_CLIENT, ""), log=logger())
    quiet_since_ns = clock.monotonic_ns()
    try:
        while idle_timeout_ms is None or clock.monotonic_ns() - quiet_since_ns < idle_timeout_ms * NS_PER_MS:
            for inbound in (*bus.receive(CLI_POLL_MS), *bus.poll_background()):
                if isinstance(inbound, MessageReceived):
                    quiet_since_ns = clock.monotonic_ns()
                    yield inbound
    finally:
        bus.close()


FAST_POLLING_MS: Final = 500
"""After somebody came to the side, more is expected there."""
FrameHandler = Callable[[list[bytes]], Inbounds]


class MessageBus:
    """The bus as one process has it; satisfies components.runtime.bus.bus.Bus."""

    def __init__(  # noqa: PLR0913  # what every duty of the bus shares, given by whoever opens it
        self,
        run: Path,
        bindings: StreamBindings,
        producer: Producer,
        transport: Transport,
        *,
        metrics: Metrics,
        log: Log,
        records: RecordReader | None,
    ) -> None:
        self._producer, self._transport = producer, transport
        self._counters = BusCounters(bindings.streams, metrics, producer.clock, log)
        self._handlers: dict[Socket, FrameHandler] = {}
        self._deferred: list[Inbound] = []
        self._fast_polling_until_ms = 0
        with ExitStack() as undo:
            undo.callback(self._transport.close)
            self._subscriber = (
                Subscriber(self._transport, run, bindings.subscribes, self._counters, self._producer)
                if bindings.subscribes
                else None
            )
            if self._subscriber is not None:
                self._register(self._subscriber.socket, self._subscriber.on_frames)
            self._publisher, self._recovery_server = self._open_publisher(run, bindings, metrics, records)
            self._request_servers = [
                self._open_request_server(run, index, stream) for index, stream in enumerate(bindings.serves)
            ]
            self._request_clients = {
                stream.name: self._open_request_client(run, stream)
                for stream in (*bindings.requests, *bindings.sends_commands)
            }
            self._single_socket = next(iter(self._handlers)) if len(self._handlers) == 1 else None
            undo.pop_all()

    @property
    def needs_fast_polling(self) -> bool:
        """Say whether `tend` should be called again soon: something is being fetched, here or by a peer."""
        return self._now_ms() < self._fast_polling_until_ms or (
            self._subscriber is not None and self._subscriber.is_syncing
        )

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""
        if self._publisher is None:
            raise InvariantError(f"{stream.name} is not among the lines of this process")
        self._publisher.publish(stream, body, event_at_ns, received_at_ns)

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""
        if self._publisher is not None:
            self._publisher.publish_record(sequence, payload)

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer whoever holds this ticket."""
        self._request_servers[reply_to[0]].reply(reply_to, body)

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Ask; Answered or Unanswered comes out of a later receive or tend."""
        if not self._request_clients[stream.name].request(request_id, body, self._now_ms(), deadline_ms):
            self._deferred.append(RequestTimedOut(request_id))

    def send_command(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""
        self._request_clients[stream.name].send_command(frame)

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages, one of each socket at most, so that none starves another."""
        only = self._single_socket
        if only is not None:
            frames = only.read_within(timeout_ms)
            return () if frames is None else self._handlers[only](frames)
        ready = self._transport.poll(timeout_ms)
        if len(ready) == 1:
            return self._handlers[ready[0]](ready[0].read())
        return [inbound for port in ready for inbound in self._handlers[port](port.read())]

    def drain(self, limit: int) -> list[Inbound]:
        """Take what is there, at most so many messages of each socket, without waiting."""
        inbounds: list[Inbound] = []
        for port, handler in self._handlers.items():
            for _ in range(limit):
                if not port.is_readable():
                    break
                inbounds += handler(port.read())
        return inbounds

    def is_readable(self) -> bool:
        """Say whether messages wait; ask after every send, which may have swallowed the descriptor's edge."""
        return any(port.is_readable() for port in self._handlers)

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors to watch, edge-triggered."""
        return tuple(port.fileno() for port in self._handlers)

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Have `receive` wake up for this descriptor too, and tell its owner before it gives any message."""
        self._transport.register_fd(descriptor, on_readable)
        self._single_socket = None

    def poll_background(self) -> list[Inbound]:
        """Do what is not hot: joins, replays, newcomers, deadlines, silence."""
        now_ms = self._now_ms()
        inbounds, self._deferred = self._deferred, []
        if self._subscriber is not None:
            inbounds += self._subscriber.poll(now_ms)
        for requesting in self._request_clients.values():
            inbounds += requesting.poll(now_ms)
        if self._publisher is not None and self._publisher.announce_to_new_subscribers():
            self._fast_polling_until_ms = now_ms + FAST_POLLING_MS
        return inbounds

    def poll_snapshot_requests(self) -> list[SnapshotRequested]:
        """Serve the side socket; give what only the service can answer."""
        wanted = self._recovery_server.poll() if self._recovery_server is not None else []
        if wanted:
            self._fast_polling_until_ms = self._now_ms() + FAST_POLLING_MS
        return wanted

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message said on its stream."""
        if self._recovery_server is not None:
            self._recovery_server.send_snapshot(request, messages)

    def publish_heartbeats(self) -> None:
        """Once a second: say each stream's place, tell producers ours, bring the metrics up to date."""
        if self._publisher is not None:
            self._publisher.publish_heartbeats()
        if self._subscriber is not None:
            self._subscriber.report_progress()
        self._counters.flush()

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Give how far each stream is heard."""
        return self._subscriber.offsets() if self._subscriber is not None else ()

    def statistics(self) -> Sequence[StreamStatistics]:
        """Give what was counted, stream by stream."""
        return self._counters.statistics()

    def close(self) -> None:
        """Close every socket; last words may leave within their bound."""
        self._counters.flush()
        self._transport.close()

    def _now_ms(self) -> int:
        return self._producer.clock.monotonic_ns() // 1_000_000

    def _register(self, port: Socket, handler: FrameHandler) -> None:
        self._transport.register(port)
        self._handlers[port] = handler

    def _open_publisher(
        self, run: Path, lines: StreamBindings, metrics: Metrics, records: RecordReader | None
    ) -> tuple[Publisher | None, RecoveryServer | None]:
        if not lines.publishes and lines.journal_stream is None:
            return None, None
        said = (*lines.publishes, *((lines.journal_stream,) if lines.journal_stream is not None else ()))
        mark = max(stream.high_water_mark for stream in said)
        speaking = Publisher(self._transport.bind_publisher(publisher_path(run, lines.component), mark), self._producer)
        for stream in lines.publishes:
            speaking.add_state_stream(stream, self._counters.of(stream))
        if lines.journal_stream is not None:
            speaking.add_journal_stream(
                lines.journal_stream, self._counters.of(lines.journal_stream), lines.journal_id, lines.last_sequence
            )
        lag = metrics.gauge(
            "bus_subscriber_lag_messages", "How far a hearer is behind, as it says.", ("stream", "subscriber")
        )
        server = self._transport.bind_server(side_of(run, lines.component), RECOVERY_HIGH_WATER_MARK)
        return speaking, RecoveryServer(server, speaking, records, self._counters.of(said[-1]), lag)

    def _open_request_server(self, run: Path, index: int, stream: Stream) -> RequestServer:
        server = self._transport.bind_server(request_path(run, stream), stream.high_water_mark)
        answering = RequestServer(index, stream, server, self._counters.of(stream), self._producer)
        self._register(server, answering.on_frames)
        return answering

    def _open_request_client(self, run: Path, stream: Stream) -> RequestClient:
        client = self._transport.connect_client(request_path(run, stream), stream.high_water_mark)
        requesting = RequestClient(stream, client, self._counters.of(stream), self._producer)
        self._register(client, requesting.on_frames)
        return requesting
