"""The venue adapter of Deribit.

It holds the sequence rule, plans connections, encodes the login and subscriptions, and decodes frames and replies.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import RangeRule, ResyncMethod, SequenceRule
from components.market_data.core.events import DecodeIssue, DepthSnapshot, IssueKind, MarketEvent
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.venues.adapter import (
    DECODE_ERRORS,
    ApiCredentials,
    ConnectionPlan,
    Decoded,
    Limits,
    RestRequest,
)
from components.market_data.venues.deribit import instruments, requests
from components.market_data.venues.deribit.decode import CHANNEL_FIELD, CHANNEL_SEARCH_BYTES, Decoder
from components.market_data.venues.deribit.messages import message_decoder
from components.market_data.venues.deribit.requests import (
    DETAIL_CHARACTERS_MAX,
    RAW,
    Authenticator,
    DeribitSettings,
    ReplyDecoder,
)

# A fetched book cannot be joined: its id need not be one at which the venue cut a batch.
SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.RESUBSCRIBE, fallback_method=ResyncMethod.RESUBSCRIBE, ranges_overlap=False
)
NO_EVENTS: Final[Sequence[MarketEvent]] = ()
BOOK_FRAME_PREFIX: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.'
"""How the venue starts a book frame today. Any other spelling is found by the slower search for the channel."""


class DeribitAdapter:
    """Adapter of Deribit's JSON-RPC over websocket."""

    def __init__(
        self,
        stream_url: str,
        rest_url: str,
        settings: DeribitSettings,
        credentials: ApiCredentials | None = None,
        limits: Limits = requests.LIMITS,
    ) -> None:
        """Store the addresses and the settings; raise ValueError where the venue cannot serve them."""
        self.stream_url, self.rest_url = stream_url, rest_url
        self._settings = requests.checked_settings(settings, has_keys=credentials is not None)
        self._limits = limits
        self._login = (
            Authenticator(credentials, settings.heartbeat_s)
            if credentials is not None and settings.interval == RAW
            else None
        )
        self._pending = requests.PendingRequests(settings)
        self._replies = ReplyDecoder(self._pending, self._login)
        self._registry = InstrumentRegistry(())
        self._decoder = Decoder()
        self._decode_books = self._decoder.decode_books
        self._readers: dict[bytes, Callable[[bytes, int], Sequence[MarketEvent]]] = {
            b"book.": self._decoder.decode_books,
            b"quote": self._decoder.decode_quotes,
            b"trade": self._decoder.decode_trades,
            # Recordings hold tickers; their best prices are in the book anyway.
            b"ticke": lambda _frame, _at_ns: NO_EVENTS,
        }

    @property
    def venue(self) -> Venue:
        """Return the venue of unified symbols."""
        return instruments.DERIBIT

    @property
    def limits(self) -> Limits:
        """Return the venue's limits."""
        return self._limits

    @property
    def sequence_rule(self) -> SequenceRule:
        """Return the sequence rule of its order books: an exact chain, resynchronized by a new subscription."""
        return SEQUENCE_RULE

    @property
    def pushes_snapshot(self) -> bool:
        """Return True: the first notification of a book channel is a full book."""
        return True

    @property
    def requires_login(self) -> bool:
        """Return whether a login comes before the first subscription."""
        return self._login is not None

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Return the requests for the configured currencies and kinds."""
        return instruments.instrument_requests(self._settings)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Decode the responses to the instrument requests."""
        return instruments.decode_instruments(bodies)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for from now on."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Distribute the channels of these symbols over connections."""
        topics_max = self._limits.topics_per_connection
        return tuple(requests.plan_connections(self._settings, self.stream_url, symbols, self._registry, topics_max))

    def login_messages(self) -> Iterable[str]:
        """Return the login where one is required, and the request for heartbeats."""
        login = () if self._login is None else (self._login.login_message(),)
        heartbeat = requests.encode_call(
            "public/set_heartbeat", requests.HEARTBEAT_ID, interval=self._settings.heartbeat_s
        )
        return (*login, heartbeat)

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one subscribe request."""
        return self._pending.subscribe(names, request_id)

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one unsubscribe request."""
        return self._pending.unsubscribe(names, request_id)

    def ping_message(self) -> str:
        """Return a call of public/test, which the venue answers."""
        return requests.encode_test_call()

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode one frame into market events and control messages."""
        try:
            if frame.startswith(BOOK_FRAME_PREFIX):
                return Decoded(self._decode_books(frame, received_at_ns))
            start = frame.find(CHANNEL_FIELD, 0, CHANNEL_SEARCH_BYTES)
            if start >= 0:
                start += len(CHANNEL_FIELD)
                reader = self._readers.get(frame[start : start + 5])
                if reader is not None:
                    return Decoded(reader(frame, received_at_ns))
            return self._decode_message(frame, received_at_ns)
        except DECODE_ERRORS as error:
            return Decoded((self._malformed(frame, error),))

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Return the request for a full order book."""
        venue_symbol, depth = self._registry.require(symbol).venue_symbol, self._settings.snapshot_depth
        return RestRequest(path=f"{instruments.API_PREFIX}/get_order_book?instrument_name={venue_symbol}&depth={depth}")

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode the response to a snapshot request."""
        return self._decoder.decode_snapshot(self._registry.require(symbol), body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Return whether an HTTP status means that a retry cannot succeed."""
        return requests.is_permanent_status(status)

    def _malformed(self, frame: bytes, error: Exception) -> DecodeIssue:
        # Only a book that missed an update must resynchronize.
        symbol = self._decoder.symbol_in(frame) if CHANNEL_FIELD + b"book." in frame[:CHANNEL_SEARCH_BYTES] else None
        return DecodeIssue(IssueKind.MALFORMED, str(error)[:DETAIL_CHARACTERS_MAX], symbol)

    def _decode_message(self, frame: bytes, received_at_ns: int) -> Decoded:
        message = message_decoder.decode(frame)
        if message.method != "subscription":
            return self._replies.decode(message, received_at_ns)
        # JSON may be spaced or ordered differently from how the venue writes it today; that costs a second decoding.
        channel = message.params.channel
        reader = self._readers.get(channel[:5].encode())
        if reader is None:
            return Decoded((DecodeIssue(IssueKind.UNKNOWN, f"channel {channel[:DETAIL_CHARACTERS_MAX]}"),))
        return Decoded(reader(frame, received_at_ns))
