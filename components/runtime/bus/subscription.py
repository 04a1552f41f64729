"""Following one producer's stream without I/O: what is delivered, what must be asked for, and when it is whole.

Whether a frame follows the one before it, told from the places in their headers alone.

Following an event stream: it goes on from a given record, across restarts, and what is missing is replayed.

Following a state stream: whole again with a snapshot that reaches up to the first frame kept back.
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
MESSAGE: Final = int(FrameKind.MESSAGE)


class SubscriptionState(Enum):
    """How far we have come with a producer."""

    WAITING = auto()
    """Nothing heard yet, or nothing for too long; the next frame begins the joining."""
    SYNCING = auto()
    """Frames are kept back while a snapshot or the missing records are fetched."""
    LIVE = auto()
    """Each message is delivered as it comes."""
    DIVERGED = auto()
    """The producer's journal does not continue what we heard; nothing is delivered."""


class SubscriptionCounters(Protocol):
    """Where a follower counts what it saw."""

    def count_gap(self, missing: int) -> None:
        """Count a loss within one run of the producer."""

    def count_duplicate(self) -> None:
        """Count a message that had been heard before."""

    def count_producer_restart(self) -> None:
        """Count another start of the producer."""

    def count_invalid_frame(self, error: InvalidFrame) -> None:
        """Count and name a frame that is not what it should be."""


