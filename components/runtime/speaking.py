"""Saying things on streams: each message with its header, each stream with its place and its heartbeat."""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from components.contracts.frames import SCHEMA_VERSION, Header, Kind
from components.contracts.topics import Stream
from components.contracts.values import Place
from components.runtime.clock import Clock
from components.runtime.codec import encode
from components.runtime.tally import Tally
from components.runtime.zmq_bus import Publication

_MESSAGE: Final = Kind.MESSAGE
_HEARTBEAT: Final = Kind.HEARTBEAT


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: the component, this run of it, and its clock."""

    component: str
    run: str
    clock: Clock

    def header(self, sequence: int = 0) -> bytes:
        """Write the header of a frame that stands in no stream: a request or an answer."""
        now_ns = self.clock.now_ns()
        return encode(Header(SCHEMA_VERSION, _MESSAGE, self.component, self.run, sequence, 0, 0, now_ns, b"", self.run))


def new_run() -> str:
    """Name this start of the process like no other start."""
    return secrets.token_hex(6)


@dataclass(slots=True)
class Line:
    """One stream that we say: how far it has come."""

    topic: bytes
    epoch: str
    last: int
    tally: Tally


class Speaking:
    """Everything this process says."""

    def __init__(self, publication: Publication, voice: Voice) -> None:
        self.voice = voice
        self._publication, self._send = publication, publication.send
        self._component, self._run, self._now_ns = voice.component, voice.run, voice.clock.now_ns
        self._lines: dict[str, Line] = {}
        self._record: Line | None = None

    def open_state(self, stream: Stream, tally: Tally) -> None:
        """Begin a state stream; its epoch is this run."""
        self._lines[stream.name] = Line(stream.name.encode(), self._run, 0, tally)

    def open_record(self, stream: Stream, tally: Tally, journal_id: str, last_sequence: int) -> None:
        """Take up the event stream that reads a journal aloud, behind its last record."""
        self._record = Line(stream.name.encode(), journal_id, last_sequence, tally)
        self._lines[stream.name] = self._record

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""
        line = self._lines[stream.name]
        line.last += 1
        self._say(line, encode(body), event_at_ns, received_at_ns)

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""
        line = self._record
        if line is not None:
            line.last = sequence
            self._say(line, payload, 0, 0)

    def place(self, stream: Stream) -> Place:
        """Give the place of the last message said."""
        line = self._lines[stream.name]
        return Place(stream.name, line.epoch, line.last)

    def says(self, name: str) -> bool:
        """Say whether we speak on the stream of this name."""
        return name in self._lines

    def heartbeat(self) -> None:
        """Say on each stream how far it has come, so that a lost tail is noticed."""
        for line in self._lines.values():
            self._beat(line)

    def greet(self) -> bool:
        """Say the place to newcomers at once: only a frame tells them that their subscription has arrived."""
        newcomers = self._publication.newcomers()
        for line in self._lines.values():
            if line.topic in newcomers:
                self._beat(line)
        return bool(newcomers)

    def _say(self, line: Line, payload: bytes, event_at_ns: int, received_at_ns: int) -> None:
        header = Header(
            SCHEMA_VERSION,
            _MESSAGE,
            self._component,
            line.epoch,
            line.last,
            event_at_ns,
            received_at_ns,
            self._now_ns(),
            b"",
            self._run,
        )
        self._send(line.topic, encode(header), payload)
        tally = line.tally
        tally.published += 1
        tally.published_bytes += len(payload)

    def _beat(self, line: Line) -> None:
        now_ns = self._now_ns()
        header = Header(
            SCHEMA_VERSION, _HEARTBEAT, self._component, line.epoch, line.last, 0, 0, now_ns, b"", self._run
        )
        self._send(line.topic, encode(header), b"")
