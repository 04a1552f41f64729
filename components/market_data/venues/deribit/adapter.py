"""How Deribit's books are kept in sync: each change stands exactly on the one before, and only the stream mends.

Deribit's words: what is asked of it, and what its frames say.
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

# A book that was fetched could not be joined: its id need not be one at which a batch was cut.
SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.RESUBSCRIBE, fallback_method=ResyncMethod.RESUBSCRIBE, ranges_overlap=False
)
NO_EVENTS: Final[Sequence[MarketEvent]] = ()
BOOK_FRAME_PREFIX: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.'
"""As this venue writes it today; however else it may be written, the second look finds the channel."""


class DeribitAdapter:
    """Speaks with Deribit."""

    def __init__(
        self,
        stream_url: str,
        rest_url: str,
        settings: DeribitSettings,
        credentials: ApiCredentials | None = None,
        limits: Limits = requests.LIMITS,
    ) -> None:
        """Take where it is and what is wanted of it; ValueError where that cannot be had."""
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
            # Recordings hold them; what they say of the book, the book says better.
            b"ticke": lambda _frame, _at_ns: NO_EVENTS,
        }

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.DERIBIT

    @property
    def limits(self) -> Limits:
        """Say what it allows."""
        return self._limits

    @property
    def sequence_rule(self) -> SequenceRule:
        """Say how its books are kept in sync."""
        return SEQUENCE_RULE

    @property
    def pushes_snapshot(self) -> bool:
        """Say that the first notification of a book is all of it."""
        return True

    @property
    def requires_login(self) -> bool:
        """Say whether a login comes first."""
        return self._login is not None

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Ask for the instruments of each kind."""
        return instruments.instrument_requests(self._settings)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read the answers."""
        return instruments.decode_instruments(bodies)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Take the instruments that frames will be about."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Spread the channels of these symbols over connections."""
        topics_max = self._limits.topics_per_connection
        return tuple(requests.plan_connections(self._settings, self.stream_url, symbols, self._registry, topics_max))

    def login_messages(self) -> Iterable[str]:
        """Log in where that is needed, and ask to be tested for being alive."""
        login = () if self._login is None else (self._login.login_message(),)
        heartbeat = requests.encode_call(
            "public/set_heartbeat", requests.HEARTBEAT_ID, interval=self._settings.heartbeat_s
        )
        return (*login, heartbeat)

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write one subscription."""
        return self._pending.subscribe(names, request_id)

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return self._pending.unsubscribe(names, request_id)

    def ping_message(self) -> str:
        """Ask whether the venue is there."""
        return requests.test_message()

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read one frame."""
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
        """Ask for a whole book."""
        venue_symbol, depth = self._registry.require(symbol).venue_symbol, self._settings.snapshot_depth
        return RestRequest(path=f"{instruments.API_PREFIX}/get_order_book?instrument_name={venue_symbol}&depth={depth}")

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Read the answer."""
        return self._decoder.decode_snapshot(self._registry.require(symbol), body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Say whether an HTTP status means that trying again cannot help."""
        return requests.is_permanent_status(status)

    def _malformed(self, frame: bytes, error: Exception) -> DecodeIssue:
        # Only a book that missed something has to know.
        symbol = self._decoder.symbol_in(frame) if CHANNEL_FIELD + b"book." in frame[:CHANNEL_SEARCH_BYTES] else None
        return DecodeIssue(IssueKind.MALFORMED, str(error)[:DETAIL_CHARACTERS_MAX], symbol)

    def _decode_message(self, frame: bytes, received_at_ns: int) -> Decoded:
        message = message_decoder.decode(frame)
        if message.method != "subscription":
            return self._replies.decode(message, received_at_ns)
        # JSON may be spaced and ordered otherwise than this venue does it today; it costs a second look.
        channel = message.params.channel
        reader = self._readers.get(channel[:5].encode())
        if reader is None:
            return Decoded((DecodeIssue(IssueKind.UNKNOWN, f"channel {channel[:DETAIL_CHARACTERS_MAX]}"),))
        return Decoded(reader(frame, received_at_ns))
