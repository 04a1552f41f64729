"""What one process is connected to: the streams it hears, says, answers, asks and hands over."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.contracts.topics import Stream
from components.contracts.values import StreamOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBindings:
    """The connections of a process; `record` is the event stream that reads its journal aloud."""

    component: str
    subscribes: Mapping[Stream, StreamOffset | None] = field(default_factory=dict)
    """From where: the last record heard of an event stream; None begins with what comes next."""
    publishes: tuple[Stream, ...] = ()
    serves: tuple[Stream, ...] = ()
    requests: tuple[Stream, ...] = ()
    sends_commands: tuple[Stream, ...] = ()
    journal_stream: Stream | None = None
    journal_id: str = ""
    last_sequence: int = 0

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream that this process has to do with."""
        record = () if self.journal_stream is None else (self.journal_stream,)
        return (*self.subscribes, *self.publishes, *self.serves, *self.requests, *self.sends_commands, *record)
