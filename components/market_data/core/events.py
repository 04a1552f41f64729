"""What venues say of a book, in everybody's words: an image of all of it, and changes that chain by their ids.

What a venue's adapter tells the service, and what the service asks of it, in words that every venue shares.
"""

from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.instruments import Instrument
from components.market_data.core.numerics import Levels

NO_ID: Final = -1
"""The venue numbered nothing: such a change follows whatever came before it."""


class DepthUpdate(Struct, frozen=True, gc=False):
    """The levels touched between two ids; quantities are absolute as of `final`."""

    symbol: Symbol
    prev_id: int
    """The id this change stands on: the spot market's U - 1, pu, prevSeqId, prev_change_id."""
    last_id: int
    bids: Levels
    asks: Levels
    venue_at_ns: int
    received_at_ns: int
    checksum: int = 0
    """0 where the venue gives none."""


class DepthSnapshot(Struct, frozen=True, gc=False):
    """A whole book as of `final`."""

    symbol: Symbol
    last_id: int
    bids: Levels
    asks: Levels
    venue_at_ns: int
    received_at_ns: int
    is_pushed: bool
    """It came on the stream itself, in order with the changes; else it was fetched beside it."""
    depth_max: int = 0
    """A side with so many levels was cut there; 0 where the venue keeps the window itself."""
    checksum: int = 0


class StockFeedUp(Struct, frozen=True, gc=False):
    """The venue confirmed every symbol; prices follow."""


class StockFrame(Struct, frozen=True, gc=False):
    """One frame of the venue: what was understood, and how many parts of it were not."""

    messages: tuple[Quote | Trade, ...]
    unknown: int = 0
    malformed: int = 0


class StockFeedDown(Struct, frozen=True, gc=False):
    """The connection is gone, or never came; `final` where trying again cannot help."""

    reason: str
    is_permanent: bool


class IssueKind(StrEnum):
    """What can be wrong with a part of a frame; each is counted by venue."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    UNLISTED = "unlisted"
    OUT_OF_RANGE = "out_of_range"
    TOO_LARGE = "too_large"


class DecodeIssue(Struct, frozen=True, gc=False):
    """A part of a frame that has no effect but to be counted; with a symbol, that symbol's book missed something."""

    kind: IssueKind
    detail: str
    symbol: Symbol | None = None


MarketEvent: TypeAlias = DepthUpdate | DepthSnapshot | Quote | Trade | DecodeIssue


class InstrumentsLoaded(Struct, frozen=True, gc=False):
    """The venue's instruments, as far as they are listened to; they come before anything about them."""

    venue: Venue
    instruments: tuple[Instrument, ...]


class BookStreamUp(Struct, frozen=True, gc=False):
    """The changes of a symbol's book are subscribed on a connection that lives."""

    venue: Venue
    symbol: Symbol


class BookStreamDown(Struct, frozen=True, gc=False):
    """The changes of a symbol's book come no longer; `final` where the venue refuses the symbol for good."""

    venue: Venue
    symbol: Symbol
    reason: str
    is_permanent: bool


class FeedUp(Struct, frozen=True, gc=False):
    """A venue is heard: every connection it needs is open."""

    venue: Venue


class FeedDown(Struct, frozen=True, gc=False):
    """A venue is not heard, or not wholly."""

    venue: Venue
    reason: str
    is_permanent: bool


class DecodedFrame(Struct, frozen=True, gc=False):
    """What one frame of a venue held, with the time its decoding took."""

    venue: Venue
    data: tuple[MarketEvent, ...]
    received_at_ns: int
    parse_ns: int
    bytes_count: int


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
    """Ask the venue for a whole book, beside its stream."""

    venue: Venue
    symbol: Symbol
    epoch: int


class Resubscribe(Struct, frozen=True, gc=False):
    """Ask for the book's stream anew, so that it begins with an image."""

    venue: Venue
    symbol: Symbol
    epoch: int


class SnapshotUnavailable(Struct, frozen=True, gc=False):
    """An image could not be had; wait at least so long before asking again."""

    reason: str
    retry_after_ms: float


class Resubscribed(Struct, frozen=True, gc=False):
    """The stream was asked for anew; whether it comes, the stream tells."""


FeedRequest: TypeAlias = FetchSnapshot | Resubscribe


FeedReply: TypeAlias = DepthSnapshot | SnapshotUnavailable | Resubscribed
