"""Saying things on streams: each message with its header, each stream with its place and its heartbeat.

The side socket of what we say: late joiners, replays, and how far each hearer is.
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
    _MESSAGE,
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

_HEARTBEAT: Final = FrameKind.HEARTBEAT


@dataclass(slots=True)
class OutboundStream:
    """One stream that we say: how far it has come."""

    topic: bytes
    epoch: str
    last_sequence: int
    counters: StreamCounters


class Publisher:
    """Everything this process says."""

    def __init__(self, socket: PublisherSocket, producer: Producer) -> None:
        self.producer = producer
        self._socket, self._send = socket, socket.send
        self._component, self._run, self._now_ns = producer.component, producer.run, producer.clock.now_ns
        self._streams: dict[str, OutboundStream] = {}
        self._journal_stream: OutboundStream | None = None

    def add_state_stream(self, stream: Stream, tally: StreamCounters) -> None:
        """Begin a state stream; its epoch is this run."""
        self._streams[stream.name] = OutboundStream(stream.name.encode(), self._run, 0, tally)

    def add_journal_stream(self, stream: Stream, tally: StreamCounters, journal_id: str, last_sequence: int) -> None:
        """Take up the event stream that reads a journal aloud, behind its last record."""
        self._journal_stream = OutboundStream(stream.name.encode(), journal_id, last_sequence, tally)
        self._streams[stream.name] = self._journal_stream

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""
        line = self._streams[stream.name]
        line.last_sequence += 1
        self._send_message(line, encode(body), event_at_ns, received_at_ns)

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""
        line = self._journal_stream
        if line is not None:
            line.last_sequence = sequence
            self._send_message(line, payload, 0, 0)

    def offset(self, stream: Stream) -> StreamOffset:
        """Give the place of the last message said."""
        line = self._streams[stream.name]
        return StreamOffset(stream.name, line.epoch, line.last_sequence)

    def publishes(self, name: str) -> bool:
        """Say whether we speak on the stream of this name."""
        return name in self._streams

    def publish_heartbeats(self) -> None:
        """Say on each stream how far it has come, so that a lost tail is noticed."""
        for line in self._streams.values():
            self._send_heartbeat(line)

    def announce_to_new_subscribers(self) -> bool:
        """Say the place to newcomers at once: only a frame tells them that their subscription has arrived."""
        new_subscriptions = self._socket.new_subscriptions()
        for line in self._streams.values():
            if line.topic in new_subscriptions:
                self._send_heartbeat(line)
        return bool(new_subscriptions)

    def _send_message(self, line: OutboundStream, payload: bytes, event_at_ns: int, received_at_ns: int) -> None:
        header = Header(
            SCHEMA_VERSION,
            _MESSAGE,
            self._component,
            line.epoch,
            line.last_sequence,
            event_at_ns,
            received_at_ns,
            self._now_ns(),
            b"",
            self._run,
        )
        self._send(line.topic, encode(header), payload)
        tally = line.counters
        tally.published += 1
        tally.published_bytes += len(payload)

    def _send_heartbeat(self, line: OutboundStream) -> None:
        now_ns = self._now_ns()
        header = Header(
            SCHEMA_VERSION, _HEARTBEAT, self._component, line.epoch, line.last_sequence, 0, 0, now_ns, b"", self._run
        )
        self._send(line.topic, encode(header), b"")


BATCH_BYTES_TARGET: Final = 256 * 1024
BATCH_RECORDS_MAX: Final = 1_024
"""One part holds a service up for a few milliseconds, not more."""
REQUESTS_PER_POLL_MAX: Final = 64


class JournalRecord(Protocol):
    """A record as the journal gives it."""

    @property
    def sequence(self) -> int:
        """Its place."""

    @property
    def payload(self) -> bytes:
        """What was appended."""


RecordReader: TypeAlias = Callable[[int], Iterable[JournalRecord]]
"""Reads a journal from a sequence on, only what is on disk."""


@dataclass(frozen=True, slots=True)
class SnapshotRequested:
    """Somebody joins a state stream and waits for its present state."""

    stream: Stream
    envelope: Envelope


class RecoveryServer:
    """The side socket of what we say: late joiners, replays, and how far each hearer is."""

    def __init__(
        self,
        server: ServerSocket,
        publisher: Publisher,
        records: RecordReader | None,
        counters: StreamCounters,
        lag: Gauge,
    ) -> None:
        self.socket, self._publisher, self._records, self._counters, self._lag = (
            server,
            publisher,
            records,
            counters,
            lag,
        )
        self._producer = publisher.producer

    def poll(self) -> list[SnapshotRequested]:
        """Answer what waits, a bounded number at a time; give the snapshots that only the service can answer."""
        wanted: list[SnapshotRequested] = []
        for _ in range(REQUESTS_PER_POLL_MAX):
            if not self.socket.is_readable():
                break
            envelope, message = split_envelope(self.socket.read())
            try:
                wanted += self._serve(envelope, message)
            except InvalidFrame as error:
                self._counters.count_invalid_frame(error)
        return wanted

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send the state of a stream as it is after the last message said on it."""
        place = self._publisher.offset(request.stream)
        parts = _split_batches([(0, encode(message)) for message in messages])
        for index, part in enumerate(parts):
            self._send(request.envelope, RecoveryBatch(place, tuple(part), index == len(parts) - 1))

    def _serve(self, envelope: Envelope, message: list[bytes]) -> list[SnapshotRequested]:
        if len(message) != 3:
            raise InvalidFrame(FrameDefect.SHAPE, f"{len(message)} frames at the side, must be 3")
        if message[0] != RECOVERY_TOPIC:
            raise InvalidFrame(FrameDefect.TOPIC, "not for the side")
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
                self._send(envelope, RecoveryUnavailable(name, "not said here, or not that way"))
                return []

    def _serves(self, name: str, kind: StreamClass) -> bool:
        return self._publisher.publishes(name) and STREAMS[name].stream_class is kind

    def _replay_batch(self, stream: Stream, start: int) -> RecoveryBatch:
        if self._records is None:
            raise InvariantError(f"{stream.name} is said without a journal")
        found: list[tuple[int, bytes]] = []
        size = 0
        for record in self._records(max(start, 1)):
            if found and (size + len(record.payload) > BATCH_BYTES_TARGET or len(found) == BATCH_RECORDS_MAX):
                return RecoveryBatch(self._offset_at(stream, found), tuple(found), complete=False)
            found.append((record.sequence, record.payload))
            size += len(record.payload)
        return RecoveryBatch(self._offset_at(stream, found), tuple(found), complete=True)

    def _offset_at(self, stream: Stream, found: Sequence[tuple[int, bytes]]) -> StreamOffset:
        place = self._publisher.offset(stream)
        return StreamOffset(place.stream, place.epoch, found[-1][0]) if found else place

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
    parts: list[list[tuple[int, bytes]]] = [[]]
    size = 0
    for message in messages:
        if parts[-1] and size + len(message[1]) > BATCH_BYTES_TARGET:
            parts.append([])
            size = 0
        parts[-1].append(message)
        size += len(message[1])
    return parts
