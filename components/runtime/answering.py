"""Answering: requests of a stream, and at the side snapshots and replays of what we say."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from prometheus_client import Gauge

from components.contracts.errors import InvariantError
from components.contracts.frames import Part, PositionReport, ReplayRequest, SnapshotRequest, Unavailable
from components.contracts.topics import STREAMS, Stream, StreamClass
from components.contracts.values import Place
from components.runtime.codec import (
    Flaw,
    FrameRefused,
    decode_header,
    decode_side_request,
    decoder_of,
    encode,
    misunderstood,
)
from components.runtime.endpoints import COMPONENTS
from components.runtime.following import Inbounds
from components.runtime.service import Asked
from components.runtime.speaking import Speaking, Voice
from components.runtime.tally import Tally
from components.runtime.zmq_bus import Server

PART_BYTES_GOAL: Final = 256 * 1024
PART_RECORDS_MAX: Final = 1_024
"""One part holds a service up for a few milliseconds, not more."""
SIDE_REQUESTS_PER_TURN_MAX: Final = 64
SIDE: Final = b"side"
"""The topic of whatever is said at the side."""
HOP_BYTES_MAX: Final = 255
"""The longest name that ZeroMQ gives a hop; a ticket says in one byte how long each is."""

Envelope: TypeAlias = tuple[bytes, ...]


class Kept(Protocol):
    """A record as the journal gives it."""

    @property
    def sequence(self) -> int:
        """Its place."""

    @property
    def payload(self) -> bytes:
        """What was appended."""


Records: TypeAlias = Callable[[int], Iterable[Kept]]
"""Reads a journal from a sequence on, only what is on disk."""


def split(frames: list[bytes]) -> tuple[Envelope, list[bytes]]:
    """Part the hops from the message at the first empty frame, so that a plain REQ is understood."""
    for index, frame in enumerate(frames):
        if len(frame) > HOP_BYTES_MAX:
            break
        if not frame and index:
            return tuple(frames[:index]), frames[index + 1 :]
    return tuple(frames[:1]), []


def ticket_of(index: int, envelope: Envelope) -> bytes:
    """Write down where an answer must go."""
    return bytes((index,)) + b"".join(bytes((len(hop),)) + hop for hop in envelope)


def envelope_of(ticket: bytes) -> Envelope:
    """Read where an answer must go."""
    hops, start = [], 1
    while start < len(ticket):
        end = start + 1 + ticket[start]
        hops.append(ticket[start + 1 : end])
        start = end
    return tuple(hops)


class Answering:
    """One stream on which we are asked."""

    def __init__(self, index: int, stream: Stream, server: Server, tally: Tally, voice: Voice) -> None:
        self.port, self._index, self._stream, self._tally, self._voice = server, index, stream, tally, voice
        self._topic, self._decode = stream.name.encode(), decoder_of(stream)
        self._count = 0

    def hear(self, frames: list[bytes]) -> Inbounds:
        """Take one request; what is none gets an answer that says so."""
        envelope, message = split(frames)
        self._tally.received += 1
        try:
            body = self._understand(message)
        except FrameRefused as error:
            self._tally.refused(error)
            self._send(envelope, misunderstood(self._stream, str(error)))
            return ()
        return (Asked(self._stream, ticket_of(self._index, envelope), body),)

    def reply(self, ticket: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer; whether anybody still listens is only counted."""
        self._send(envelope_of(ticket), body)

    def _understand(self, message: list[bytes]) -> Any:  # noqa: ANN401 -- any request of the stream
        if len(message) != 3:
            raise FrameRefused(Flaw.SHAPE, f"{len(message)} frames after the delimiter, must be 3")
        topic, head, payload = message
        if topic != self._topic:
            raise FrameRefused(Flaw.TOPIC, f"not for {self._stream.name}")
        decode_header(head)
        self._tally.received_bytes += len(payload)
        return self._decode(payload)

    def _send(self, envelope: Envelope, body: Any) -> None:  # noqa: ANN401
        self._count += 1
        if self.port.reply(envelope, (self._topic, self._voice.header(self._count), encode(body))):
            self._tally.replies += 1
        else:
            self._tally.replies_undelivered += 1


