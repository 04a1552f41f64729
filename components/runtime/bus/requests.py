"""Requests in flight on one stream, without I/O: the same request again until the answer or the deadline.

Asking one peer: requests that are sent again until answered, and sealed frames that are not waited for.

Answering what is asked on a stream, whoever asks and whatever they send.
"""

from dataclasses import dataclass
from typing import Any, Final

from components.contracts.streams import Stream, StreamClass
from components.runtime.bus.codec import (
    FrameDefect,
    InvalidFrame,
    Producer,
    decode_header,
    encode,
    malformed_reply,
    message_decoder,
    reply_decoder,
)
from components.runtime.bus.counters import StreamCounters
from components.runtime.bus.transport import Envelope, split_envelope
from components.runtime.bus.zeromq import ClientSocket, ServerSocket
from components.runtime.service import (
    CommandAcknowledged,
    Inbound,
    Inbounds,
    ReplyReceived,
    RequestReceived,
    RequestTimedOut,
)

PENDING_REQUESTS_MAX: Final = 1_024
RETRY_MS_MIN: Final = 25
ATTEMPTS_PER_DEADLINE: Final = 4
_ID_FIELDS: Final = ("intent_id", "command_id", "request_id")


@dataclass(slots=True)
class PendingRequest:
    """One request and when it is sent again; its bytes never change, so the far end sees a repeat."""

    payload: bytes
    deadline_at_ms: int
    retry_at_ms: int
    retry_ms: int
    sent_count: int = 0


class PendingRequests:
    """What was asked and is not answered yet; bounded, so that a dead peer cannot fill memory."""

    def __init__(self, pending_max: int = PENDING_REQUESTS_MAX) -> None:
        self._pending_max = pending_max
        self._pending: dict[str, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request_id: str, payload: bytes, now_ms: int, deadline_ms: int) -> PendingRequest | None:
        """Remember a request, due at once; None where no more can be in flight."""
        if len(self._pending) >= self._pending_max:
            return None
        again_ms = max(RETRY_MS_MIN, deadline_ms // ATTEMPTS_PER_DEADLINE)
        asked = self._pending[request_id] = PendingRequest(payload, now_ms + deadline_ms, now_ms, again_ms)
        return asked

    def complete(self, request_id: str) -> bool:
        """Take an answer; False where nobody waits for it (any more)."""
        return self._pending.pop(request_id, None) is not None

    def due(self, now_ms: int) -> list[PendingRequest]:
        """Give what should be sent now, or again."""
        return [asked for asked in self._pending.values() if asked.retry_at_ms <= now_ms]

    def expire(self, now_ms: int) -> list[str]:
        """Give up what has passed its deadline: its outcome is unknown."""
        late = [request_id for request_id, waiting in self._pending.items() if waiting.deadline_at_ms <= now_ms]
        for request_id in late:
            del self._pending[request_id]
        return late


def request_id_of(body: Any) -> str | None:  # noqa: ANN401 -- any answer of any stream
    """Give the id of the request that an answer names; None where it names none."""
    for name in _ID_FIELDS:
        found = getattr(body, name, None)
        if found is not None:
            return str(found)
    return None


class RequestClient:
    """Our end of one stream on which a peer answers."""

    def __init__(self, stream: Stream, client: ClientSocket, counters: StreamCounters, producer: Producer) -> None:
        self.socket, self._stream, self._counters, self._producer = client, stream, counters, producer
        self._topic = stream.name.encode()
        self._pending = PendingRequests()
        self._count = 0

    def request(self, request_id: str, body: Any, now_ms: int, deadline_ms: int) -> bool:  # noqa: ANN401
        """Ask; False where too many requests wait already: the outcome of this one is unknown at once."""
        self._counters.requests += 1
        asked = self._pending.add(request_id, encode(body), now_ms, deadline_ms)
        if asked is None:
            self._counters.unanswered += 1
            return False
        self._send_request(asked, now_ms)
        return True

    def send_command(self, frame: bytes) -> None:
        """Send a sealed frame if it can leave now; if not, the outbox will send it again."""
        if self._send(frame):
            self._counters.handed_over += 1
        else:
            self._counters.not_handed_over += 1

    def on_frames(self, frames: list[bytes]) -> Inbounds:
        """Take one answer; one that nobody waits for is counted and dropped, never taken for another's."""
        try:
            body = self._decode(frames)
        except InvalidFrame as error:
            self._counters.count_invalid_frame(error)
            return ()
        if self._stream.stream_class is StreamClass.SEALED:
            return (CommandAcknowledged(self._stream, body),)
        request_id = request_id_of(body)
        if request_id is not None and self._pending.complete(request_id):
            return (ReplyReceived(request_id, body),)
        self._counters.stale_replies += 1
        return ()

    def poll(self, now_ms: int) -> list[Inbound]:
        """Give up what is too late, send again what is due."""
        late = self._pending.expire(now_ms)
        self._counters.unanswered += len(late)
        for asked in self._pending.due(now_ms):
            self._send_request(asked, now_ms)
        return [RequestTimedOut(request_id) for request_id in late]

    def _decode(self, frames: list[bytes]) -> Any:  # noqa: ANN401 -- any answer of the stream
        if not frames or frames[0]:
            raise InvalidFrame(FrameDefect.SHAPE, "an answer without its delimiter")
        body = decode_reply(self._stream, frames[1:])
        self._counters.received += 1
        self._counters.received_bytes += len(frames[3])
        return body

    def _send_request(self, asked: PendingRequest, now_ms: int) -> None:
        """Send; what cannot leave because nobody is there stays due."""
        if self._send(asked.payload):
            self._counters.retries += asked.sent_count > 0
            asked.sent_count += 1
            asked.retry_at_ms = now_ms + asked.retry_ms

    def _send(self, payload: bytes) -> bool:
        self._count += 1
        return self.socket.send((), (self._topic, self._producer.header(self._count), payload))


def decode_reply(stream: Stream, frames: list[bytes]) -> Any:  # noqa: ANN401 -- any answer of the stream
    """Read the three frames of an answer, or raise FrameRefused."""
    if len(frames) != 3:
        raise InvalidFrame(FrameDefect.SHAPE, f"{len(frames)} frames in an answer, must be 3")
    topic, head, payload = frames
    if topic != stream.name.encode():
        raise InvalidFrame(FrameDefect.TOPIC, f"not an answer on {stream.name}")
    decode_header(head)
    return reply_decoder(stream)(payload)


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
