"""Sequence ids as OKX sends them: those of the flow, until maintenance sets them back."""

from msgspec import Struct

# Each maintenance begins this far below all that was ever sent. An id that is sent twice was sent the first time more
# changes ago than any history here remembers.
RESET_STEP = 50_000


class IdEpoch(Struct, frozen=True):
    """The ids after one of the flow's: what is sent is the flow's id less the offset."""

    after: int
    offset: int


class SequenceIds:
    """The eras of one instrument, oldest first."""

    def __init__(self, first: int) -> None:
        self._epochs = [IdEpoch(after=first - 1, offset=0)]

    def to_wire(self, flow_id: int) -> int:
        """Turn the flow's id into the one that is sent."""
        era = next((era for era in reversed(self._epochs) if era.after < flow_id), self._epochs[0])
        return flow_id - era.offset

    def from_wire(self, sequence: int, last: int) -> int:
        """Turn an id that was sent into the flow's, whose latest is given; one still to come means the latest."""
        until = last
        for era in reversed(self._epochs):
            if era.after < sequence + era.offset <= until:
                return sequence + era.offset
            until = era.after
        # What lies below everything that was ever sent is no id of the flow's either.
        return last if sequence > self.to_wire(last) else sequence

    def reset(self, last: int) -> bool:
        """Let the ids after the flow's latest start anew; false where there is no room below."""
        start = self._epochs[0].after - RESET_STEP * len(self._epochs)
        if start < 1:
            return False
        self._epochs.append(IdEpoch(after=last, offset=last - start))
        return True
