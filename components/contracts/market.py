"""Messages of market_data: quotes, trades, order books, and how far each can be trusted."""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from components.contracts.protocol import Message
from components.contracts.values import ZERO, Symbol, Venue


class BookState(StrEnum):
    """Whether the prices of one symbol can be trusted."""

    SYNCED = "synced"
    SYNCING = "syncing"
    GAP = "gap"
    STALE = "stale"
    CROSSED = "crossed"


class FeedState(StrEnum):
    """Whether a venue's feed is connected."""

    CONNECTING = "connecting"
    LIVE = "live"
    DOWN = "down"


class Quote(Message, frozen=True, tag="Quote"):
    """The best bid and ask of one symbol. A price of zero means that this side is empty."""

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
        """Return whether both sides are present and not crossed."""
        return ZERO < self.bid_price < self.ask_price

    @property
    def mid(self) -> Decimal:
        """The mid price."""
        return (self.bid_price + self.ask_price) / 2


class Trade(Message, frozen=True, tag="Trade"):
    """One trade."""

    venue: Venue
    symbol: Symbol
    price: Decimal
    size: Decimal
    venue_at_ns: int
    received_at_ns: int


class SymbolHealth(Message, frozen=True, tag="SymbolHealth"):
    """A change of the book state of one symbol, with its reason."""

    venue: Venue
    symbol: Symbol
    state: BookState
    reason: str
    at_ns: int


class FeedHealth(Message, frozen=True, tag="FeedHealth"):
    """A change of the state of a venue's feed, with its reason."""

    venue: Venue
    state: FeedState
    reason: str
    at_ns: int


MarketMessage: TypeAlias = Quote | Trade | SymbolHealth | FeedHealth

BookLevels: TypeAlias = tuple[tuple[Decimal, Decimal], ...]
"""Price and quantity. The quantity counts coins, or quote currency if the instrument is inverse."""


class BookSnapshot(Message, frozen=True, tag="BookSnapshot"):
    """The published top of a book as of one of the venue's ids, best first. It replaces the previous state."""

    venue: Venue
    symbol: Symbol
    book_id: int
    bids: BookLevels
    asks: BookLevels
    venue_at_ns: int
    received_at_ns: int


class BookDelta(Message, frozen=True, tag="BookDelta"):
    """The changes of the published top since `previous_id`. A quantity of zero removes a level."""

    venue: Venue
    symbol: Symbol
    previous_id: int
    book_id: int
    bids: BookLevels
    asks: BookLevels
    venue_at_ns: int
    received_at_ns: int


class BookGap(Message, frozen=True, tag="BookGap"):
    """Missing updates of a book: the last id was `expected`, and the update received continues from `got`."""

    venue: Venue
    symbol: Symbol
    expected: int
    got: int
    at_ns: int


BookMessage: TypeAlias = BookSnapshot | BookDelta | SymbolHealth | BookGap
