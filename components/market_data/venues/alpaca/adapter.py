"""The venue adapter of Alpaca's crypto stream.

It plans connections, encodes the login and subscriptions, and decodes frames and replies.
"""

from collections.abc import Iterable, Sequence
from typing import Final

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

AUTHENTICATED_MESSAGE: Final = "authenticated"


class AlpacaCryptoAdapter:
    """Adapter of Alpaca's crypto stream, /v1beta3/crypto/us; an account may hold one connection."""

    def __init__(
        self,
        stream_url: str,
        rest_url: str,
        settings: CryptoSettings,
        credentials: ApiCredentials,
        limits: Limits = requests.LIMITS,
    ) -> None:
        """Store the addresses, the settings, the credentials and the limits."""
        self.stream_url, self.rest_url = stream_url, rest_url
        self._settings, self._credentials, self._limits = settings, credentials, limits
        self._pending = PendingRequests()
        self._registry = InstrumentRegistry(())
        self._decoder = CryptoDecoder()

    @property
    def venue(self) -> Venue:
        """Return the venue of unified symbols."""
        return instruments.ALPACA

    @property
    def limits(self) -> Limits:
        """Return the venue's limits."""
        return self._limits

    @property
    def sequence_rule(self) -> SequenceRule:
        """Return the sequence rule of its order books: order of arrival."""
        return ARRIVAL_RULE

    @property
    def pushes_snapshot(self) -> bool:
        """Return True: a new subscription begins with a full order book."""
        return True

    @property
    def requires_login(self) -> bool:
        """Return True: the stream sends nothing before authentication."""
        return True

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Return the request that lists which of the configured pairs exist."""
        return (instruments.instrument_request(self._settings.pairs),)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Decode the responses to the instrument requests."""
        return instruments.decode_instruments(bodies, self._settings.increment)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for from now on."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Return one connection with all topics, as the account allows no second one."""
        topics = requests.topics(self._settings, symbols, self._registry)
        return (ConnectionPlan("crypto", self.stream_url, topics),) if topics else ()

    def login_messages(self) -> Iterable[str]:
        """Return the authentication message, and drop the pending requests of the previous connection."""
        self._pending.clear()
        return (requests.login_message(self._credentials),)

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one subscribe request."""
        return self._pending.encode(PendingRequest(tuple(names), request_id, is_unsubscribe=False))

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one unsubscribe request."""
        return self._pending.encode(PendingRequest(tuple(names), request_id, is_unsubscribe=True))

    def ping_message(self) -> None:
        """Return None: the venue has no ping message of its own, a websocket ping is used."""

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode one frame into market events and control messages."""
        data, messages = self._decoder.decode(frame, received_at_ns)
        return Decoded(data, [control for message in messages for control in self._to_control(message)])

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Return the request for a full order book."""
        return instruments.instrument_request((self._registry.require(symbol).venue_symbol,))

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode the response to a snapshot request."""
        return self._decoder.decode_snapshot(self._registry.require(symbol), body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Return whether an HTTP status means that a retry cannot succeed."""
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
