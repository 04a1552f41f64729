"""When a change follows a book of OKX: an exact chain that may stand still or start over, and a checksum.

OKX as the lines see it: its words for asking, and what its answers and frames mean.
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
PONG: Final = b"pong"
EVENT: Final = b'"event"'
_CHANNEL: Final = re.compile(rb'"channel"\s*:\s*"([\w-]{1,40})"', re.ASCII)


class OkxSequenceRule(Struct, frozen=True, gc=False, kw_only=True):
    """The chain of sequence ids."""

    resync_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    fallback_method: ResyncMethod = ResyncMethod.FETCH

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Place a change by the id it stands on."""
        prev_id, update_id = update.prev_id, update.last_id
        # First of all: a change that stands on the book's own id may end at it (nothing happened for a minute)
        # or far below it (the venue numbers anew after maintenance). Books without ids always match here.
        if prev_id == last_id:
            return SequenceOutcome.NEXT
        # What is numbered can follow only what is numbered, whichever of the two lost its number.
        if prev_id > last_id or update_id == NO_ID:
            return SequenceOutcome.GAP
        if update_id <= last_id:
            return SequenceOutcome.STALE
        # Else it begins below the book's id and ends above it: only an image that was fetched lies within a change.
        return SequenceOutcome.NEXT if is_joining and last_id != NO_ID else SequenceOutcome.GAP

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:
        """Say whether the best levels are those of the venue, text for text."""
        return book_checksum(*book.top(CHECKSUM_LEVELS)) == checksum


def book_checksum(bids: Levels, asks: Levels) -> int:
    """Compute the venue's checksum over the best levels, best first."""
    texts = [f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in zip(bids, asks, strict=False)]
    rest = bids[len(texts) :] or asks[len(texts) :]
    texts += [f"{level[0]}:{level[1]}" for level in rest]
    value = crc32(":".join(texts).encode())
    return value - (1 << 32) if value >> 31 else value


class OkxAdapter:
    """One venue's words; see the protocol Dialect."""

    def __init__(self, stream_url: str, rest_url: str, settings: OkxSettings, limits: Limits = requests.LIMITS) -> None:
        """Take where the venue is, what is chosen of it, and what it allows."""
        self.stream_url, self.rest_url, self.settings = stream_url, rest_url, settings
        self.limits = limits
        # Ids of other channels are not those of the REST answer: only this one can be joined to it.
        can_join = settings.depth_channel is DepthChannel.BOOKS
        self.sequence_rule = OkxSequenceRule(
            fallback_method=ResyncMethod.FETCH if can_join else ResyncMethod.RESUBSCRIBE
        )
        self._registry = InstrumentRegistry(())
        self._decoder = Decoder(settings)
        self._depth_prefix = f'{{"arg":{{"channel":"{settings.depth_channel}"'.encode()

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.OKX

    @property
    def pushes_snapshot(self) -> bool:
        """Say so: every channel of a book begins with all of it, or is nothing else."""
        return True

    @property
    def requires_login(self) -> bool:
        """Say no: what is public needs no login."""
        return False

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Ask for the types that are listened to."""
        return instruments.instrument_requests(self.settings)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read what is listed."""
        return instruments.decode_instruments(bodies)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Take the instruments by whose names frames are read from now on."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Spread the subscriptions over connections."""
        wanted = [self._registry.require(symbol) for symbol in dict.fromkeys(symbols)]
        return requests.plan_connections(self.stream_url, wanted, self.settings)

    def login_messages(self) -> Iterable[str]:
        """Say nothing."""
        return ()

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write a subscription."""
        return requests.encode_request("subscribe", names, request_id)

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return requests.encode_request("unsubscribe", names, request_id)

    def ping_message(self) -> str:
        """Write the venue's ping, which is a text of its own."""
        return "ping"

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read one frame."""
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
        """Ask for as much of a book as the channel keeps."""
        venue_symbol = self._registry.require(symbol).venue_symbol
        levels = self.settings.depth_channel.levels
        return RestRequest(path=f"/api/v5/market/books?instId={venue_symbol}&sz={levels}&source=0")

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Read the answer."""
        return decode_snapshot(symbol, body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Say whether an HTTP status is for good."""
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
