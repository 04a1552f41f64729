"""Hearing streams: each frame to the follower of its producer, and what the followers miss fetched at the side."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from components.contracts.protocol import RecoveryBatch, RecoveryReply, SubscriberProgress
from components.contracts.streams import Stream
from components.contracts.values import StreamOffset
from components.runtime.bus.codec import (
    RECOVERY_TOPIC,
    FrameDefect,
    InvalidFrame,
    Producer,
    decode_header,
    decode_recovery_reply,
    encode,
)
from components.runtime.bus.counters import BusCounters, StreamCounters
from components.runtime.bus.subscription import (
    StreamSubscription,
    SubscriptionState,
    make_subscription,
)
from components.runtime.bus.transport import producers, publisher_path
from components.runtime.bus.transport import recovery_path as side_of
from components.runtime.bus.zeromq import ClientSocket, Socket, Transport
from components.runtime.service import Inbound, Inbounds

RECOVERY_HIGH_WATER_MARK: Final = 1_000


class Subscriber:
    """Everything this process hears, on one socket, and one side line to each producer."""

    def __init__(
        self,
        transport: Transport,
        run: Path,
        subscribes: Mapping[Stream, StreamOffset | None],
        counters: BusCounters,
        producer: Producer,
    ) -> None:
        self._producer = producer
        self._counters = {stream.name.encode(): counters.of(stream) for stream in subscribes}
        self._subscriptions = {
            stream.name.encode(): {
                producer: make_subscription(stream, producer, counters.of(stream), since)
                for producer in producers(stream)
            }
            for stream, since in subscribes.items()
        }
        marks: dict[str, int] = {}
        for follower in self._all():
            mark = max(marks.get(follower.producer, 0), follower.stream.high_water_mark)
            marks[follower.producer] = mark
        self.socket: Socket = transport.connect_subscriber(
            [(publisher_path(run, producer), mark) for producer, mark in marks.items()], self._subscriptions
        )
        self._recovery_clients: dict[str, ClientSocket] = {
            producer: transport.connect_client(side_of(run, producer), RECOVERY_HIGH_WATER_MARK) for producer in marks
        }
        self._pending: dict[bytes, StreamSubscription] = {}
        self._pending_of: dict[StreamSubscription, bytes] = {}
        self._count = 0

    @property
    def is_syncing(self) -> bool:
        """Say whether something is being fetched."""
        return any(follower.state is SubscriptionState.SYNCING for follower in self._all())

    def on_frames(self, frames: list[bytes]) -> Inbounds:
        """Take one message off the wire; what is wrong with it is counted, and the rest goes on."""
        tally = self._counters.get(frames[0])
        if tally is None:
            return ()
        try:
            return self._on_frame(tally, frames)
        except InvalidFrame as error:
            tally.count_invalid_frame(error)
            return ()

    def poll(self, now_ms: int) -> list[Inbound]:
        """Take what was fetched, ask for what is missing, and notice who is silent."""
        inbounds: list[Inbound] = []
        for client in self._recovery_clients.values():
            while client.is_readable():
                inbounds += self._on_recovery_reply(client.read())
        for follower in self._all():
            # What waits to be read was said: only an empty queue is silence.
            if not self.socket.is_readable():
                inbounds += follower.check_timeout(now_ms)
            if (request := follower.due_request(now_ms)) is not None:
                self._send_recovery_request(follower, encode(request))
        return inbounds

    def report_progress(self) -> None:
        """Tell each producer how far we have come with it."""
        for follower in self._all():
            if follower.state is SubscriptionState.LIVE:
                payload = encode(SubscriberProgress(self._producer.component, follower.offset))
                self._recovery_clients[follower.producer].send((), (RECOVERY_TOPIC, self._producer.header(), payload))

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Give how far each stream is heard."""
        return tuple(follower.offset for follower in self._all() if follower.epoch)

    def _all(self) -> Iterator[StreamSubscription]:
        for by_producer in self._subscriptions.values():
            yield from by_producer.values()

    def _on_frame(self, tally: StreamCounters, frames: list[bytes]) -> Inbounds:
        if len(frames) != 3:
            raise InvalidFrame(FrameDefect.SHAPE, f"{len(frames)} frames, must be 3")
        topic, head, payload = frames
        tally.received += 1
        tally.received_bytes += len(payload)
        header = decode_header(head)
        follower = self._subscriptions[topic].get(header.producer)
        if follower is None:
            raise InvalidFrame(FrameDefect.PRODUCER, f"{header.producer!r} does not speak here")
        return follower.on_frame(header, payload)

    def _send_recovery_request(self, follower: StreamSubscription, request: bytes) -> None:
        self._count += 1
        number = self._count.to_bytes(8, "big")
        self._pending.pop(self._pending_of.pop(follower, b""), None)
        if self._recovery_clients[follower.producer].send(
            (number,), (RECOVERY_TOPIC, self._producer.header(), request)
        ):
            self._pending[number] = follower
            self._pending_of[follower] = number

    def _on_recovery_reply(self, frames: list[bytes]) -> Inbounds:
        follower = self._pending.get(frames[0])
        if follower is None:
            return ()
        try:
            reply = _decode_recovery_frames(frames)
        except InvalidFrame as error:
            self._counters[follower.stream.name.encode()].count_invalid_frame(error)
            return ()
        return follower.on_recovery_batch(reply) if isinstance(reply, RecoveryBatch) else ()


def _decode_recovery_frames(frames: list[bytes]) -> RecoveryReply:
    if len(frames) != 5:
        raise InvalidFrame(FrameDefect.SHAPE, f"{len(frames)} frames at the side, must be 5")
    decode_header(frames[3])
    return decode_recovery_reply(frames[4])