@dataclass(frozen=True, slots=True)
class SnapshotWanted:
    """Somebody joins a state stream and waits for its present state."""

    stream: Stream
    envelope: Envelope


class SideDesk:
    """The side socket of what we say: late joiners, replays, and how far each hearer is."""

    def __init__(self, server: Server, speaking: Speaking, records: Records | None, tally: Tally, lag: Gauge) -> None:
        self.port, self._speaking, self._records, self._tally, self._lag = server, speaking, records, tally, lag
        self._voice = speaking.voice

    def tend(self) -> list[SnapshotWanted]:
        """Answer what waits, a bounded number at a time; give the snapshots that only the service can answer."""
        wanted: list[SnapshotWanted] = []
        for _ in range(SIDE_REQUESTS_PER_TURN_MAX):
            if not self.port.is_readable():
                break
            envelope, message = split(self.port.read())
            try:
                wanted += self._serve(envelope, message)
            except FrameRefused as error:
                self._tally.refused(error)
        return wanted

    def give(self, wanted: SnapshotWanted, messages: Iterable[Any]) -> None:
        """Send the state of a stream as it is after the last message said on it."""
        place = self._speaking.place(wanted.stream)
        parts = _in_parts([(0, encode(message)) for message in messages])
        for index, part in enumerate(parts):
            self._send(wanted.envelope, Part(place, tuple(part), index == len(parts) - 1))

    def _serve(self, envelope: Envelope, message: list[bytes]) -> list[SnapshotWanted]:
        if len(message) != 3:
            raise FrameRefused(Flaw.SHAPE, f"{len(message)} frames at the side, must be 3")
        if message[0] != SIDE:
            raise FrameRefused(Flaw.TOPIC, "not for the side")
        decode_header(message[1])
        request = decode_side_request(message[2])
        match request:
            case PositionReport():
                self._note(request)
                return []
            case SnapshotRequest(name) if self._gives(name, StreamClass.STATE):
                return [SnapshotWanted(STREAMS[name], envelope)]
            case ReplayRequest(name, start) if self._gives(name, StreamClass.EVENTS):
                self._send(envelope, self._replayed(STREAMS[name], start))
                return []
            case SnapshotRequest(name) | ReplayRequest(name):
                self._send(envelope, Unavailable(name, "not said here, or not that way"))
                return []

    def _gives(self, name: str, kind: StreamClass) -> bool:
        return self._speaking.says(name) and STREAMS[name].kind is kind

    def _replayed(self, stream: Stream, start: int) -> Part:
        if self._records is None:
            raise InvariantError(f"{stream.name} is said without a journal")
        found: list[tuple[int, bytes]] = []
        size = 0
        for record in self._records(max(start, 1)):
            if found and (size + len(record.payload) > PART_BYTES_GOAL or len(found) == PART_RECORDS_MAX):
                return Part(self._place_at(stream, found), tuple(found), complete=False)
            found.append((record.sequence, record.payload))
            size += len(record.payload)
        return Part(self._place_at(stream, found), tuple(found), complete=True)

    def _place_at(self, stream: Stream, found: Sequence[tuple[int, bytes]]) -> Place:
        place = self._speaking.place(stream)
        return Place(place.stream, place.epoch, found[-1][0]) if found else place

    def _note(self, report: PositionReport) -> None:
        if not self._speaking.says(report.place.stream):
            return
        now = self._speaking.place(STREAMS[report.place.stream])
        subscriber = report.subscriber if report.subscriber in COMPONENTS else "other"
        if now.epoch == report.place.epoch:
            self._lag.labels(now.stream, subscriber).set(max(0, now.sequence - report.place.sequence))

    def _send(self, envelope: Envelope, body: Any) -> None:  # noqa: ANN401
        if not self.port.reply(envelope, (SIDE, self._voice.header(), encode(body))):
            self._tally.replies_undelivered += 1


def _in_parts(messages: list[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
    parts: list[list[tuple[int, bytes]]] = [[]]
    size = 0
    for message in messages:
        if parts[-1] and size + len(message[1]) > PART_BYTES_GOAL:
            parts.append([])
            size = 0
        parts[-1].append(message)
        size += len(message[1])
    return parts
