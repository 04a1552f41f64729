"""The publishing side of the bus: messages with sequence numbers, heartbeats, and the recovery socket.

Subscribers request snapshots of state streams and replays of event streams at the recovery socket, and report their
progress there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from prometheus_client import Gauge

from components.contracts.errors import InvariantError
from components.contracts.protocol import (
    SCHEMA_VERSION,
    FrameKind,
    Header,
    RecoveryBatch,
    RecoveryUnavailable,
    ReplayRequest,
    SnapshotRequest,
    SubscriberProgress,
)
from components.contracts.streams import STREAMS, Stream, StreamClass
from components.contracts.values import StreamOffset
from components.runtime.bus.codec import (
    MESSAGE_KIND,
    RECOVERY_TOPIC,
    FrameDefect,
    InvalidFrame,
    Producer,
    decode_header,
    decode_recovery_request,
    encode,
)
from components.runtime.bus.counters import StreamCounters
from components.runtime.bus.transport import COMPONENTS, Envelope, split_envelope
from components.runtime.bus.zeromq import PublisherSocket, ServerSocket

HEARTBEAT_KIND: Final = FrameKind.HEARTBEAT
BATCH_BYTES_TARGET: Final = 256 * 1024
BATCH_RECORDS_MAX: Final = 1_024
"""Bounds the time for which one batch occupies the loop to a few milliseconds."""
REQUESTS_PER_POLL_MAX: Final = 64


@dataclass(slots=True)
class OutboundStream:
    """One published stream and its last sequence."""

    topic: bytes
    epoch: str
    last_sequence: int
    counters: StreamCounters


class Publisher:
    """Publishes all streams of one process on one socket."""

    def __init__(self, socket: PublisherSocket, producer: Producer) -> None:
        self.producer = producer
        self._socket, self._send = socket, socket.send
        self._component, self._run, self._now_ns = producer.component, producer.run, producer.clock.now_ns
        self._streams: dict[str, OutboundStream] = {}
        self._journal_stream: OutboundStream | None = None

    def add_state_stream(self, stream: Stream, counters: StreamCounters) -> None:
        """Add a state stream; its epoch is this run of the process."""
        self._streams[stream.name] = OutboundStream(stream.name.encode(), self._run, 0, counters)

    def add_journal_stream(self, stream: Stream, counters: StreamCounters, journal_id: str, last_sequence: int) -> None:
        """Add the event stream that publishes a journal, continuing after its last record."""
        self._journal_stream = OutboundStream(stream.name.encode(), journal_id, last_sequence, counters)
        self._streams[stream.name] = self._journal_stream

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Publish a message on a state stream."""
        outbound = self._streams[stream.name]
        outbound.last_sequence += 1
        self._send_message(outbound, encode(body), event_at_ns, received_at_ns)

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Publish a journal record that is already durable."""
        outbound = self._journal_stream
        if outbound is not None:
            outbound.last_sequence = sequence
            self._send_message(outbound, payload, 0, 0)

    def offset(self, stream: Stream) -> StreamOffset:
        """Return the offset of the last message published on a stream."""
        outbound = self._streams[stream.name]
        return StreamOffset(stream.name, outbound.epoch, outbound.last_sequence)

    def publishes(self, name: str) -> bool:
        """Return whether this process publishes the stream of this name."""
        return name in self._streams

    def publish_heartbeats(self) -> None:
        """Publish the last sequence of each stream, so that subscribers detect a lost tail."""
        for outbound in self._streams.values():
            self._send_heartbeat(outbound)

    def announce_to_new_subscribers(self) -> bool:
        """Send a heartbeat on each newly subscribed stream: only a frame shows that a subscription is active.

        Return whether there was a new subscription.
        """
        new_subscriptions = self._socket.new_subscriptions()
        for outbound in self._streams.values():
            if outbound.topic in new_subscriptions:
                self._send_heartbeat(outbound)
        return bool(new_subscriptions)

    def _send_message(self, outbound: OutboundStream, payload: bytes, event_at_ns: int, received_at_ns: int) -> None:
        header = Header(
            SCHEMA_VERSION,
            MESSAGE_KIND,
            self._component,
            outbound.epoch,
            outbound.last_sequence,
            event_at_ns,
            received_at_ns,
            self._now_ns(),
            b"",
            self._run,
        )
        self._send(outbound.topic, encode(header), payload)
        counters = outbound.counters
        counters.published += 1
        counters.published_bytes += len(payload)

    def _send_heartbeat(self, outbound: OutboundStream) -> None:
        now_ns = self._now_ns()
        header = Header(
            SCHEMA_VERSION,
            HEARTBEAT_KIND,
            self._component,
            outbound.epoch,
            outbound.last_sequence,
            0,
            0,
            now_ns,
            b"",
            self._run,
        )
        self._send(outbound.topic, encode(header), b"")


class JournalRecord(Protocol):
    """A journal record, as far as the bus needs it."""

    @property
    def sequence(self) -> int:
        """The sequence of the record in the journal."""

    @property
    def payload(self) -> bytes:
        """The encoded message that was appended."""


RecordReader: TypeAlias = Callable[[int], Iterable[JournalRecord]]
"""Reads a journal from a sequence on, durable records only."""


@dataclass(frozen=True, slots=True)
class SnapshotRequested:
    """A subscriber's request for a snapshot of a state stream; the service supplies the content."""

    stream: Stream
    envelope: Envelope


