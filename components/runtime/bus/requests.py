"""Asking one peer: requests that are sent again until answered, and sealed frames that are not waited for."""

from typing import Any

from components.contracts.topics import Stream, StreamClass
from components.runtime.asking import PendingRequest, PendingRequests, request_id_of
from components.runtime.codec import FrameDefect, InvalidFrame, decode_header, encode, reply_decoder
from components.runtime.following import Inbounds
from components.runtime.service import CommandAcknowledged, Inbound, ReplyReceived, RequestTimedOut
from components.runtime.speaking import Producer
from components.runtime.tally import StreamCounters
from components.runtime.zmq_bus import ClientSocket


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
