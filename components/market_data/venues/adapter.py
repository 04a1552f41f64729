"""What each venue must be able to say and understand; the lines that carry it are the same for all.

The two secrets by which a venue knows us.

What reading a venue's bytes may raise where a decoder forgot something; it costs those bytes and nothing else.
"""

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


class Channel(StrEnum):
    """What can be listened to."""

    DEPTH = "depth"
    QUOTES = "quotes"
    TRADES = "trades"


class Topic(Struct, frozen=True, gc=False):
    """One subscription: a channel of an instrument, and the venue's own name for it."""

    channel: Channel
    symbol: Symbol
    name: str


class Limits(Struct, frozen=True, gc=False, kw_only=True):
    """What the venue allows, and how it wants to be kept alive."""

    topics_per_request: int
    topics_per_connection: int
    sends_per_second: float
    """Messages of ours on one connection: subscriptions, pings of ours, answers."""
    connects_per_second: float
    ping_after_idle_ms: int
    """Without a frame for so long we ask whether the venue is there; no word in `answer_ms_max`, and we leave."""
    reply_timeout_ms: int
    requests_per_second: float
    """HTTP requests of weight 1; a request takes its weight."""
    requests_burst: int


class ConnectionPlan(Struct, frozen=True, gc=False):
    """One connection: where it goes and what it listens to."""

    name: str
    url: str
    topics: tuple[Topic, ...]


class SubscribeAck(Struct, frozen=True, gc=False):
    """These topics (all the request asked where it names none) are subscribed; only data tells whether they come."""

    names: tuple[str, ...]
    request_id: int | None = None


class UnsubscribeAck(Struct, frozen=True, gc=False):
    """These topics are subscribed no longer (all that the request asked where it names none)."""

    names: tuple[str, ...]
    request_id: int | None = None


class SubscribeRejected(Struct, frozen=True, gc=False):
    """The venue refuses these topics (all that the request asked where it names none)."""

    names: tuple[str, ...]
    reason: str
    is_permanent: bool
    request_id: int | None = None


class Reply(Struct, frozen=True, gc=False):
    """Answer this at once: a venue's test that we are alive."""

    text: str


class Authenticated(Struct, frozen=True, gc=False):
    """The handshake before the first subscription is done (a login was accepted)."""


class ShutdownNotice(Struct, frozen=True, gc=False):
    """The venue is about to close this connection: make a new one now, without backoff."""

    reason: str


class Heartbeat(Struct, frozen=True, gc=False):
    """A sign of life without data."""


ControlMessage: TypeAlias = (
    SubscribeAck | UnsubscribeAck | SubscribeRejected | Reply | Authenticated | ShutdownNotice | Heartbeat
)


class Decoded(Struct, gc=False):
    """What one frame held."""

    data: Sequence[MarketEvent] = ()
    control: Sequence[ControlMessage] = ()


class RestRequest(Struct, frozen=True, gc=False, kw_only=True):
    """One GET: the path with its query, and its weight in the venue's own count."""

    path: str
    weight: int = 1


class VenueAdapter(Protocol):
    """One venue's words; pure: text in, values out."""

    @property
    def venue(self) -> Venue:
        """Name the venue as it stands in unified symbols."""

    @property
    def limits(self) -> Limits:
        """Say what the venue allows."""

    @property
    def sequence_rule(self) -> SequenceRule:
        """Say how its books are kept in sync."""

    @property
    def pushes_snapshot(self) -> bool:
        """Say whether a fresh subscription begins with the whole book."""

    @property
    def requires_login(self) -> bool:
        """Say whether `hello` must be answered by Greeted before anything is subscribed."""

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Ask for the venue's metadata."""

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read the answers, in the order of the asks; a row that cannot be read is left out."""

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Take the instruments by whose names frames are read from now on."""

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Spread the subscriptions of these symbols over connections."""

    def login_messages(self) -> Iterable[str]:
        """Give what is said first on a connection."""

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write one request for these topics; the caller keeps to the limits."""

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write the request that ends these topics."""

    def ping_message(self) -> str | None:
        """Write the venue's own ping; None where a websocket ping does."""

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read one frame of the stream; bytes can do no harm: what cannot be read is Odd."""

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Ask for a whole book."""

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Read the answer; ContractError where it is no image of a book."""

    def is_permanent_status(self, status: int) -> bool:
        """Say whether an HTTP status means that trying again cannot help."""


class Tap(Protocol):
    """Gets every raw frame as it came, before anybody reads it; it returns at once and never raises."""

    def on_frame(self, via: str, url: str, text: bytes, at_ns: int) -> None:
        """Take what was received at `url`: `via` is "ws" for a frame of a stream, "http" for an answer."""


def chunks(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut a list of topics into requests of at most `size`."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


@final
class ApiCredentials:
    """A key and its secret, shown only in the words that need them."""

    __slots__ = ("_key", "_secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Take them as references gave them."""
        self._key = key
        self._secret = secret

    def reveal(self) -> tuple[str, str]:
        """Give both as texts."""
        return self._key.reveal().decode(), self._secret.reveal().decode()


DECODE_ERRORS: Final = (
    ProtocolError,
    msgspec.MsgspecError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
)
