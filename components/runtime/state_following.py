"""Following a state stream: whole again with a snapshot that reaches up to the first frame kept back."""

from typing import Any

from typing_extensions import override

from components.contracts.frames import Header, RecoveryBatch, SnapshotRequest
from components.runtime.continuity import sequence_before
from components.runtime.following import Inbounds, StreamSubscription


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
