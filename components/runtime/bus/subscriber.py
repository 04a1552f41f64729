"""The subscribing side of the bus: dispatches frames to subscriptions and fetches what they miss."""

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
from components.runtime.bus.transport import producers, publisher_path, recovery_path
from components.runtime.bus.zeromq import ClientSocket, Socket, Transport
from components.runtime.service import Inbound, Inbounds

RECOVERY_HIGH_WATER_MARK: Final = 1_000


class Subscriber:
    """All subscriptions of one process, on one socket, and one recovery client for each producer."""

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
        for subscription in self._all():
            mark = max(marks.get(subscription.producer, 0), subscription.stream.high_water_mark)
            marks[subscription.producer] = mark
        self.socket: Socket = transport.connect_subscriber(
            [(publisher_path(run, producer), mark) for producer, mark in marks.items()], self._subscriptions
        )
        self._recovery_clients: dict[str, ClientSocket] = {
            producer: transport.connect_client(recovery_path(run, producer), RECOVERY_HIGH_WATER_MARK)
            for producer in marks
        }
        self._pending: dict[bytes, StreamSubscription] = {}
        self._pending_of: dict[StreamSubscription, bytes] = {}
        self._requests_sent = 0

    @property
    def is_syncing(self) -> bool:
        """Return whether any subscription is recovering."""
        return any(subscription.state is SubscriptionState.SYNCING for subscription in self._all())

    def on_frames(self, frames: list[bytes]) -> Inbounds:
        """Handle one message from the socket. An invalid one is counted and dropped."""
        counters = self._counters.get(frames[0])
        if counters is None:
            return ()
        try:
            return self._on_frame(counters, frames)
        except InvalidFrame as error:
            counters.count_invalid_frame(error)
            return ()

    def poll(self, now_ms: int) -> list[Inbound]:
        """Handle recovery replies, send recovery requests, and check heartbeat timeouts."""
        inbounds: list[Inbound] = []
        for client in self._recovery_clients.values():
            while client.is_readable():
                inbounds += self._on_recovery_reply(client.read())
        for subscription in self._all():
            # Messages that still wait in the queue are not silence: timeouts count only while the queue is empty.
            if not self.socket.is_readable():
                inbounds += subscription.check_timeout(now_ms)
            if (request := subscription.due_request(now_ms)) is not None:
                self._send_recovery_request(subscription, encode(request))
        return inbounds

    def report_progress(self) -> None:
        """Report to each producer how far its stream has been received."""
        for subscription in self._all():
            if subscription.state is SubscriptionState.LIVE:
                payload = encode(SubscriberProgress(self._producer.component, subscription.offset))
                self._recovery_clients[subscription.producer].send(
                    (), (RECOVERY_TOPIC, self._producer.header(), payload)
                )

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Return the offset of each stream that has been received."""
        return tuple(subscription.offset for subscription in self._all() if subscription.epoch)

    def _all(self) -> Iterator[StreamSubscription]:
        for by_producer in self._subscriptions.values():
            yield from by_producer.values()

    def _on_frame(self, counters: StreamCounters, frames: list[bytes]) -> Inbounds:
        if len(frames) != 3:
            raise InvalidFrame(FrameDefect.SHAPE, f"{len(frames)} frames, must be 3")
        topic, head, payload = frames
        counters.received += 1
        counters.received_bytes += len(payload)
        header = decode_header(head)
        subscription = self._subscriptions[topic].get(header.producer)
        if subscription is None:
            raise InvalidFrame(FrameDefect.PRODUCER, f"{header.producer!r} does not publish this stream")
        return subscription.on_frame(header, payload)

    def _send_recovery_request(self, subscription: StreamSubscription, request: bytes) -> None:
        self._requests_sent += 1
        number = self._requests_sent.to_bytes(8, "big")
        self._pending.pop(self._pending_of.pop(subscription, b""), None)
        if self._recovery_clients[subscription.producer].send(
            (number,), (RECOVERY_TOPIC, self._producer.header(), request)
        ):
            self._pending[number] = subscription
            self._pending_of[subscription] = number

    def _on_recovery_reply(self, frames: list[bytes]) -> Inbounds:
        subscription = self._pending.get(frames[0])
        if subscription is None:
            return ()
        try:
            reply = _decode_recovery_frames(frames)
        except InvalidFrame as error:
            self._counters[subscription.stream.name.encode()].count_invalid_frame(error)
            return ()
        return subscription.on_recovery_batch(reply) if isinstance(reply, RecoveryBatch) else ()


def _decode_recovery_frames(frames: list[bytes]) -> RecoveryReply:
    if len(frames) != 5:
        raise InvalidFrame(FrameDefect.SHAPE, f"{len(frames)} frames in a recovery reply, must be 5")
    decode_header(frames[3])
    return decode_recovery_reply(frames[4])
