"""The words of Alpaca's crypto stream: what is asked of it, and what its frames say."""

from collections.abc import Iterable, Sequence

from components.contracts.errors import VenueRejected
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import ARRIVAL_RULE, SequenceRule
from components.market_data.core.events import DepthSnapshot
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.venues.adapter import (
    ApiCredentials,
    Authenticated,
    ConnectionPlan,
    ControlMessage,
    Decoded,
    Heartbeat,
    Limits,
    RestRequest,
    SubscribeRejected,
)
from components.market_data.venues.alpaca import instruments, requests
from components.market_data.venues.alpaca.decode import CryptoControlMessage, CryptoDecoder
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.alpaca.messages import ErrorMessage, Success, error_from_code
from components.market_data.venues.alpaca.requests import PendingRequest, PendingRequests, topic_name

AUTHENTICATED_MESSAGE = "authenticated"


class AlpacaCryptoAdapter:
    """Speaks with Alpaca's crypto stream, /v1beta3/crypto/us, on the account's one connection."""

    def __init__(
        self,
        stream_url: str,
        rest_url: str,
        settings: CryptoSettings,
        credentials: ApiCredentials,
        limits: Limits = requests.LIMITS,
    ) -> None:
        """Take where it is, what is wanted of it, and who asks."""
        self.stream_url, self.rest_url = stream_url, rest_url
        self._settings, self._credentials, self._limits = settings, credentials, limits
        self._pending = PendingRequests()
        self._registry = InstrumentRegistry(())
        self._decoder = CryptoDecoder()

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.ALPACA

    @property
    def limits(self) -> Limits:
        """Say what it allows."""
        return self._limits

    @property
    def sequence_rule(self) -> SequenceRule:
        """Say how its books are kept in sync."""
        return ARRIVAL_RULE

    @property
    def pushes_snapshot(self) -> bool:
        """Say that a subscription begins with all of a book."""
        return True

    @property
    def requires_login(self) -> bool:
        """Say that nothing is heard without keys."""
        return True

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Ask which of the chosen pairs there are."""
        return (instruments.instrument_request(self._settings.pairs),)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read the answers."""
        return instruments.decode_instruments(bodies, self._settings.increment)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Take the instruments that frames will be about."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Put everything on the one connection there may be."""
        topics = requests.topics(self._settings, symbols, self._registry)
        return (ConnectionPlan("crypto", self.stream_url, topics),) if topics else ()

    def login_messages(self) -> Iterable[str]:
        """Say who we are."""
        self._pending.clear()
        return (requests.login_message(self._credentials),)

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write one subscription."""
        return self._pending.encode(PendingRequest(tuple(names), request_id, is_unsubscribe=False))

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return self._pending.encode(PendingRequest(tuple(names), request_id, is_unsubscribe=True))

    def ping_message(self) -> None:
        """Have none: a websocket ping does."""

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read one frame."""
        data, messages = self._decoder.decode(frame, received_at_ns)
        return Decoded(data, [control for message in messages for control in self._to_control(message)])

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Ask for a whole book."""
        return instruments.instrument_request((self._registry.require(symbol).venue_symbol,))

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Read the answer."""
        return self._decoder.decode_snapshot(self._registry.require(symbol), body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Say whether an HTTP status means that trying again cannot help."""
        return requests.is_permanent_status(status)

    def _to_control(self, message: CryptoControlMessage) -> Sequence[ControlMessage]:
        if isinstance(message, Success):
            return (Authenticated() if message.msg == AUTHENTICATED_MESSAGE else Heartbeat(),)
        if isinstance(message, ErrorMessage):
            return (self._on_error(message),)
        channels = (("orderbooks", message.orderbooks), ("quotes", message.quotes), ("trades", message.trades))
        return self._pending.on_subscription(topic_name(channel, pair) for channel, pairs in channels for pair in pairs)

    def _on_error(self, failure: ErrorMessage) -> ControlMessage:
        if failure.code == requests.ALREADY_AUTHENTICATED_CODE:
            return Heartbeat()
        error = error_from_code(failure.code, failure.msg)
        is_permanent = isinstance(error, VenueRejected)
        if failure.code in requests.REQUEST_ERROR_CODES:
            return self._pending.on_error(str(error), is_permanent=is_permanent)
        return SubscribeRejected((), str(error), is_permanent)
