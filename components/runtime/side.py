"""The side socket of what we say: late joiners, replays, and how far each hearer is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from prometheus_client import Gauge

from components.contracts.errors import InvariantError
from components.contracts.frames import Part, PositionReport, ReplayRequest, SnapshotRequest, Unavailable
from components.contracts.topics import STREAMS, Stream, StreamClass
from components.contracts.values import Place
from components.runtime.answering import Envelope, split
from components.runtime.codec import Flaw, FrameRefused, decode_header, decode_side_request, encode
from components.runtime.endpoints import COMPONENTS
from components.runtime.speaking import Speaking
from components.runtime.tally import Tally
from components.runtime.zmq_bus import Server

SIDE: Final = b"side"
"""The topic of whatever is said at the side."""
PART_BYTES_GOAL: Final = 256 * 1024
PART_RECORDS_MAX: Final = 1_024
"""One part holds a service up for a few milliseconds, not more."""
SIDE_REQUESTS_PER_TURN_MAX: Final = 64


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