class StreamSubscription(ABC):
    """What both classes of streams share: the phase, the frames kept back, when to ask, and silence."""

    def __init__(self, stream: Stream, producer: str, counters: SubscriptionCounters) -> None:
        self.stream, self.producer, self.state = stream, producer, SubscriptionState.WAITING
        self.epoch, self.last_sequence = "", 0
        self._run = ""
        self._ledger, self._decode = counters, message_decoder(stream)
        self._kept: deque[tuple[Header, bytes]] = deque()
        self._tail = self._joined_at = 0
        self._is_fresh = False
        self._heard_at_ms = self._ask_at_ms = 0
        self._ask_again_ms = RETRY_MS_FIRST

    @property
    def offset(self) -> StreamOffset:
        """Where we are: the last message delivered."""
        return StreamOffset(self.stream.name, self.epoch, self.last_sequence)

    def on_frame(self, header: Header, payload: bytes) -> Inbounds:
        """Take one frame, give what can be delivered now; FrameRefused leaves everything as if it had not come."""
        self._is_fresh = True
        if (
            header.sequence == self.last_sequence + 1
            and header.kind == MESSAGE
            and self.state is SubscriptionState.LIVE
            and header.epoch == self.epoch
            and header.run == self._run
        ):
            heard = MessageReceived(self.stream, header, self._decode(payload))
            self.last_sequence += 1
            return (heard,)
        return self._hear_otherwise(header, payload)

    def check_timeout(self, now_ms: int) -> Inbounds:
        """Let time pass: a producer that is silent for too long is lost."""
        if self._is_fresh:
            self._is_fresh, self._heard_at_ms = False, now_ms
        elif (
            self.state is not SubscriptionState.WAITING
            and now_ms - self._heard_at_ms > self.stream.heartbeat_timeout_ms
        ):
            was, self.state = self.state, SubscriptionState.WAITING
            self._kept.clear()
            if was is SubscriptionState.LIVE:
                return (self._lost(0, "silence"),)
        return ()

    def due_request(self, now_ms: int) -> SnapshotRequest | ReplayRequest | None:
        """Give what should be asked now; unanswered it comes due again, ever later."""
        if self.state is not SubscriptionState.SYNCING or now_ms < self._ask_at_ms:
            return None
        self._ask_at_ms = now_ms + self._ask_again_ms
        self._ask_again_ms = min(2 * self._ask_again_ms, RETRY_MS_MAX)
        return self._request()

    def on_recovery_batch(self, batch: RecoveryBatch) -> Inbounds:
        """Take what was asked for; too late it is of no use."""
        return self._take(batch) if self.state is SubscriptionState.SYNCING and batch.offset.epoch == self.epoch else ()

    def _hear_otherwise(self, header: Header, payload: bytes) -> Inbounds:
        is_another_run = header.run != self._run
        if is_another_run and self._run:
            self._ledger.count_producer_restart()
        self._run = header.run
        match self.state:
            case SubscriptionState.WAITING:
                return self._begin(header, payload)
            case SubscriptionState.SYNCING:
                return self._keep(header, payload, is_another_run=is_another_run)
            case SubscriptionState.LIVE:
                return self._examine(header, payload, is_another_run=is_another_run)
            case SubscriptionState.DIVERGED:
                return self._hear_foreign(header, payload)

    def _examine(self, header: Header, payload: bytes, *, is_another_run: bool) -> Inbounds:
        match check_continuity(header, self.epoch, self.last_sequence):
            case InOrder():
                return self._deliver(header, payload)
            case Duplicate():
                return self._pass_over(header)
            case SequenceGap(missing):
                self._count_gap(missing, is_another_run=is_another_run)
                return [self._lost(missing, "gap"), *self._begin(header, payload)]
            case NewEpoch():
                return self._begin_anew(header, payload)

    def _keep(self, header: Header, payload: bytes, *, is_another_run: bool) -> Inbounds:
        """Hold a frame back; one that does not follow, or one too many, makes what was kept useless."""
        match check_continuity(header, self.epoch, self._tail):
            case InOrder() if header.kind is FrameKind.HEARTBEAT:
                return ()
            case InOrder() if len(self._kept) < self.stream.high_water_mark:
                self._kept.append((header, payload))
                self._tail = header.sequence
                return ()
            case Duplicate():
                return self._pass_over(header)
            case SequenceGap(missing):
                self._count_gap(missing, is_another_run=is_another_run)
                return self._begin(header, payload)
            case InOrder() | NewEpoch():
                return self._begin(header, payload)

    def _deliver(self, header: Header, payload: bytes) -> Inbounds:
        if header.kind is FrameKind.HEARTBEAT:
            return ()
        heard = MessageReceived(self.stream, header, self._decode(payload))
        self.last_sequence = header.sequence
        return (heard,)

    def _pass_over(self, header: Header) -> Inbounds:
        # What a snapshot or replay ran ahead of is no repeat.
        if header.kind is FrameKind.MESSAGE and header.sequence > self._joined_at:
            self._ledger.count_duplicate()
        return ()

    def _count_gap(self, missing: int, *, is_another_run: bool) -> None:
        # What was said before we reconnected to another run is fetched like a loss, but nobody dropped it.
        if not is_another_run:
            self._ledger.count_gap(missing)

    def _hold_back(self, header: Header, payload: bytes) -> Inbounds:
        """Keep frames from this one on, and ask for what lies before it."""
        self.state, self._tail = SubscriptionState.SYNCING, header.sequence
        self._kept.clear()
        if header.kind is FrameKind.MESSAGE:
            self._kept.append((header, payload))
        self._ask_soon()
        return ()

    def _ask_soon(self) -> None:
        self._ask_at_ms, self._ask_again_ms = 0, RETRY_MS_FIRST

    def _join(self, messages: tuple[Any, ...]) -> list[Inbound]:
        """Be whole up to here, and go on with what was kept back."""
        self.state, self._joined_at = SubscriptionState.LIVE, self.last_sequence
        inbounds: list[Inbound] = [StreamSynced(self.stream, self.producer, self.offset, messages)]
        while self._kept and self.state is SubscriptionState.LIVE:
            header, payload = self._kept.popleft()
            if header.sequence > self.last_sequence:
                inbounds += self._hear_kept(header, payload)
        return inbounds

    def _hear_kept(self, header: Header, payload: bytes) -> Inbounds:
        try:
            return self.on_frame(header, payload)
        except InvalidFrame as error:
            self._ledger.count_invalid_frame(error)
            return ()

    def _decoded(self, payload: bytes) -> Any:  # noqa: ANN401 -- as wide as the stream's union; None where refused
        try:
            return self._decode(payload)
        except InvalidFrame as error:
            self._ledger.count_invalid_frame(error)
            return None

    def _lost(self, missing: int, reason: str, *, is_diverged: bool = False) -> StreamLost:
        return StreamLost(self.stream, self.producer, missing, reason, is_diverged)

    @abstractmethod
    def _begin(self, header: Header, payload: bytes) -> Inbounds:
        """Begin to join at this frame."""

    @abstractmethod
    def _begin_anew(self, header: Header, payload: bytes) -> Inbounds:
        """Begin to join where counting began anew."""

    @abstractmethod
    def _hear_foreign(self, header: Header, payload: bytes) -> Inbounds:
        """Hear a producer that does not continue what we heard."""

    @abstractmethod
    def _request(self) -> SnapshotRequest | ReplayRequest:
        """Say what is missing."""

    @abstractmethod
    def _take(self, part: RecoveryBatch) -> Inbounds:
        """Take a part of what was missing."""


@final
class InOrder(Struct, frozen=True, gc=False):
    """Nothing is missing: the next message, or a heartbeat that knows no later one."""


@final
class Duplicate(Struct, frozen=True, gc=False):
    """Heard before, or a heartbeat from before what was heard."""


@final
class SequenceGap(Struct, frozen=True, gc=False):
    """So many messages before this frame were not heard."""

    missing: int


@final
class NewEpoch(Struct, frozen=True, gc=False):
    """Counting began anew: another start of the producer, or another journal."""


Continuity: TypeAlias = InOrder | Duplicate | SequenceGap | NewEpoch
IN_ORDER: Final = InOrder()
DUPLICATE: Final = Duplicate()
NEW_EPOCH: Final = NewEpoch()


def check_continuity(header: Header, epoch: str, last_sequence: int) -> Continuity:
    """Hold a frame against the last message heard; a heartbeat with a later place reveals a lost tail."""
    if header.epoch != epoch:
        return NEW_EPOCH
    # A heartbeat carries the place of the message before it, so it follows its own place.
    arrived = header.sequence if header.kind is FrameKind.MESSAGE else header.sequence + 1
    expected = last_sequence + 1
    if arrived == expected:
        return IN_ORDER
    return SequenceGap(arrived - expected) if arrived > expected else DUPLICATE


