"""Saying things on streams: each message with its header, each stream with its place and its heartbeat."""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from components.contracts.frames import SCHEMA_VERSION, FrameKind, Header
from components.contracts.topics import Stream
from components.contracts.values import StreamOffset
from components.runtime.clock import Clock
from components.runtime.codec import encode
from components.runtime.tally import StreamCounters
from components.runtime.zmq_bus import PublisherSocket

_MESSAGE: Final = FrameKind.MESSAGE
_HEARTBEAT: Final = FrameKind.HEARTBEAT


@dataclass(frozen=True, slots=True)
class Producer:
    """Who speaks: the component, this run of it, and its clock."""

    component: str
    run: str
    clock: Clock

    def header(self, sequence: int = 0) -> bytes:
        """Write the header of a frame that stands in no stream: a request or an answer."""
        now_ns = self.clock.now_ns()
        return encode(Header(SCHEMA_VERSION, _MESSAGE, self.component, self.run, sequence, 0, 0, now_ns, b"", self.run))


def new_run_id() -> str:
    """Name this start of the process like no other start."""
    return secrets.token_hex(6)


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
