"""One producer's stream as a state machine without I/O: continuity, buffering, recovery, live delivery.

A subscription delivers messages in sequence, each once. On a gap, a heartbeat timeout or a producer restart it reports
StreamLost, buffers frames, requests a snapshot (state stream) or the missing records (event stream), and reports
StreamSynced when the stream is complete again.
"""

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum, auto
from typing import Any, Final, Protocol, TypeAlias, final

from msgspec import Struct
from typing_extensions import override

from components.contracts.protocol import (
    SCHEMA_VERSION,
    FrameKind,
    Header,
    RecoveryBatch,
    ReplayRequest,
    SnapshotRequest,
)
from components.contracts.streams import Stream, StreamClass
from components.contracts.values import StreamOffset
from components.runtime.bus.codec import InvalidFrame, message_decoder
from components.runtime.service import Inbound, Inbounds, MessageReceived, StreamLost, StreamSynced

RETRY_MS_FIRST: Final = 100
RETRY_MS_MAX: Final = 1_600
_MESSAGE_KIND: Final = int(FrameKind.MESSAGE)


class SubscriptionState(Enum):
    """The state of a subscription."""

    WAITING = auto()
    """No frame received yet, or none within the heartbeat timeout. The next frame starts the synchronization."""
    SYNCING = auto()
    """Frames are buffered while a snapshot or the missing records are fetched."""
    LIVE = auto()
    """Each message is delivered as it arrives."""
    DIVERGED = auto()
    """The producer's journal does not continue what was received; nothing is delivered."""


@final
class InOrder(Struct, frozen=True, gc=False):
    """The next message, or a heartbeat that reports no later one."""


@final
class Duplicate(Struct, frozen=True, gc=False):
    """A message that was received before, or an outdated heartbeat."""


@final
class SequenceGap(Struct, frozen=True, gc=False):
    """The number of messages missing before this frame."""

    missing: int


@final
class NewEpoch(Struct, frozen=True, gc=False):
    """The sequence started again: a new run of the producer, or another journal."""


Continuity: TypeAlias = InOrder | Duplicate | SequenceGap | NewEpoch
IN_ORDER: Final = InOrder()
DUPLICATE: Final = Duplicate()
NEW_EPOCH: Final = NewEpoch()


def check_continuity(header: Header, epoch: str, last_sequence: int) -> Continuity:
    """Compare a frame with the last message received. A heartbeat with a later sequence reveals a lost tail."""
    if header.epoch != epoch:
        return NEW_EPOCH
    # A heartbeat carries the sequence of the message before it.
    arrived = header.sequence if header.kind is FrameKind.MESSAGE else header.sequence + 1
    expected = last_sequence + 1
    if arrived == expected:
        return IN_ORDER
    return SequenceGap(arrived - expected) if arrived > expected else DUPLICATE


def sequence_before(header: Header) -> int:
    """Return the sequence of the last message before this frame."""
    return header.sequence - 1 if header.kind is FrameKind.MESSAGE else header.sequence


class SubscriptionCounters(Protocol):
    """The counters that a subscription increments."""

    def count_gap(self, missing: int) -> None:
        """Count a loss within one run of the producer."""

    def count_duplicate(self) -> None:
        """Count a message that was received before."""

    def count_producer_restart(self) -> None:
        """Count a restart of the producer."""

    def count_invalid_frame(self, error: InvalidFrame) -> None:
        """Count and log an invalid frame."""


