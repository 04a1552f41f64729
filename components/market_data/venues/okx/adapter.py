"""The venue adapter of OKX.

It holds the sequence rule and the checksum, plans connections, encodes requests, and decodes frames and events.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from zlib import crc32

from msgspec import Struct

from components.contracts.values import Symbol, Venue
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.book.sequencing import ResyncMethod, SequenceOutcome
from components.market_data.core.events import NO_ID, DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.core.numerics import Levels
from components.market_data.venues.adapter import (
    DECODE_ERRORS,
    ConnectionPlan,
    Decoded,
    Heartbeat,
    Limits,
    RestRequest,
    SubscribeAck,
)
from components.market_data.venues.okx import instruments, requests
from components.market_data.venues.okx.decode import Decoder, decode_snapshot
from components.market_data.venues.okx.requests import DepthChannel, OkxSettings, decode_event

CHECKSUM_LEVELS: Final = 25
"""Per side."""
PONG: Final = b"pong"
EVENT: Final = b'"event"'
_CHANNEL: Final = re.compile(rb'"channel"\s*:\s*"([\w-]{1,40})"', re.ASCII)


class OkxSequenceRule(Struct, frozen=True, gc=False, kw_only=True):
    """The sequence rule of OKX: an exact chain of ids that may repeat an id or restart at a lower one."""

    resync_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    fallback_method: ResyncMethod = ResyncMethod.FETCH

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Return where an update stands relative to the book, by its previous id."""
        prev_id, update_id = update.prev_id, update.last_id
        # This comes first: an update whose previous id is the book's id may end at the same id (keep-alive after a
        # minute without updates) or far below it (ids restart after maintenance). Books without ids always match here.
        if prev_id == last_id:
            return SequenceOutcome.NEXT
        # An update with ids cannot follow a book without ids, nor the reverse.
        if prev_id > last_id or update_id == NO_ID:
            return SequenceOutcome.GAP
        if update_id <= last_id:
            return SequenceOutcome.STALE
        # The update begins below the book's id and ends above it: only the id of a fetched snapshot may lie within an
        # update.
        return SequenceOutcome.NEXT if is_joining and last_id != NO_ID else SequenceOutcome.GAP

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:
        """Return whether the book's checksum, over the venue's own texts of the best levels, equals `checksum`."""
        return book_checksum(*book.top(CHECKSUM_LEVELS)) == checksum


def book_checksum(bids: Levels, asks: Levels) -> int:
    """Return the venue's checksum over the best levels, best first."""
    texts = [f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in zip(bids, asks, strict=False)]
    rest = bids[len(texts) :] or asks[len(texts) :]
    texts += [f"{level[0]}:{level[1]}" for level in rest]
    value = crc32(":".join(texts).encode())
    return value - (1 << 32) if value >> 31 else value


class OkxAdapter:
    """Adapter of OKX's public streams; see VenueAdapter."""

    def __init__(self, stream_url: str, rest_url: str, settings: OkxSettings, limits: Limits = requests.LIMITS) -> None:
        """Store the addresses, the settings and the limits."""
        self.stream_url, self.rest_url, self.settings = stream_url, rest_url, settings
        self.limits = limits
        # REST snapshots carry the ids of the channel `books` only: books of other channels cannot be joined with them.
        can_join = settings.depth_channel is DepthChannel.BOOKS
        self.sequence_rule = OkxSequenceRule(
            fallback_method=ResyncMethod.FETCH if can_join else ResyncMethod.RESUBSCRIBE
        )
        self._registry = InstrumentRegistry(())
        self._decoder = Decoder(settings)
        self._depth_prefix = f'{{"arg":{{"channel":"{settings.depth_channel}"'.encode()

    @property
    def venue(self) -> Venue:
        """Return the venue of unified symbols."""
        return instruments.OKX

    @property
    def pushes_snapshot(self) -> bool:
        """Return True: every book channel begins with a full book, or sends nothing else."""
        return True

    @property
    def requires_login(self) -> bool:
        """Return False: public channels need no login."""
        return False

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Return one request for each configured instrument type."""
        return instruments.instrument_requests(self.settings)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Decode the responses to the instrument requests."""
        return instruments.decode_instruments(bodies)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for from now on."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Distribute the topics of these symbols over connections."""
        wanted = [self._registry.require(symbol) for symbol in dict.fromkeys(symbols)]
        return requests.plan_connections(self.stream_url, wanted, self.settings)

    def login_messages(self) -> Iterable[str]:
        """Return nothing: public channels need no login."""
        return ()

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one subscribe request."""
        return requests.encode_request("subscribe", names, request_id)

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one unsubscribe request."""
        return requests.encode_request("unsubscribe", names, request_id)

    def ping_message(self) -> str:
        """Return the venue's own ping, a text message."""
        return "ping"

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode one frame into market events and control messages."""
        if frame.startswith(self._depth_prefix):
            return Decoded(self._decoder.decode_depth(frame, received_at_ns))
        if frame == PONG:
            return Decoded(control=(Heartbeat(),))
        if EVENT in frame:
            return self._decode_event(frame)
        channel = _CHANNEL.search(frame)
        if channel is None:
            return _malformed("neither data nor an event")
        return Decoded(self._decoder.decode(channel[1].decode("ascii"), frame, received_at_ns))

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Return the request for a full order book, as deep as the depth channel keeps it."""
        venue_symbol = self._registry.require(symbol).venue_symbol
        levels = self.settings.depth_channel.levels
        return RestRequest(path=f"/api/v5/market/books?instId={venue_symbol}&sz={levels}&source=0")

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode the response to a snapshot request."""
        return decode_snapshot(symbol, body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Return whether an HTTP status means that a retry cannot succeed."""
        return requests.is_permanent_status(status)

    def _decode_event(self, frame: bytes) -> Decoded:
        try:
            decoded = decode_event(frame)
        except DECODE_ERRORS as error:
            return _malformed(str(error))
        for control in decoded.control:
            if isinstance(control, SubscribeAck):
                self._on_subscribed(control)
        return decoded

    def _on_subscribed(self, confirmed: SubscribeAck) -> None:
        for name in confirmed.names:
            channel, _, venue_symbol = name.partition(":")
            if channel == requests.TRADES:
                self._decoder.on_trades_subscribed(venue_symbol)


def _malformed(detail: str) -> Decoded:
    return Decoded((DecodeIssue(IssueKind.MALFORMED, detail),))
