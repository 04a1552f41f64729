"""Following an event stream: it goes on from a given record, across restarts, and what is missing is replayed."""

from typing_extensions import override

from components.contracts.frames import SCHEMA_VERSION, FrameKind, Header, RecoveryBatch, ReplayRequest
from components.contracts.topics import Stream
from components.contracts.values import StreamOffset
from components.runtime.continuity import sequence_before
from components.runtime.following import Inbounds, StreamSubscription, SubscriptionCounters, SubscriptionState
from components.runtime.service import Inbound, MessageReceived


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