class StreamSubscription(ABC):
    """The common part of state and event subscriptions: buffered frames, retry of requests, heartbeat timeout."""

    def __init__(self, stream: Stream, producer: str, counters: SubscriptionCounters) -> None:
        self.stream, self.producer, self.state = stream, producer, SubscriptionState.WAITING
        self.epoch, self.last_sequence = "", 0
        self._run = ""
        self._counters, self._decode = counters, message_decoder(stream)
        self._buffer: deque[tuple[Header, bytes]] = deque()
        self._last_seen = self._synced_at = 0
        self._has_new_frame = False
        self._received_at_ms = self._request_at_ms = 0
        self._retry_ms = RETRY_MS_FIRST

    @property
    def offset(self) -> StreamOffset:
        """The offset of the last message delivered."""
        return StreamOffset(self.stream.name, self.epoch, self.last_sequence)

    def on_frame(self, header: Header, payload: bytes) -> Inbounds:
        """Handle one frame and return what can be delivered now. InvalidFrame leaves state and offset unchanged."""
        self._has_new_frame = True
        if (
            header.sequence == self.last_sequence + 1
            and header.kind == _MESSAGE_KIND
            and self.state is SubscriptionState.LIVE
            and header.epoch == self.epoch
            and header.run == self._run
        ):
            received = MessageReceived(self.stream, header, self._decode(payload))
            self.last_sequence += 1
            return (received,)
        return self._on_irregular_frame(header, payload)

    def check_timeout(self, now_ms: int) -> Inbounds:
        """Report the stream lost if no frame arrived within its heartbeat timeout."""
        if self._has_new_frame:
            self._has_new_frame, self._received_at_ms = False, now_ms
        elif (
            self.state is not SubscriptionState.WAITING
            and now_ms - self._received_at_ms > self.stream.heartbeat_timeout_ms
        ):
            was, self.state = self.state, SubscriptionState.WAITING
            self._buffer.clear()
            if was is SubscriptionState.LIVE:
                return (self._stream_lost(0, "heartbeat timeout"),)
        return ()

    def due_request(self, now_ms: int) -> SnapshotRequest | ReplayRequest | None:
        """Return the recovery request to send now, or None. An unanswered one is due again with exponential backoff."""
        if self.state is not SubscriptionState.SYNCING or now_ms < self._request_at_ms:
            return None
        self._request_at_ms = now_ms + self._retry_ms
        self._retry_ms = min(2 * self._retry_ms, RETRY_MS_MAX)
        return self._recovery_request()

    def on_recovery_batch(self, batch: RecoveryBatch) -> Inbounds:
        """Handle the reply to a recovery request. A late one is ignored."""
        return (
            self._apply_batch(batch)
            if self.state is SubscriptionState.SYNCING and batch.offset.epoch == self.epoch
            else ()
        )

    def _on_irregular_frame(self, header: Header, payload: bytes) -> Inbounds:
        is_new_run = header.run != self._run
        if is_new_run and self._run:
            self._counters.count_producer_restart()
        self._run = header.run
        match self.state:
            case SubscriptionState.WAITING:
                return self._synchronize(header, payload)
            case SubscriptionState.SYNCING:
                return self._buffer_frame(header, payload, is_new_run=is_new_run)
            case SubscriptionState.LIVE:
                return self._check_live_frame(header, payload, is_new_run=is_new_run)
            case SubscriptionState.DIVERGED:
                return self._on_diverged_frame(header, payload)

    def _check_live_frame(self, header: Header, payload: bytes, *, is_new_run: bool) -> Inbounds:
        match check_continuity(header, self.epoch, self.last_sequence):
            case InOrder():
                return self._deliver(header, payload)
            case Duplicate():
                return self._drop_duplicate(header)
            case SequenceGap(missing):
                self._count_gap(missing, is_new_run=is_new_run)
                return [self._stream_lost(missing, "gap"), *self._synchronize(header, payload)]
            case NewEpoch():
                return self._synchronize_new_epoch(header, payload)

    def _buffer_frame(self, header: Header, payload: bytes, *, is_new_run: bool) -> Inbounds:
        """Buffer a frame. A gap or a full buffer discards the buffered frames and starts again at this frame."""
        match check_continuity(header, self.epoch, self._last_seen):
            case InOrder() if header.kind is FrameKind.HEARTBEAT:
                return ()
            case InOrder() if len(self._buffer) < self.stream.high_water_mark:
                self._buffer.append((header, payload))
                self._last_seen = header.sequence
                return ()
            case Duplicate():
                return self._drop_duplicate(header)
            case SequenceGap(missing):
                self._count_gap(missing, is_new_run=is_new_run)
                return self._synchronize(header, payload)
            case InOrder() | NewEpoch():
                return self._synchronize(header, payload)

    def _deliver(self, header: Header, payload: bytes) -> Inbounds:
        if header.kind is FrameKind.HEARTBEAT:
            return ()
        received = MessageReceived(self.stream, header, self._decode(payload))
        self.last_sequence = header.sequence
        return (received,)

    def _drop_duplicate(self, header: Header) -> Inbounds:
        # A message that a snapshot or replay already contained is no duplicate.
        if header.kind is FrameKind.MESSAGE and header.sequence > self._synced_at:
            self._counters.count_duplicate()
        return ()

    def _count_gap(self, missing: int, *, is_new_run: bool) -> None:
        # Messages published before the connection to a new run are fetched like a loss, but none was dropped.
        if not is_new_run:
            self._counters.count_gap(missing)

    def _start_sync(self, header: Header, payload: bytes) -> Inbounds:
        """Buffer frames from this one on and request what precedes it."""
        self.state, self._last_seen = SubscriptionState.SYNCING, header.sequence
        self._buffer.clear()
        if header.kind is FrameKind.MESSAGE:
            self._buffer.append((header, payload))
        self._request_soon()
        return ()

    def _request_soon(self) -> None:
        self._request_at_ms, self._retry_ms = 0, RETRY_MS_FIRST

    def _go_live(self, messages: tuple[Any, ...]) -> list[Inbound]:
        """Report the stream synced up to here, then deliver the buffered frames."""
        self.state, self._synced_at = SubscriptionState.LIVE, self.last_sequence
        inbounds: list[Inbound] = [StreamSynced(self.stream, self.producer, self.offset, messages)]
        while self._buffer and self.state is SubscriptionState.LIVE:
            header, payload = self._buffer.popleft()
            if header.sequence > self.last_sequence:
                inbounds += self._deliver_buffered(header, payload)
        return inbounds

    def _deliver_buffered(self, header: Header, payload: bytes) -> Inbounds:
        try:
            return self.on_frame(header, payload)
        except InvalidFrame as error:
            self._counters.count_invalid_frame(error)
            return ()

    def _decoded(self, payload: bytes) -> Any:  # noqa: ANN401 -- as wide as the stream's union; None if invalid
        try:
            return self._decode(payload)
        except InvalidFrame as error:
            self._counters.count_invalid_frame(error)
            return None

    def _stream_lost(self, missing: int, reason: str, *, is_diverged: bool = False) -> StreamLost:
        return StreamLost(self.stream, self.producer, missing, reason, is_diverged)

    @abstractmethod
    def _synchronize(self, header: Header, payload: bytes) -> Inbounds:
        """Start the synchronization at this frame."""

    @abstractmethod
    def _synchronize_new_epoch(self, header: Header, payload: bytes) -> Inbounds:
        """Start the synchronization in a new epoch."""

    @abstractmethod
    def _on_diverged_frame(self, header: Header, payload: bytes) -> Inbounds:
        """Handle a frame of a producer that has diverged."""

    @abstractmethod
    def _recovery_request(self) -> SnapshotRequest | ReplayRequest:
        """Return the request for what is missing."""

    @abstractmethod
    def _apply_batch(self, batch: RecoveryBatch) -> Inbounds:
        """Apply one batch of what was missing."""