def sequence_before(header: Header) -> int:
    """Give the sequence of the last message before this frame."""
    return header.sequence - 1 if header.kind is FrameKind.MESSAGE else header.sequence


class EventSubscription(StreamSubscription):
    """Has heard every record so far, or asks for those that it missed."""

    def __init__(
        self, stream: Stream, producer: str, counters: SubscriptionCounters, since: StreamOffset | None
    ) -> None:
        """Begin after `since`; without it, at whatever is said next. An epoch in it binds us to that journal."""
        super().__init__(stream, producer, counters)
        self._is_anywhere = since is None
        self._journal = since.epoch if since is not None else ""
        self._is_cut = False
        if since is not None:
            self.epoch, self.last_sequence = since.epoch, since.sequence

    @override
    def _begin(self, header: Header, payload: bytes) -> Inbounds:
        if self.epoch not in ("", header.epoch):
            return self._begin_anew(header, payload)
        self.epoch, before = header.epoch, sequence_before(header)
        if self._is_anywhere:
            self._is_anywhere, self.last_sequence = False, before
        if before < self.last_sequence:
            # Whatever it says next has places that we know under other records.
            self._is_cut = True
            return self._turn_away("the journal ends before what was heard")
        if before > self.last_sequence:
            return self._hold_back(header, payload)
        return [*self._join(()), *self._hear_kept(header, payload)]

    @override
    def _begin_anew(self, header: Header, payload: bytes) -> Inbounds:
        if self._journal:
            return self._turn_away("another journal")
        self.epoch, self.last_sequence, self._joined_at = header.epoch, 0, 0
        return [self._lost(0, "another journal"), *self._begin(header, payload)]

    def _turn_away(self, reason: str) -> Inbounds:
        self.state = SubscriptionState.DIVERGED
        self._kept.clear()
        return (self._lost(0, reason, is_diverged=True),)

    @override
    def _hear_foreign(self, header: Header, payload: bytes) -> Inbounds:
        if header.epoch == self.epoch and not self._is_cut:
            return self._begin(header, payload)
        if header.kind is FrameKind.HEARTBEAT:
            return (self._lost(0, "the journal does not continue what was heard", is_diverged=True),)
        return ()

    @override
    def _request(self) -> ReplayRequest:
        return ReplayRequest(self.stream.name, self.last_sequence + 1)

    @override
    def _take(self, part: RecoveryBatch) -> Inbounds:
        inbounds: list[Inbound] = []
        for sequence, payload in part.messages:
            if sequence > self.last_sequence + 1 or (body := self._decoded(payload)) is None:
                return inbounds
            if sequence == self.last_sequence + 1:
                inbounds.append(MessageReceived(self.stream, self._header(sequence), body))
                self.last_sequence = sequence
        return inbounds + self._go_on(is_new=bool(inbounds))

    def _go_on(self, *, is_new: bool) -> list[Inbound]:
        while self._kept and self._kept[0][0].sequence <= self.last_sequence:
            self._kept.popleft()
        if self.last_sequence >= self._tail or (self._kept and self._kept[0][0].sequence == self.last_sequence + 1):
            return self._join(())
        if is_new:
            self._ask_soon()
        return []

    def _header(self, sequence: int) -> Header:
        return Header(SCHEMA_VERSION, FrameKind.MESSAGE, self.producer, self.epoch, sequence, 0, 0, 0, b"", self._run)


class StateSubscription(StreamSubscription):
    """Has the present state, or asks for it."""

    _snapshot: list[Any] | None = None
    _reach = 0

    @override
    def _begin(self, header: Header, payload: bytes) -> Inbounds:
        self.epoch, self._reach = header.epoch, sequence_before(header)
        self._snapshot = None  # the rest of a snapshot asked for earlier would be taken for a whole one
        return self._hold_back(header, payload)

    @override
    def _begin_anew(self, header: Header, payload: bytes) -> Inbounds:
        return [self._lost(0, "new epoch"), *self._begin(header, payload)]

    @override
    def _hear_foreign(self, header: Header, payload: bytes) -> Inbounds:
        return self._begin(header, payload)

    @override
    def _request(self) -> SnapshotRequest:
        self._snapshot = []
        return SnapshotRequest(self.stream.name)

    @override
    def _take(self, part: RecoveryBatch) -> Inbounds:
        bodies = [self._decoded(payload) for _, payload in part.messages]
        if self._snapshot is None or None in bodies or part.offset.sequence < self._reach:
            return ()
        self._snapshot += bodies
        if not part.complete:
            return ()
        self.last_sequence = part.offset.sequence
        return self._join(tuple(self._snapshot))


def make_subscription(
    stream: Stream, producer: str, counters: SubscriptionCounters, since: StreamOffset | None
) -> StreamSubscription:
    """Make the follower that a stream's class asks for."""
    if stream.stream_class is StreamClass.EVENTS:
        return EventSubscription(stream, producer, counters, since)
    return StateSubscription(stream, producer, counters)
