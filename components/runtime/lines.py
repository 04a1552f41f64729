"""What one process is connected to: the streams it hears, says, answers, asks and hands over."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.contracts.topics import Stream
from components.contracts.values import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The connections of a process; `record` is the event stream that reads its journal aloud."""

    component: str
    hears: Mapping[Stream, Place | None] = field(default_factory=dict)
    """From where: the last record heard of an event stream; None begins with what comes next."""
    says: tuple[Stream, ...] = ()
    answers: tuple[Stream, ...] = ()
    asks: tuple[Stream, ...] = ()
    hands_over: tuple[Stream, ...] = ()
    record: Stream | None = None
    journal_id: str = ""
    last_sequence: int = 0

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream that this process has to do with."""
        record = () if self.record is None else (self.record,)
        return (*self.hears, *self.says, *self.answers, *self.asks, *self.hands_over, *record)
