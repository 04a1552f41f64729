"""Hearing streams: each frame to the follower of its producer, and what the followers miss fetched at the side."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from components.contracts.frames import Part, PositionReport, SideReply
from components.contracts.topics import Stream, StreamClass
from components.contracts.values import Place
from components.runtime.codec import Flaw, FrameRefused, decode_header, decode_side_reply, encode
from components.runtime.endpoints import publications, speakers
from components.runtime.endpoints import side as side_of
from components.runtime.event_following import EventFollower
from components.runtime.following import Follower, Inbounds, Ledger, Phase
from components.runtime.service import Inbound
from components.runtime.side import SIDE
from components.runtime.speaking import Voice
from components.runtime.state_following import StateFollower
from components.runtime.tally import Tallies, Tally
from components.runtime.zmq_bus import Client, Port, Transport

SIDE_MARK: Final = 1_000


class Hearing:
    """Everything this process hears, on one socket, and one side line to each producer."""

    def __init__(
        self, transport: Transport, run: Path, hears: Mapping[Stream, Place | None], tallies: Tallies, voice: Voice
    ) -> None:
        self._voice = voice
        self._tallies = {stream.name.encode(): tallies.of(stream) for stream in hears}
        self._followers = {
            stream.name.encode(): {
                producer: follow(stream, producer, tallies.of(stream), since) for producer in speakers(stream)
            }
            for stream, since in hears.items()
        }
        marks: dict[str, int] = {}
        for follower in self._all():
            mark = max(marks.get(follower.producer, 0), follower.stream.high_water_mark)
            marks[follower.producer] = mark
        self.port: Port = transport.subscribe_to(
            [(publications(run, producer), mark) for producer, mark in marks.items()], self._followers
        )
        self._sides: dict[str, Client] = {
            producer: transport.ask_at(side_of(run, producer), SIDE_MARK) for producer in marks
        }
        self._asked: dict[bytes, Follower] = {}
        self._asked_by: dict[Follower, bytes] = {}
        self._count = 0

    @property
    def is_joining(self) -> bool:
        """Say whether something is being fetched."""
        return any(follower.phase is Phase.JOINING for follower in self._all())

    def hear(self, frames: list[bytes]) -> Inbounds:
        """Take one message off the wire; what is wrong with it is counted, and the rest goes on."""
        tally = self._tallies.get(frames[0])
        if tally is None:
            return ()
        try:
            return self._place(tally, frames)
        except FrameRefused as error:
            tally.refused(error)
            return ()

    def tend(self, now_ms: int) -> list[Inbound]:
        """Take what was fetched, ask for what is missing, and notice who is silent."""
        inbounds: list[Inbound] = []
        for client in self._sides.values():
            while client.is_readable():
                inbounds += self._fetched(client.read())
        for follower in self._all():
            # What waits to be read was said: only an empty queue is silence.
            if not self.port.is_readable():
                inbounds += follower.elapse(now_ms)
            if (request := follower.wants(now_ms)) is not None:
                self._ask(follower, encode(request))
        return inbounds

    def report(self) -> None:
        """Tell each producer how far we have come with it."""
        for follower in self._all():
            if follower.phase is Phase.LIVE:
                payload = encode(PositionReport(self._voice.component, follower.place))
                self._sides[follower.producer].send((), (SIDE, self._voice.header(), payload))

    def places(self) -> tuple[Place, ...]:
        """Give how far each stream is heard."""
        return tuple(follower.place for follower in self._all() if follower.epoch)

    def _all(self) -> Iterator[Follower]:
        for by_producer in self._followers.values():
            yield from by_producer.values()

    def _place(self, tally: Tally, frames: list[bytes]) -> Inbounds:
        if len(frames) != 3:
            raise FrameRefused(Flaw.SHAPE, f"{len(frames)} frames, must be 3")
        topic, head, payload = frames
        tally.received += 1
        tally.received_bytes += len(payload)
        header = decode_header(head)
        follower = self._followers[topic].get(header.producer)
        if follower is None:
            raise FrameRefused(Flaw.PRODUCER, f"{header.producer!r} does not speak here")
        return follower.hear(header, payload)

    def _ask(self, follower: Follower, request: bytes) -> None:
        self._count += 1
        number = self._count.to_bytes(8, "big")
        self._asked.pop(self._asked_by.pop(follower, b""), None)
        if self._sides[follower.producer].send((number,), (SIDE, self._voice.header(), request)):
            self._asked[number] = follower
            self._asked_by[follower] = number

    def _fetched(self, frames: list[bytes]) -> Inbounds:
        follower = self._asked.get(frames[0])
        if follower is None:
            return ()
        try:
            reply = _side_reply(frames)
        except FrameRefused as error:
            self._tallies[follower.stream.name.encode()].refused(error)
            return ()
        return follower.take(reply) if isinstance(reply, Part) else ()


def _side_reply(frames: list[bytes]) -> SideReply:
    if len(frames) != 5:
        raise FrameRefused(Flaw.SHAPE, f"{len(frames)} frames at the side, must be 5")
    decode_header(frames[3])
    return decode_side_reply(frames[4])


def follow(stream: Stream, producer: str, ledger: Ledger, since: Place | None) -> Follower:
    """Make the follower that a stream's class asks for."""
    if stream.kind is StreamClass.EVENTS:
        return EventFollower(stream, producer, ledger, since)
    return StateFollower(stream, producer, ledger)
