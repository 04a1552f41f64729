"""Venue-neutral messages between adapters and the service: depth updates, snapshots, feed events, feed requests."""

from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.instruments import Instrument
from components.market_data.core.numerics import Levels

NO_ID: Final = -1
"""The venue sends no ids: such an update follows whatever arrived before it."""


class DepthUpdate(Struct, frozen=True, gc=False):
    """The levels that changed between two ids; quantities are absolute as of `last_id`."""

    symbol: Symbol
    prev_id: int
    """The id that this update follows: Binance U - 1 (spot) or pu (futures), OKX prevSeqId, Deribit prev_change_id."""
    last_id: int
    bids: Levels
    asks: Levels
    venue_at_ns: int
    received_at_ns: int
    checksum: int = 0
    """0 if the venue sends none."""


class DepthSnapshot(Struct, frozen=True, gc=False):
    """A whole book as of `last_id`."""

    symbol: Symbol
    last_id: int
    bids: Levels
    asks: Levels
    venue_at_ns: int
    received_at_ns: int
    is_pushed: bool
    """The snapshot arrived on the stream itself, in order with the updates; otherwise it was fetched over HTTP."""
    depth_max: int = 0
    """A side with this many levels was truncated there; 0 if the venue maintains the window itself."""
    checksum: int = 0


class IssueKind(StrEnum):
    """What can be wrong with a part of a frame; each is counted by venue."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    UNLISTED = "unlisted"
    OUT_OF_RANGE = "out_of_range"
    TOO_LARGE = "too_large"


class DecodeIssue(Struct, frozen=True, gc=False):
    """A part of a frame that is only counted. With a symbol, that symbol's book missed a message."""

    kind: IssueKind
    detail: str
    symbol: Symbol | None = None


MarketEvent: TypeAlias = DepthUpdate | DepthSnapshot | Quote | Trade | DecodeIssue


class InstrumentsLoaded(Struct, frozen=True, gc=False):
    """The configured instruments that the venue lists; sent before any message about them."""

    venue: Venue
    instruments: tuple[Instrument, ...]


class BookStreamUp(Struct, frozen=True, gc=False):
    """The updates of a symbol's book are subscribed on a live connection."""

    venue: Venue
    symbol: Symbol


class BookStreamDown(Struct, frozen=True, gc=False):
    """The updates of a symbol's book have stopped; `is_permanent` if the venue rejects the symbol for good."""

    venue: Venue
    symbol: Symbol
    reason: str
    is_permanent: bool


class FeedUp(Struct, frozen=True, gc=False):
    """Every connection that a venue needs is open and subscribed."""

    venue: Venue


class FeedDown(Struct, frozen=True, gc=False):
    """At least one connection of a venue is down."""

    venue: Venue
    reason: str
    is_permanent: bool


class DecodedFrame(Struct, frozen=True, gc=False):
    """The content of one frame of a venue, with the time that decoding took."""

    venue: Venue
    data: tuple[MarketEvent, ...]
    received_at_ns: int
    parse_ns: int
    bytes_count: int


class StockFeedUp(Struct, frozen=True, gc=False):
    """The venue confirmed every symbol of the stock feed; prices follow."""


class StockFrame(Struct, frozen=True, gc=False):
    """One frame of the stock feed: the decoded messages, and the number of parts that could not be decoded."""

    messages: tuple[Quote | Trade, ...]
    unknown: int = 0
    malformed: int = 0


class StockFeedDown(Struct, frozen=True, gc=False):
    """The connection ended or could not be opened; `is_permanent` if a retry cannot help."""

    reason: str
    is_permanent: bool


FeedMessage: TypeAlias = (
    StockFeedUp
    | StockFrame
    | StockFeedDown
    | InstrumentsLoaded
    | BookStreamUp
    | BookStreamDown
    | FeedUp
    | FeedDown
    | DecodedFrame
)


class FetchSnapshot(Struct, frozen=True, gc=False):
    """Request a snapshot of a book over HTTP."""

    venue: Venue
    symbol: Symbol
    epoch: int
    """The synchronizer's attempt that requests it; a reply to an earlier attempt is ignored."""


class Resubscribe(Struct, frozen=True, gc=False):
    """Request that a book's stream is resubscribed, so that it starts with a snapshot."""

    venue: Venue
    symbol: Symbol
    epoch: int


class SnapshotUnavailable(Struct, frozen=True, gc=False):
    """A snapshot could not be obtained; do not retry before `retry_after_ms` have passed."""

    reason: str
    retry_after_ms: float


class Resubscribed(Struct, frozen=True, gc=False):
    """The resubscription was sent; BookStreamUp or data will show its effect."""


FeedRequest: TypeAlias = FetchSnapshot | Resubscribe
FeedReply: TypeAlias = DepthSnapshot | SnapshotUnavailable | Resubscribed
