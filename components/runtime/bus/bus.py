"""The message bus as one process uses it: the protocol, its implementation, and functions for CLI commands.

Code above this module does not know the transport.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from components.contracts.errors import InvariantError, PeerUnreachable
from components.contracts.streams import Stream, StreamClass
from components.contracts.values import StreamOffset
from components.runtime.bus.codec import Producer, encode, new_run_id
from components.runtime.bus.counters import BusCounters, Log, StreamStatistics
from components.runtime.bus.publisher import Publisher, RecordReader, RecoveryServer, SnapshotRequested
from components.runtime.bus.requests import RequestClient, RequestServer, decode_reply
from components.runtime.bus.subscriber import RECOVERY_HIGH_WATER_MARK, Subscriber
from components.runtime.bus.transport import publisher_path, recovery_path, request_path
from components.runtime.bus.zeromq import Socket, Transport, request_frames_once
from components.runtime.clock import NS_PER_MS, Clock, SystemClock
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.service import Inbound, Inbounds, MessageReceived, RequestTimedOut, StreamBindings

CLI_CLIENT: Final = "cli"
CLI_POLL_MS: Final = 20
"""How often a CLI command that waits runs recovery and retries."""
FAST_POLLING_MS: Final = 500
"""How long fast polling goes on after a recovery request or a new subscription, because more requests are likely."""
FrameHandler: TypeAlias = Callable[[list[bytes]], Inbounds]


class Bus(Protocol):
    """One process's connections to all its streams."""

    @property
    def needs_fast_polling(self) -> bool:
        """Return whether `poll_background` should be called again soon."""

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Publish a message on a state stream."""

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Publish a journal record that is already durable."""

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any reply of the stream
        """Reply to the request that came with this return address."""

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Send a request. ReplyReceived or RequestTimedOut comes out of a later `receive` or `poll_background`."""

    def send_command(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages."""

    def drain(self, limit: int) -> list[Inbound]:
        """Return the messages that have arrived, without waiting."""

    def is_readable(self) -> bool:
        """Return whether messages are waiting. Call it after every send."""

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to watch; they are edge-triggered."""

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Make `receive` wake up for this descriptor too, and call its owner before it returns any message."""

    def poll_background(self) -> list[Inbound]:
        """Run recovery, replays, new subscriptions, request deadlines and heartbeat timeouts."""

    def poll_snapshot_requests(self) -> list[SnapshotRequested]:
        """Return the snapshot requests that only the service can answer."""

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message published on its stream."""

    def publish_heartbeats(self) -> None:
        """Publish the offset of each stream, report progress to producers, flush the counters; called every second."""

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Return the offset of the last message received on each stream."""

    def statistics(self) -> Sequence[StreamStatistics]:
        """Return the counts of each stream."""

    def close(self) -> None:
        """Close every socket. Frames that were already sent may leave within LINGER_MS."""


