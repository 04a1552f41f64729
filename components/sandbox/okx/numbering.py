"""Sequence ids as OKX sends them: those of the flow, until maintenance sets them back."""

from msgspec import Struct

# Each maintenance begins this far below all that was ever sent. An id that is sent twice was sent the first time more
# changes ago than any history here remembers.
STEP = 50_000


class Era(Struct, frozen=True):
    """The ids after one of the flow's: what is sent is the flow's id less the offset."""

    after: int
    offset: int


class Numbering:
    """The eras of one instrument, oldest first."""

    def __init__(self, first: int) -> None:
        self._eras = [Era(after=first - 1, offset=0)]

    def sent(self, identity: int) -> int:
        """Turn the flow's id into the one that is sent."""
        era = next((era for era in reversed(self._eras) if era.after < identity), self._eras[0])
        return identity - era.offset

    def meant(self, sequence: int, last: int) -> int:
        """Turn an id that was sent into the flow's, whose latest is given; one still to come means the latest."""
        until = last
        for era in reversed(self._eras):
            if era.after < sequence + era.offset <= until:
                return sequence + era.offset
            until = era.after
        # What lies below everything that was ever sent is no id of the flow's either.
        return last if sequence > self.sent(last) else sequence

    def set_back(self, last: int) -> bool:
        """Let the ids after the flow's latest start anew; false where there is no room below."""
        start = self._eras[0].after - STEP * len(self._eras)
        if start < 1:
            return False
        self._eras.append(Era(after=last, offset=last - start))
        return True
