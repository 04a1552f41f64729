"""Answering what is asked on a stream, whoever asks and whatever they send."""

from typing import Any, Final, TypeAlias

from components.contracts.topics import Stream
from components.runtime.codec import FrameDefect, InvalidFrame, decode_header, encode, malformed_reply, message_decoder
from components.runtime.following import Inbounds
from components.runtime.service import RequestReceived
from components.runtime.speaking import Producer
from components.runtime.tally import StreamCounters
from components.runtime.zmq_bus import ServerSocket

HOP_BYTES_MAX: Final = 255
"""The longest name that ZeroMQ gives a hop; a ticket says in one byte how long each is."""

Envelope: TypeAlias = tuple[bytes, ...]


def split_envelope(frames: list[bytes]) -> tuple[Envelope, list[bytes]]:
    """Part the hops from the message at the first empty frame, so that a plain REQ is understood."""
    for index, frame in enumerate(frames):
        if len(frame) > HOP_BYTES_MAX:
            break
        if not frame and index:
            return tuple(frames[:index]), frames[index + 1 :]
    return tuple(frames[:1]), []


def encode_reply_to(index: int, envelope: Envelope) -> bytes:
    """Write down where an answer must go."""
    return bytes((index,)) + b"".join([bytes((len(hop),)) + hop for hop in envelope])


def decode_reply_to(reply_to: bytes) -> Envelope:
    """Read where an answer must go."""
    hops, start = [], 1
    while start < len(reply_to):
        end = start + 1 + reply_to[start]
        hops.append(reply_to[start + 1 : end])
        start = end
    return tuple(hops)


class RequestServer:
    """One stream on which we are asked."""

    def __init__(
        self, index: int, stream: Stream, socket: ServerSocket, counters: StreamCounters, producer: Producer
    ) -> None:
        self.socket, self._index, self._stream, self._counters, self._producer = (
            socket,
            index,
            stream,
            counters,
            producer,
        )
        self._topic, self._decode = stream.name.encode(), message_decoder(stream)
        self._count = 0

    def on_frames(self, frames: list[bytes]) -> Inbounds:
        """Take one request; what is none gets an answer that says so."""
        envelope, message = split_envelope(frames)
        self._counters.received += 1
        try:
            body = self._decode_request(message)
        except InvalidFrame as error:
            self._counters.count_invalid_frame(error)
            self._send(envelope, malformed_reply(self._stream, str(error)))
            return ()
        return (RequestReceived(self._stream, encode_reply_to(self._index, envelope), body),)

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer; whether anybody still listens is only counted."""
        self._send(decode_reply_to(reply_to), body)

    def _decode_request(self, message: list[bytes]) -> Any:  # noqa: ANN401 -- any request of the stream
        if len(message) != 3:
            raise InvalidFrame(FrameDefect.SHAPE, f"{len(message)} frames after the delimiter, must be 3")
        topic, head, payload = message
        if topic != self._topic:
            raise InvalidFrame(FrameDefect.TOPIC, f"not for {self._stream.name}")
        decode_header(head)
        self._counters.received_bytes += len(payload)
        return self._decode(payload)

    def _send(self, envelope: Envelope, body: Any) -> None:  # noqa: ANN401
        self._count += 1
        if self.socket.reply(envelope, (self._topic, self._producer.header(self._count), encode(body))):
            self._counters.replies += 1
        else:
            self._counters.replies_undelivered += 1