class MessageBus:
    """Implements Bus over the sockets of one transport."""

    def __init__(  # noqa: PLR0913  # injected, so that the simulation can replace each
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
        """Return whether recovery is in progress, here or at a subscriber."""
        return self._now_ms() < self._fast_polling_until_ms or (
            self._subscriber is not None and self._subscriber.is_syncing
        )

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Publish a message on a state stream."""
        if self._publisher is None:
            raise InvariantError(f"{stream.name} is not published by this process")
        self._publisher.publish(stream, body, event_at_ns, received_at_ns)

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Publish a journal record that is already durable."""
        if self._publisher is not None:
            self._publisher.publish_record(sequence, payload)

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any reply of the stream
        """Reply to the request that came with this return address."""
        self._request_servers[reply_to[0]].reply(reply_to, body)

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Send a request. ReplyReceived or RequestTimedOut comes out of a later `receive` or `poll_background`."""
        if not self._request_clients[stream.name].request(request_id, body, self._now_ms(), deadline_ms):
            self._deferred.append(RequestTimedOut(request_id))

    def send_command(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""
        self._request_clients[stream.name].send_command(frame)

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages and return at most one per socket, so that no socket starves another."""
        single = self._single_socket
        if single is not None:
            frames = single.read_within(timeout_ms)
            return () if frames is None else self._handlers[single](frames)
        ready = self._transport.poll(timeout_ms)
        if len(ready) == 1:
            return self._handlers[ready[0]](ready[0].read())
        return [inbound for socket in ready for inbound in self._handlers[socket](socket.read())]

    def drain(self, limit: int) -> list[Inbound]:
        """Return the messages that have arrived, at most `limit` per socket, without waiting."""
        inbounds: list[Inbound] = []
        for socket, handler in self._handlers.items():
            for _ in range(limit):
                if not socket.is_readable():
                    break
                inbounds += handler(socket.read())
        return inbounds

    def is_readable(self) -> bool:
        """Return whether messages are waiting.

        Call it after every send: a send may consume the edge of the descriptor.
        """
        return any(socket.is_readable() for socket in self._handlers)

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to watch; they are edge-triggered."""
        return tuple(socket.fileno() for socket in self._handlers)

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Make `receive` wake up for this descriptor too, and call its owner before it returns any message."""
        self._transport.register_fd(descriptor, on_readable)
        self._single_socket = None

    def poll_background(self) -> list[Inbound]:
        """Run recovery, replays, new subscriptions, request deadlines and heartbeat timeouts."""
        now_ms = self._now_ms()
        inbounds, self._deferred = self._deferred, []
        if self._subscriber is not None:
            inbounds += self._subscriber.poll(now_ms)
        for client in self._request_clients.values():
            inbounds += client.poll(now_ms)
        if self._publisher is not None and self._publisher.announce_to_new_subscribers():
            self._fast_polling_until_ms = now_ms + FAST_POLLING_MS
        return inbounds

    def poll_snapshot_requests(self) -> list[SnapshotRequested]:
        """Serve the recovery socket and return the snapshot requests that only the service can answer."""
        requests = self._recovery_server.poll() if self._recovery_server is not None else []
        if requests:
            self._fast_polling_until_ms = self._now_ms() + FAST_POLLING_MS
        return requests

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message published on its stream."""
        if self._recovery_server is not None:
            self._recovery_server.send_snapshot(request, messages)

    def publish_heartbeats(self) -> None:
        """Publish the offset of each stream, report progress to producers, flush the counters; called every second."""
        if self._publisher is not None:
            self._publisher.publish_heartbeats()
        if self._subscriber is not None:
            self._subscriber.report_progress()
        self._counters.flush()

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Return the offset of the last message received on each stream."""
        return self._subscriber.offsets() if self._subscriber is not None else ()

    def statistics(self) -> Sequence[StreamStatistics]:
        """Return the counts of each stream."""
        return self._counters.statistics()

    def close(self) -> None:
        """Close every socket. Frames that were already sent may leave within LINGER_MS."""
        self._counters.flush()
        self._transport.close()

    def _now_ms(self) -> int:
        return self._producer.clock.monotonic_ns() // NS_PER_MS

    def _register(self, socket: Socket, handler: FrameHandler) -> None:
        self._transport.register(socket)
        self._handlers[socket] = handler

    def _open_publisher(
        self, run: Path, bindings: StreamBindings, metrics: Metrics, records: RecordReader | None
    ) -> tuple[Publisher | None, RecoveryServer | None]:
        if not bindings.publishes and bindings.journal_stream is None:
            return None, None
        published = (*bindings.publishes, *((bindings.journal_stream,) if bindings.journal_stream is not None else ()))
        mark = max(stream.high_water_mark for stream in published)
        publisher = Publisher(
            self._transport.bind_publisher(publisher_path(run, bindings.component), mark), self._producer
        )
        for stream in bindings.publishes:
            publisher.add_state_stream(stream, self._counters.of(stream))
        if bindings.journal_stream is not None:
            publisher.add_journal_stream(
                bindings.journal_stream,
                self._counters.of(bindings.journal_stream),
                bindings.journal_id,
                bindings.last_sequence,
            )
        lag = metrics.gauge(
            "bus_subscriber_lag_messages",
            "How many messages a subscriber is behind, as it reported.",
            ("stream", "subscriber"),
        )
        server = self._transport.bind_server(recovery_path(run, bindings.component), RECOVERY_HIGH_WATER_MARK)
        return publisher, RecoveryServer(server, publisher, records, self._counters.of(published[-1]), lag)

    def _open_request_server(self, run: Path, index: int, stream: Stream) -> RequestServer:
        socket = self._transport.bind_server(request_path(run, stream), stream.high_water_mark)
        server = RequestServer(index, stream, socket, self._counters.of(stream), self._producer)
        self._register(socket, server.on_frames)
        return server

    def _open_request_client(self, run: Path, stream: Stream) -> RequestClient:
        socket = self._transport.connect_client(request_path(run, stream), stream.high_water_mark)
        client = RequestClient(stream, socket, self._counters.of(stream), self._producer)
        self._register(socket, client.on_frames)
        return client


def open_bus(
    run: Path,
    bindings: StreamBindings,
    *,
    clock: Clock,
    metrics: Metrics,
    log: Log,
    records: RecordReader | None = None,
) -> Bus:
    """Connect one process to every stream in `bindings`.

    Raises ResourceBusy if another process holds a socket. `records` reads the published journal from a sequence on, for
    replays.
    """
    producer = Producer(bindings.component, new_run_id(), clock)
    return MessageBus(run, bindings, producer, Transport(), metrics=metrics, log=log, records=records)


def request_once(run: Path, stream: Stream, body: Any, deadline_ms: int) -> Any:  # noqa: ANN401 -- any request, any reply
    """Send one request to a running process and return its reply.

    For CLI commands. PeerUnreachable means that the outcome is unknown. On a sealed stream the body is the frame.
    """
    payload = body if stream.stream_class is StreamClass.SEALED else encode(body)
    header = Producer(CLI_CLIENT, new_run_id(), SystemClock()).header()
    frames = request_frames_once(request_path(run, stream), (stream.name.encode(), header, payload), deadline_ms)
    if frames is None:
        (consumer,) = stream.consumers
        raise PeerUnreachable(f"{consumer} did not reply on {stream.name} within {deadline_ms} ms; is it running?")
    return decode_reply(stream, frames)


def follow(
    run: Path, stream: Stream, since: StreamOffset | None = None, *, idle_timeout_ms: int | None = None
) -> Iterator[MessageReceived]:
    """Yield the messages of a stream until the caller stops, or until none arrived for `idle_timeout_ms`.

    For CLI commands. With `since`, an event stream is replayed from the record after it; a state stream starts with the
    next message.
    """
    clock = SystemClock()
    bindings = StreamBindings(component=CLI_CLIENT, subscribes={stream: since})
    bus = open_bus(run, bindings, clock=clock, metrics=Metrics(CLI_CLIENT, ""), log=logger())
    idle_since_ns = clock.monotonic_ns()
    try:
        while idle_timeout_ms is None or clock.monotonic_ns() - idle_since_ns < idle_timeout_ms * NS_PER_MS:
            for inbound in (*bus.receive(CLI_POLL_MS), *bus.poll_background()):
                if isinstance(inbound, MessageReceived):
                    idle_since_ns = clock.monotonic_ns()
                    yield inbound
    finally:
        bus.close()
