"""Asking one peer: requests that are sent again until answered, and sealed frames that are not waited for."""

from typing import Any

from components.contracts.topics import Stream, StreamClass
from components.runtime.asking import Asking, InFlight, id_within
from components.runtime.codec import Flaw, FrameRefused, decode_header, encode, reply_decoder_of
from components.runtime.following import Inbounds
from components.runtime.service import Acked, Answered, Inbound, Unanswered
from components.runtime.speaking import Voice
from components.runtime.tally import Tally
from components.runtime.zmq_bus import Client


class Requesting:
    """Our end of one stream on which a peer answers."""

    def __init__(self, stream: Stream, client: Client, tally: Tally, voice: Voice) -> None:
        self.port, self._stream, self._tally, self._voice = client, stream, tally, voice
        self._topic = stream.name.encode()
        self._asking = Asking()
        self._count = 0

    def request(self, request_id: str, body: Any, now_ms: int, deadline_ms: int) -> bool:  # noqa: ANN401
        """Ask; False where too many requests wait already: the outcome of this one is unknown at once."""
        self._tally.requests += 1
        asked = self._asking.begin(request_id, encode(body), now_ms, deadline_ms)
        if asked is None:
            self._tally.unanswered += 1
            return False
        self._send_request(asked, now_ms)
        return True

    def hand_over(self, frame: bytes) -> None:
        """Send a sealed frame if it can leave now; if not, the outbox will send it again."""
        if self._send(frame):
            self._tally.handed_over += 1
        else:
            self._tally.not_handed_over += 1

    def hear(self, frames: list[bytes]) -> Inbounds:
        """Take one answer; one that nobody waits for is counted and dropped, never taken for another's."""
        try:
            body = self._understand(frames)
        except FrameRefused as error:
            self._tally.refused(error)
            return ()
        if self._stream.kind is StreamClass.SEALED:
            return (Acked(self._stream, body),)
        request_id = id_within(body)
        if request_id is not None and self._asking.settle(request_id):
            return (Answered(request_id, body),)
        self._tally.stale_replies += 1
        return ()

    def tend(self, now_ms: int) -> list[Inbound]:
        """Give up what is too late, send again what is due."""
        late = self._asking.expire(now_ms)
        self._tally.unanswered += len(late)
        for asked in self._asking.due(now_ms):
            self._send_request(asked, now_ms)
        return [Unanswered(request_id) for request_id in late]

    def _understand(self, frames: list[bytes]) -> Any:  # noqa: ANN401 -- any answer of the stream
        if not frames or frames[0]:
            raise FrameRefused(Flaw.SHAPE, "an answer without its delimiter")
        body = understand_answer(self._stream, frames[1:])
        self._tally.received += 1
        self._tally.received_bytes += len(frames[3])
        return body

    def _send_request(self, asked: InFlight, now_ms: int) -> None:
        """Send; what cannot leave because nobody is there stays due."""
        if self._send(asked.payload):
            self._tally.retries += asked.sent_count > 0
            asked.sent_count += 1
            asked.again_at_ms = now_ms + asked.again_ms

    def _send(self, payload: bytes) -> bool:
        self._count += 1
        return self.port.send((), (self._topic, self._voice.header(self._count), payload))


def understand_answer(stream: Stream, frames: list[bytes]) -> Any:  # noqa: ANN401 -- any answer of the stream
    """Read the three frames of an answer, or raise FrameRefused."""
    if len(frames) != 3:
        raise FrameRefused(Flaw.SHAPE, f"{len(frames)} frames in an answer, must be 3")
    topic, head, payload = frames
    if topic != stream.name.encode():
        raise FrameRefused(Flaw.TOPIC, f"not an answer on {stream.name}")
    decode_header(head)
    return reply_decoder_of(stream)(payload)
