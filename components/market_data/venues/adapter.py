"""The interface that each venue implements: plan connections, encode, decode, limits. All I/O is outside of it."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Protocol, TypeAlias, final

import msgspec
from msgspec import Struct

from components.contracts.errors import ProtocolError
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import SequenceRule
from components.market_data.core.events import DepthSnapshot, MarketEvent
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.runtime.config.secrets import Secret

DECODE_ERRORS: Final = (
    ProtocolError,
    msgspec.MsgspecError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
)
"""What decoding a venue's bytes may raise, also by an oversight in a decoder; only those bytes are rejected then."""


class Channel(StrEnum):
    """A kind of data that can be subscribed."""

    DEPTH = "depth"
    QUOTES = "quotes"
    TRADES = "trades"


class Topic(Struct, frozen=True, gc=False):
    """One subscription: a channel of an instrument, and the venue's own name for it."""

    channel: Channel
    symbol: Symbol
    name: str


class Limits(Struct, frozen=True, gc=False, kw_only=True):
    """The venue's rate limits and keep-alive rules."""

    topics_per_request: int
    topics_per_connection: int
    sends_per_second: float
    """Messages that may be sent on one connection: subscriptions, pings and replies."""
    connects_per_second: float
    ping_after_idle_ms: int
    """Without a frame for this long a ping is sent.

    Without a reply within `reply_timeout_ms` the connection is closed.
    """
    reply_timeout_ms: int
    requests_per_second: float
    """HTTP requests of weight 1; each request consumes its weight."""
    requests_burst: int


class ConnectionPlan(Struct, frozen=True, gc=False):
    """The URL and the topics of one connection."""

    name: str
    url: str
    topics: tuple[Topic, ...]


class SubscribeAck(Struct, frozen=True, gc=False):
    """These topics are subscribed; an empty list means all topics of the request. Data may still not arrive."""

    names: tuple[str, ...]
    request_id: int | None = None


class UnsubscribeAck(Struct, frozen=True, gc=False):
    """These topics are no longer subscribed; an empty list means all topics of the request."""

    names: tuple[str, ...]
    request_id: int | None = None


class SubscribeRejected(Struct, frozen=True, gc=False):
    """The venue rejects these topics; an empty list means all topics of the request."""

    names: tuple[str, ...]
    reason: str
    is_permanent: bool
    request_id: int | None = None


class Reply(Struct, frozen=True, gc=False):
    """A message to send at once: the reply to the venue's own heartbeat request."""

    text: str


class Authenticated(Struct, frozen=True, gc=False):
    """The login was accepted; subscriptions may be sent."""


class ShutdownNotice(Struct, frozen=True, gc=False):
    """The venue will close this connection soon: open a new one now, without backoff."""

    reason: str


class Heartbeat(Struct, frozen=True, gc=False):
    """A message without data that shows that the venue is alive."""


ControlMessage: TypeAlias = (
    SubscribeAck | UnsubscribeAck | SubscribeRejected | Reply | Authenticated | ShutdownNotice | Heartbeat
)


class Decoded(Struct, gc=False):
    """The content of one frame."""

    data: Sequence[MarketEvent] = ()
    control: Sequence[ControlMessage] = ()


class RestRequest(Struct, frozen=True, gc=False, kw_only=True):
    """One GET request: the path with its query, and its weight in the venue's rate limit."""

    path: str
    weight: int = 1


class VenueAdapter(Protocol):
    """Encodes requests to one venue and decodes its messages. Pure: text in, values out."""

    @property
    def venue(self) -> Venue:
        """Return the venue's name as used in unified symbols."""

    @property
    def limits(self) -> Limits:
        """Return the venue's limits."""

    @property
    def sequence_rule(self) -> SequenceRule:
        """Return the rule by which the venue's books are synchronized."""

    @property
    def pushes_snapshot(self) -> bool:
        """Return whether a new subscription starts with the whole book."""

    @property
    def requires_login(self) -> bool:
        """Return whether Authenticated must follow `login_messages` before anything is subscribed."""

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Return the requests for the venue's metadata."""

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Decode the responses, in the order of the requests; invalid rows are skipped."""

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments by whose names frames are decoded from now on."""

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Distribute the subscriptions of these symbols over connections."""

    def login_messages(self) -> Iterable[str]:
        """Return the messages to send first on a connection."""

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one subscribe request for these topics; the caller respects the limits."""

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode the request that unsubscribes these topics."""

    def ping_message(self) -> str | None:
        """Return the venue's own ping; None if a websocket ping is enough."""

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode one frame of the stream. Any bytes are accepted: what cannot be decoded becomes a DecodeIssue."""

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Return the request for a book snapshot."""

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode the response; raise ProtocolError if it is no book snapshot."""

    def is_permanent_status(self, status: int) -> bool:
        """Return whether an HTTP status means that a retry cannot help."""


class Tap(Protocol):
    """Receives every raw frame as it arrived; returns at once and never raises."""

    def on_frame(self, via: str, url: str, text: bytes, at_ns: int) -> None:
        """Record what was received from `url`: `via` is "ws" for a frame of a stream, "http" for a response."""


def chunks(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield a list of topics in parts of at most `size`."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


@final
class ApiCredentials:
    """An API key and its secret, revealed only where a message needs them."""

    __slots__ = ("_key", "_secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Keep both as secrets."""
        self._key = key
        self._secret = secret

    def reveal(self) -> tuple[str, str]:
        """Return both as text."""
        return self._key.reveal().decode(), self._secret.reveal().decode()
