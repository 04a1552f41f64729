"""The sans-I/O service contract: typed inputs in, effects out, and what a service can be connected to.

A service does no I/O and reads no clock. The runtime passes inputs to it one by one and executes the returned effects
in order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, final

from msgspec import Struct

from components.contracts.protocol import Header
from components.contracts.streams import Stream
from components.contracts.values import StreamOffset


@final
class MessageReceived(Struct, frozen=True, gc=False):
    """The next message of a stream, in sequence, with none missing before it."""

    stream: Stream
    header: Header
    body: Any

    @property
    def offset(self) -> StreamOffset:
        """The offset of the message in its stream."""
        return StreamOffset(self.stream.name, self.header.epoch, self.header.sequence)


@final
class StreamLost(Struct, frozen=True, gc=False):
    """The stream's sequence is broken: a gap, a heartbeat timeout, or a producer restart.

    `StreamSynced` follows after recovery. Until then the service must treat this stream's state as unknown. With
    `is_diverged` the producer's journal does not continue what was received, and StreamSynced does not follow by
    itself.
    """

    stream: Stream
    producer: str
    missing: int
    reason: str
    is_diverged: bool = False


@final
class StreamSynced(Struct, frozen=True, gc=False):
    """The stream is complete from `offset` on.

    For a state stream `snapshot` is the current state. For an event stream it is empty: its records were delivered one
    by one.
    """

    stream: Stream
    producer: str
    offset: StreamOffset
    snapshot: tuple[Any, ...]


@final
class RequestReceived(Struct, frozen=True, gc=False):
    """A client sent a request. Answer it with a Reply and the same `reply_to`."""

    stream: Stream
    reply_to: bytes
    body: Any


@final
class ReplyReceived(Struct, frozen=True, gc=False):
    """The reply to one of our Requests."""

    request_id: str
    body: Any


@final
class RequestTimedOut(Struct, frozen=True, gc=False):
    """No reply arrived before the deadline. The outcome is unknown, not negative."""

    request_id: str


@final
class CommandAcknowledged(Struct, frozen=True, gc=False):
    """The peer's acknowledgement of a command."""

    stream: Stream
    body: Any


@final
class VenueCallCompleted(Struct, frozen=True, gc=False):
    """A venue call ended.

    `result` is a value of the adapter's protocol: a response, or the reason why there is none.
    """

    request: Any
    result: Any


@final
class VenueEvent(Struct, frozen=True, gc=False):
    """An unsolicited event from the venue."""

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
    """Append this record to the journal. Every later effect of the process waits until it is durable.

    If the journal is published as an event stream, the record is published once it is durable.
    """

    entry: Any


@final
class Publish(Struct, frozen=True, gc=False):
    """Publish this message on a state stream. The timestamps are those of its cause, for latency measurements."""

    stream: Stream
    body: Any
    event_at_ns: int = 0
    received_at_ns: int = 0


@final
class Reply(Struct, frozen=True, gc=False):
    """Reply to a RequestReceived."""

    reply_to: bytes
    body: Any


@final
class Request(Struct, frozen=True, gc=False):
    """Send a request; ReplyReceived or RequestTimedOut follows. It is retried with the same id until the deadline."""

    stream: Stream
    request_id: str
    body: Any
    deadline_ms: int


@final
class SendCommand(Struct, frozen=True, gc=False):
    """Send a sealed frame without waiting. CommandAcknowledged follows, or nothing: then the outbox sends it again."""

    stream: Stream
    frame: bytes


@final
class CallVenue(Struct, frozen=True, gc=False):
    """Call the venue client; VenueCallCompleted follows. Calls run concurrently, each with its own deadline."""

    request: Any


EventLevel: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


@final
class LogEvent(Struct, frozen=True, gc=False):
    """Log one event with its fields."""

    event: str
    fields: dict[str, Any]
    level: EventLevel = "info"


@final
class ObserveLatency(Struct, frozen=True, gc=False):
    """Observe the seconds since `since_ns` (wall clock) once the preceding effects are executed."""

    measure: Callable[[float], object]
    since_ns: int


@final
class Terminate(Struct, frozen=True, gc=False):
    """End the process with this error once the preceding effects are executed."""

    error: BaseException


Effect: TypeAlias = Append | Publish | Reply | Request | SendCommand | CallVenue | LogEvent | ObserveLatency | Terminate
Effects: TypeAlias = Sequence[Effect]


class Service(Protocol):
    """The behaviour of one component, without I/O. The runtime executes its effects in order."""

    def on_start(self, now_ns: int) -> Effects:
        """Start the service; called once, after the journal was replayed and before the first message."""
        ...

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Handle one input and return the effects."""
        ...

    def on_tick(self, now_ns: int) -> Effects:
        """Handle the passage of time; called about every `tick_ms`."""
        ...

    def on_stop(self, now_ns: int) -> Effects:
        """Stop accepting new work; called once on SIGTERM. Ticks and messages continue until `is_drained`."""
        ...

    def is_drained(self) -> bool:
        """Return whether no started work is unfinished."""
        ...

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Return the current state of a state stream, for late subscribers."""
        ...

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Return the unmet readiness conditions; empty means ready."""
        ...


class VenueClient(Protocol):
    """Sends requests to a venue. Failures of the venue or the network are results, not exceptions."""

    async def open(self) -> None:
        """Connect; called once on the event loop, before the first call."""

    async def call(self, request: Any) -> Any:  # noqa: ANN401 -- any value of the adapter's protocol
        """Execute one request within its own deadline and return the result."""

    async def close(self) -> None:
        """Close the connections."""


class VenueEventSource(Protocol):
    """Delivers unsolicited events of a venue."""

    async def run(self, deliver: Callable[[Any], None]) -> None:
        """Deliver events and reconnect forever; only cancellation ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBindings:
    """The streams that a process is connected to; `journal_stream` is the event stream that publishes its journal."""

    component: str
    subscribes: Mapping[Stream, StreamOffset | None] = field(default_factory=dict)
    """Where each subscription starts: after an offset of an event stream, or None for the next message."""
    publishes: tuple[Stream, ...] = ()
    serves: tuple[Stream, ...] = ()
    requests: tuple[Stream, ...] = ()
    sends_commands: tuple[Stream, ...] = ()
    journal_stream: Stream | None = None
    journal_id: str = ""
    last_sequence: int = 0

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream of this process."""
        journal = () if self.journal_stream is None else (self.journal_stream,)
        return (*self.subscribes, *self.publishes, *self.serves, *self.requests, *self.sends_commands, *journal)