class EventSubscription(StreamSubscription):
    """Receives every record of an event stream, and requests those that it missed."""

    def __init__(
        self, stream: Stream, producer: str, counters: SubscriptionCounters, since: StreamOffset | None
    ) -> None:
        """Start after `since`, or with the next record if it is None.

        An epoch in `since` binds the subscription to that journal.
        """
        super().__init__(stream, producer, counters)
        self._starts_anywhere = since is None
        self._journal = since.epoch if since is not None else ""
        self._is_truncated = False
        if since is not None:
            self.epoch, self.last_sequence = since.epoch, since.sequence

    @override
    def _synchronize(self, header: Header, payload: bytes) -> Inbounds:
        if self.epoch not in ("", header.epoch):
            return self._synchronize_new_epoch(header, payload)
        self.epoch, before = header.epoch, sequence_before(header)
        if self._starts_anywhere:
            self._starts_anywhere, self.last_sequence = False, before
        if before < self.last_sequence:
            # Its next records have sequences that were received before with other contents.
            self._is_truncated = True
            return self._diverge("the journal ends before what was received")
        if before > self.last_sequence:
            return self._start_sync(header, payload)
        return [*self._go_live(()), *self._deliver_buffered(header, payload)]

    @override
    def _synchronize_new_epoch(self, header: Header, payload: bytes) -> Inbounds:
        if self._journal:
            return self._diverge("another journal")
        self.epoch, self.last_sequence, self._synced_at = header.epoch, 0, 0
        return [self._stream_lost(0, "another journal"), *self._synchronize(header, payload)]

    def _diverge(self, reason: str) -> Inbounds:
        self.state = SubscriptionState.DIVERGED
        self._buffer.clear()
        return (self._stream_lost(0, reason, is_diverged=True),)

    @override
    def _on_diverged_frame(self, header: Header, payload: bytes) -> Inbounds:
        if header.epoch == self.epoch and not self._is_truncated:
            return self._synchronize(header, payload)
        if header.kind is FrameKind.HEARTBEAT:
            return (self._stream_lost(0, "the journal does not continue what was received", is_diverged=True),)
        return ()

    @override
    def _recovery_request(self) -> ReplayRequest:
        return ReplayRequest(self.stream.name, self.last_sequence + 1)

    @override
    def _apply_batch(self, batch: RecoveryBatch) -> Inbounds:
        inbounds: list[Inbound] = []
        for sequence, payload in batch.messages:
            if sequence > self.last_sequence + 1 or (body := self._decoded(payload)) is None:
                return inbounds
            if sequence == self.last_sequence + 1:
                inbounds.append(MessageReceived(self.stream, self._header(sequence), body))
                self.last_sequence = sequence
        return inbounds + self._continue_replay(is_new=bool(inbounds))

    def _continue_replay(self, *, is_new: bool) -> list[Inbound]:
        while self._buffer and self._buffer[0][0].sequence <= self.last_sequence:
            self._buffer.popleft()
        if self.last_sequence >= self._last_seen or (
            self._buffer and self._buffer[0][0].sequence == self.last_sequence + 1
        ):
            return self._go_live(())
        if is_new:
            self._request_soon()
        return []

    def _header(self, sequence: int) -> Header:
        return Header(SCHEMA_VERSION, FrameKind.MESSAGE, self.producer, self.epoch, sequence, 0, 0, 0, b"", self._run)


