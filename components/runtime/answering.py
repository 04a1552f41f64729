"""Answering what is asked on a stream, whoever asks and whatever they send."""

from typing import Any, Final, TypeAlias

from components.contracts.topics import Stream
from components.runtime.codec import Flaw, FrameRefused, decode_header, decoder_of, encode, misunderstood
from components.runtime.following import Inbounds
from components.runtime.service import Asked
from components.runtime.speaking import Voice
from components.runtime.tally import Tally
from components.runtime.zmq_bus import Server

HOP_BYTES_MAX: Final = 255
"""The longest name that ZeroMQ gives a hop; a ticket says in one byte how long each is."""

Envelope: TypeAlias = tuple[bytes, ...]


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
    return bytes((index,)) + b"".join([bytes((len(hop),)) + hop for hop in envelope])


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
