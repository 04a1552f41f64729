"""What a sans-I/O service hears and what it may want done: inbound kinds in, effects out.

The seam to a venue: the only async code, spoken to in messages.

What one process is connected to: the streams it hears, says, answers, asks and hands over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, final

from msgspec import Struct

from components.contracts.protocol import Header
from components.contracts.streams import Stream
from components.contracts.values import StreamOffset


@final
class MessageReceived(Struct, frozen=True, gc=False):
    """The next message of a stream, in order, nothing missing before it."""

    stream: Stream
    header: Header
    body: Any

    @property
    def offset(self) -> StreamOffset:
        """Where in its stream the message stands."""
        return StreamOffset(self.stream.name, self.header.epoch, self.header.sequence)


@final
class StreamLost(Struct, frozen=True, gc=False):
    """A stream's continuity is broken (gap, silence, restart of the producer); Joined follows when it is whole again.

    `is_foreign`: the producer's journal does not continue what we heard, so Joined will not follow by itself.
    """

    stream: Stream
    producer: str
    missing: int
    reason: str
    is_diverged: bool = False


@final
class StreamSynced(Struct, frozen=True, gc=False):
    """A stream is whole from `place` on.

    For a state stream `messages` is the present state. For an event stream it is empty: its records were Heard singly.
    """

    stream: Stream
    producer: str
    offset: StreamOffset
    snapshot: tuple[Any, ...]


@final
class RequestReceived(Struct, frozen=True, gc=False):
    """Somebody waits for an answer to `body`; give it with Reply and the same ticket."""

    stream: Stream
    reply_to: bytes
    body: Any


@final
class ReplyReceived(Struct, frozen=True, gc=False):
    """The answer to a Request of ours."""

    request_id: str
    body: Any


@final
class RequestTimedOut(Struct, frozen=True, gc=False):
    """No answer came within the deadline: the outcome is unknown, not no."""

    request_id: str


@final
class CommandAcknowledged(Struct, frozen=True, gc=False):
    """The far end's word on something handed over."""

    stream: Stream
    body: Any


@final
class VenueCallCompleted(Struct, frozen=True, gc=False):
    """A call to the venue ended; `answer` is what the adapter's vocabulary says (an answer, or why there is none)."""

    request: Any
    result: Any


@final
class VenueEvent(Struct, frozen=True, gc=False):
    """Something the venue said by itself."""

    body: Any


Inbound: TypeAlias = (
    MessageReceived
    | StreamLost
    | StreamSynced
    | RequestReceived
    | ReplyReceived
    | RequestTimedOut
    | CommandAcknowledged
    | VenueCallCompleted
    | VenueEvent
)
Inbounds: TypeAlias = Sequence[Inbound]


@final
class Append(Struct, frozen=True, gc=False):
    """Write this record; every later effect of the process waits until it is on disk.

    If the service's journal is an event stream, the record is published on it once it is on disk.
    """

    entry: Any


@final
class Publish(Struct, frozen=True, gc=False):
    """Say this on a state stream; the stamps are those of its cause, for measuring."""

    stream: Stream
    body: Any
    event_at_ns: int = 0
    received_at_ns: int = 0


@final
class Reply(Struct, frozen=True, gc=False):
    """Answer what was Asked."""

    reply_to: bytes
    body: Any


@final
class Request(Struct, frozen=True, gc=False):
    """Ask a peer; Answered or Unanswered follows. The same id is sent again until the deadline."""

    stream: Stream
    request_id: str
    body: Any
    deadline_ms: int


@final
class SendCommand(Struct, frozen=True, gc=False):
    """Send a sealed frame without waiting; Acked follows, or nothing: then the outbox sends it again."""

    stream: Stream
    frame: bytes


@final
class CallVenue(Struct, frozen=True, gc=False):
    """Ask the venue's adapter; Called follows. Calls run concurrently, each with its own deadline."""

    request: Any


@final
class LogEvent(Struct, frozen=True, gc=False):
    """Log one event with its facts."""

    event: str
    fields: dict[str, Any]
    level: str = "info"


@final
class ObserveLatency(Struct, frozen=True, gc=False):
    """Measure how long ago `since_ns` was (wall clock) when the effects before this one are done, in seconds."""

    measure: Callable[[float], object]
    since_ns: int


@final
class Terminate(Struct, frozen=True, gc=False):
    """End the process with this error after the effects before it are done."""

    error: BaseException


Effect: TypeAlias = Append | Publish | Reply | Request | SendCommand | CallVenue | LogEvent | ObserveLatency | Terminate
Effects: TypeAlias = Sequence[Effect]


class Service(Protocol):
    """One component's behaviour, without I/O; drivers carry its effects out in order."""

    def on_start(self, now_ns: int) -> Effects:
        """Begin; called once, after the journal was replayed and before the first message."""
        ...

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Hear one thing, say what should happen."""
        ...

    def on_tick(self, now_ns: int) -> Effects:
        """Let time pass; called about every `tick_ms`."""
        ...

    def on_stop(self, now_ns: int) -> Effects:
        """Take nothing new from now on; called once on SIGTERM, ticks and messages go on until `is_drained`."""
        ...

    def is_drained(self) -> bool:
        """Say whether nothing that was begun is still open."""
        ...

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Give the present state of a state stream, for late joiners."""
        ...

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Name what readiness still waits for; empty means ready."""
        ...


class VenueClient(Protocol):
    """Carries requests to a venue; what the venue or the network may do to one is an answer, not an exception."""

    async def open(self) -> None:
        """Make connections; called once on the loop, before the first call."""

    async def call(self, request: Any) -> Any:  # noqa: ANN401 -- the adapter's own vocabulary
        """Carry one request out within a deadline of its own."""

    async def close(self) -> None:
        """Let connections go."""


class VenueEventSource(Protocol):
    """What a venue says by itself."""

    async def run(self, deliver: Callable[[Any], None]) -> None:
        """Deliver everything the venue says, connecting again for ever; it ends only by being cancelled."""


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
