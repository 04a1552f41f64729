"""What market_data says: quotes, trades, books, and how far each can be trusted."""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from components.contracts.protocol import Message
from components.contracts.values import ZERO, Symbol, Venue


class BookState(StrEnum):
    """How far the prices of one symbol can be trusted."""

    SYNCED = "synced"
    SYNCING = "syncing"
    GAP = "gap"
    STALE = "stale"
    CROSSED = "crossed"


class FeedState(StrEnum):
    """Whether a venue's feed is heard."""

    CONNECTING = "connecting"
    LIVE = "live"
    DOWN = "down"


class Quote(Message, frozen=True, tag="Quote"):
    """The best bid and ask of one symbol; a price of zero means that side is absent."""

    venue: Venue
    symbol: Symbol
    bid_price: Decimal
    bid_size: Decimal
    ask_price: Decimal
    ask_size: Decimal
    venue_at_ns: int
    received_at_ns: int

    @property
    def is_two_sided(self) -> bool:
        """Say whether both sides stand and do not cross."""
        return ZERO < self.bid_price < self.ask_price

    @property
    def mid(self) -> Decimal:
        """The price halfway between bid and ask."""
        return (self.bid_price + self.ask_price) / 2


class Trade(Message, frozen=True, tag="Trade"):
    """One print on the tape."""

    venue: Venue
    symbol: Symbol
    price: Decimal
    size: Decimal
    venue_at_ns: int
    received_at_ns: int


class SymbolHealth(Message, frozen=True, tag="SymbolHealth"):
    """A change of trust in one symbol's prices, with its reason."""

    venue: Venue
    symbol: Symbol
    state: BookState
    reason: str
    at_ns: int


class FeedHealth(Message, frozen=True, tag="FeedHealth"):
    """A change in whether a venue's feed is heard, with its reason."""

    venue: Venue
    state: FeedState
    reason: str
    at_ns: int


MarketMessage: TypeAlias = Quote | Trade | SymbolHealth | FeedHealth

BookLevels: TypeAlias = tuple[tuple[Decimal, Decimal], ...]
"""Price and quantity; the quantity counts coins, or quote currency where the instrument is inverse."""


class BookSnapshot(Message, frozen=True, tag="BookSnapshot"):
    """The whole published top of a book as of one of the venue's ids, best first; it replaces what was known."""

    venue: Venue
    symbol: Symbol
    book_id: int
    bids: BookLevels
    asks: BookLevels
    venue_at_ns: int
    received_at_ns: int


class BookDelta(Message, frozen=True, tag="BookDelta"):
    """What is different in the published top since `previous_id`; a quantity of zero left it."""

    venue: Venue
    symbol: Symbol
    previous_id: int
    book_id: int
    bids: BookLevels
    asks: BookLevels
    venue_at_ns: int
    received_at_ns: int


class BookGap(Message, frozen=True, tag="BookGap"):
    """Changes of a book that were never heard: after `expected`, the venue went on at `got`."""

    venue: Venue
    symbol: Symbol
    expected: int
    got: int
    at_ns: int


BookMessage: TypeAlias = BookSnapshot | BookDelta | SymbolHealth | BookGap