class RecoveryServer:
    """Serves the recovery socket: snapshots, replays, and progress reports of subscribers."""

    def __init__(
        self,
        server: ServerSocket,
        publisher: Publisher,
        records: RecordReader | None,
        counters: StreamCounters,
        lag: Gauge,
    ) -> None:
        self.socket, self._publisher, self._records = server, publisher, records
        self._counters, self._lag = counters, lag
        self._producer = publisher.producer

    def poll(self) -> list[SnapshotRequested]:
        """Answer pending requests, a bounded number per call.

        Return the snapshot requests that only the service can answer.
        """
        snapshot_requests: list[SnapshotRequested] = []
        for _ in range(REQUESTS_PER_POLL_MAX):
            if not self.socket.is_readable():
                break
            envelope, message = split_envelope(self.socket.read())
            try:
                snapshot_requests += self._serve(envelope, message)
            except InvalidFrame as error:
                self._counters.count_invalid_frame(error)
        return snapshot_requests

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send the state of a stream as it is after the last message published on it."""
        offset = self._publisher.offset(request.stream)
        batches = _split_batches([(0, encode(message)) for message in messages])
        for index, batch in enumerate(batches):
            self._send(request.envelope, RecoveryBatch(offset, tuple(batch), index == len(batches) - 1))

    def _serve(self, envelope: Envelope, message: list[bytes]) -> list[SnapshotRequested]:
        if len(message) != 3:
            raise InvalidFrame(FrameDefect.SHAPE, f"{len(message)} frames in a recovery request, must be 3")
        if message[0] != RECOVERY_TOPIC:
            raise InvalidFrame(FrameDefect.TOPIC, "not a recovery request")
        decode_header(message[1])
        request = decode_recovery_request(message[2])
        match request:
            case SubscriberProgress():
                self._record_progress(request)
                return []
            case SnapshotRequest(name) if self._serves(name, StreamClass.STATE):
                return [SnapshotRequested(STREAMS[name], envelope)]
            case ReplayRequest(name, start) if self._serves(name, StreamClass.EVENTS):
                self._send(envelope, self._replay_batch(STREAMS[name], start))
                return []
            case SnapshotRequest(name) | ReplayRequest(name):
                self._send(envelope, RecoveryUnavailable(name, "not published here, or not as a stream of this class"))
                return []

    def _serves(self, name: str, kind: StreamClass) -> bool:
        return self._publisher.publishes(name) and STREAMS[name].stream_class is kind

    def _replay_batch(self, stream: Stream, start: int) -> RecoveryBatch:
        if self._records is None:
            raise InvariantError(f"{stream.name} is published without a journal")
        found: list[tuple[int, bytes]] = []
        size = 0
        for record in self._records(max(start, 1)):
            if found and (size + len(record.payload) > BATCH_BYTES_TARGET or len(found) == BATCH_RECORDS_MAX):
                return RecoveryBatch(self._offset_at(stream, found), tuple(found), complete=False)
            found.append((record.sequence, record.payload))
            size += len(record.payload)
        return RecoveryBatch(self._offset_at(stream, found), tuple(found), complete=True)

    def _offset_at(self, stream: Stream, found: Sequence[tuple[int, bytes]]) -> StreamOffset:
        offset = self._publisher.offset(stream)
        return StreamOffset(offset.stream, offset.epoch, found[-1][0]) if found else offset

    def _record_progress(self, report: SubscriberProgress) -> None:
        if not self._publisher.publishes(report.offset.stream):
            return
        now = self._publisher.offset(STREAMS[report.offset.stream])
        subscriber = report.subscriber if report.subscriber in COMPONENTS else "other"
        if now.epoch == report.offset.epoch:
            self._lag.labels(now.stream, subscriber).set(max(0, now.sequence - report.offset.sequence))

    def _send(self, envelope: Envelope, body: Any) -> None:  # noqa: ANN401
        if not self.socket.reply(envelope, (RECOVERY_TOPIC, self._producer.header(), encode(body))):
            self._counters.replies_undelivered += 1


def _split_batches(messages: list[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
    batches: list[list[tuple[int, bytes]]] = [[]]
    size = 0
    for message in messages:
        if batches[-1] and size + len(message[1]) > BATCH_BYTES_TARGET:
            batches.append([])
            size = 0
        batches[-1].append(message)
        size += len(message[1])
    return batches
