"""Request-reply on the bus: the client retries until the reply or the deadline, the server replies to every frame.

A request keeps its bytes when it is sent again, so the server recognizes a duplicate. Sealed commands are sent once;
the outbox of the sender retries them.
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
    """One pending request and when it is sent again. Its bytes never change, so the server recognizes a duplicate."""

    payload: bytes
    deadline_at_ms: int
    retry_at_ms: int
    retry_ms: int
    sent_count: int = 0


class PendingRequests:
    """The pending requests of one stream, without I/O.

    Their number is bounded, so that a dead peer cannot fill the memory.
    """

    def __init__(self, pending_max: int = PENDING_REQUESTS_MAX) -> None:
        self._pending_max = pending_max
        self._pending: dict[str, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request_id: str, payload: bytes, now_ms: int, deadline_ms: int) -> PendingRequest | None:
        """Add a request that is due at once. Return None if the bound is reached."""
        if len(self._pending) >= self._pending_max:
            return None
        retry_ms = max(RETRY_MS_MIN, deadline_ms // ATTEMPTS_PER_DEADLINE)
        pending = self._pending[request_id] = PendingRequest(payload, now_ms + deadline_ms, now_ms, retry_ms)
        return pending

    def complete(self, request_id: str) -> bool:
        """Remove the request of a reply. Return False if it is not pending (any more)."""
        return self._pending.pop(request_id, None) is not None

    def due(self, now_ms: int) -> list[PendingRequest]:
        """Return the requests that should be sent now, for the first time or again."""
        return [pending for pending in self._pending.values() if pending.retry_at_ms <= now_ms]

    def expire(self, now_ms: int) -> list[str]:
        """Remove and return the requests whose deadline has passed; their outcome is unknown."""
        late = [request_id for request_id, request in self._pending.items() if request.deadline_at_ms <= now_ms]
        for request_id in late:
            del self._pending[request_id]
        return late


def request_id_of(body: Any) -> str | None:  # noqa: ANN401 -- any reply of any stream
    """Return the request id that a reply names, or None."""
    for name in _ID_FIELDS:
        found = getattr(body, name, None)
        if found is not None:
            return str(found)
    return None


class RequestClient:
    """The client of one request stream."""

    def __init__(self, stream: Stream, client: ClientSocket, counters: StreamCounters, producer: Producer) -> None:
        self.socket, self._stream, self._counters, self._producer = client, stream, counters, producer
        self._topic = stream.name.encode()
        self._pending = PendingRequests()
        self._count = 0

    def request(self, request_id: str, body: Any, now_ms: int, deadline_ms: int) -> bool:  # noqa: ANN401
        """Send a request. Return False if too many are pending; the outcome of this one is then unknown at once."""
        self._counters.requests += 1
        pending = self._pending.add(request_id, encode(body), now_ms, deadline_ms)
        if pending is None:
            self._counters.request_timeouts += 1
            return False
        self._send_request(pending, now_ms)
        return True

    def send_command(self, frame: bytes) -> None:
        """Send a sealed frame if it can leave now; otherwise the outbox retries it later."""
        if self._send(frame):
            self._counters.commands_sent += 1
        else:
            self._counters.commands_unsent += 1

    def on_frames(self, frames: list[bytes]) -> Inbounds:
        """Handle one reply. A reply to no pending request is counted and dropped, never matched to another request."""
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
        self._counters.late_replies += 1
        return ()

    def poll(self, now_ms: int) -> list[Inbound]:
        """Time out expired requests and send due ones again."""
        late = self._pending.expire(now_ms)
        self._counters.request_timeouts += len(late)
        for pending in self._pending.due(now_ms):
            self._send_request(pending, now_ms)
        return [RequestTimedOut(request_id) for request_id in late]

    def _decode(self, frames: list[bytes]) -> Any:  # noqa: ANN401 -- any reply of the stream
        if not frames or frames[0]:
            raise InvalidFrame(FrameDefect.SHAPE, "a reply without its delimiter")
        body = decode_reply(self._stream, frames[1:])
        self._counters.received += 1
        self._counters.received_bytes += len(frames[3])
        return body

    def _send_request(self, pending: PendingRequest, now_ms: int) -> None:
        """Send a request. If no peer is connected it stays due."""
        if self._send(pending.payload):
            self._counters.retries += pending.sent_count > 0
            pending.sent_count += 1
            pending.retry_at_ms = now_ms + pending.retry_ms

    def _send(self, payload: bytes) -> bool:
        self._count += 1
        return self.socket.send((), (self._topic, self._producer.header(self._count), payload))


def decode_reply(stream: Stream, frames: list[bytes]) -> Any:  # noqa: ANN401 -- any reply of the stream
    """Decode the three frames of a reply, or raise InvalidFrame."""
    if len(frames) != 3:
        raise InvalidFrame(FrameDefect.SHAPE, f"{len(frames)} frames in a reply, must be 3")
    topic, head, payload = frames
    if topic != stream.name.encode():
        raise InvalidFrame(FrameDefect.TOPIC, f"not a reply on {stream.name}")
    decode_header(head)
    return reply_decoder(stream)(payload)


def encode_reply_to(index: int, envelope: Envelope) -> bytes:
    """Encode the return address of a request: the index of its server in the process, and the hops."""
    return bytes((index,)) + b"".join([bytes((len(hop),)) + hop for hop in envelope])


def decode_reply_to(reply_to: bytes) -> Envelope:
    """Return the hops of a return address."""
    hops, start = [], 1
    while start < len(reply_to):
        end = start + 1 + reply_to[start]
        hops.append(reply_to[start + 1 : end])
        start = end
    return tuple(hops)


class RequestServer:
    """The server of one request stream."""

    def __init__(
        self, index: int, stream: Stream, socket: ServerSocket, counters: StreamCounters, producer: Producer
    ) -> None:
        self.socket, self._index, self._stream = socket, index, stream
        self._counters, self._producer = counters, producer
        self._topic, self._decode = stream.name.encode(), message_decoder(stream)
        self._count = 0

    def on_frames(self, frames: list[bytes]) -> Inbounds:
        """Handle one request. An invalid one is answered with an error reply and counted."""
        envelope, message = split_envelope(frames)
        self._counters.received += 1
        try:
            body = self._decode_request(message)
        except InvalidFrame as error:
            self._counters.count_invalid_frame(error)
            self._send(envelope, malformed_reply(self._stream, str(error)))
            return ()
        return (RequestReceived(self._stream, encode_reply_to(self._index, envelope), body),)

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any reply of the stream
        """Send a reply. An undelivered reply is only counted."""
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