class StateSubscription(StreamSubscription):
    """Keeps a state stream complete by requesting its snapshot."""

    _snapshot: list[Any] | None = None
    _snapshot_sequence_min = 0

    @override
    def _synchronize(self, header: Header, payload: bytes) -> Inbounds:
        self.epoch, self._snapshot_sequence_min = header.epoch, sequence_before(header)
        self._snapshot = None  # the remaining batches of an earlier snapshot would be taken for a complete one
        return self._start_sync(header, payload)

    @override
    def _synchronize_new_epoch(self, header: Header, payload: bytes) -> Inbounds:
        return [self._stream_lost(0, "new epoch"), *self._synchronize(header, payload)]

    @override
    def _on_diverged_frame(self, header: Header, payload: bytes) -> Inbounds:
        return self._synchronize(header, payload)

    @override
    def _recovery_request(self) -> SnapshotRequest:
        self._snapshot = []
        return SnapshotRequest(self.stream.name)

    @override
    def _apply_batch(self, batch: RecoveryBatch) -> Inbounds:
        bodies = [self._decoded(payload) for _, payload in batch.messages]
        if self._snapshot is None or None in bodies or batch.offset.sequence < self._snapshot_sequence_min:
            return ()
        self._snapshot += bodies
        if not batch.complete:
            return ()
        self.last_sequence = batch.offset.sequence
        return self._go_live(tuple(self._snapshot))


def make_subscription(
    stream: Stream, producer: str, counters: SubscriptionCounters, since: StreamOffset | None
) -> StreamSubscription:
    """Return the subscription for the class of a stream."""
    if stream.stream_class is StreamClass.EVENTS:
        return EventSubscription(stream, producer, counters, since)
    return StateSubscription(stream, producer, counters)
