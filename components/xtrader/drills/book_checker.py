"""Follows the published books as any hearer would, and remembers what it was shown at which of the venue's ids.

The unified names of the sandbox's instruments, and what their quantities are worth, from its listings alone.

It is worked out here once more, beside market_data, so that a mistake there is not repeated by its judge.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from components.contracts.market import (
    BookDelta,
    BookGap,
    BookLevels,
    BookMessage,
    BookSnapshot,
    BookState,
    SymbolHealth,
)
from components.contracts.values import Symbol, Venue, format_decimal

TOP_LEVELS: Final = 10


@dataclass(frozen=True, slots=True)
class PublishedTop:
    """The top of one book as it was published, best first."""

    venue: Venue
    symbol: Symbol
    book_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    def as_strings(self) -> dict[str, list[list[str]]]:
        """Write both sides in canonical decimals."""
        return {"bids": _levels_as_strings(self.bids), "asks": _levels_as_strings(self.asks)}


@dataclass(slots=True)
class ReplicaBook:
    """One book as far as it was published."""

    venue: Venue
    book_id: int
    bids: dict[Decimal, Decimal]
    asks: dict[Decimal, Decimal]


@dataclass(slots=True)
class BookReplica:
    """Puts snapshots and deltas together; a delta that stands on nothing that was shown is held against market_data."""

    books: dict[Symbol, ReplicaBook] = field(default_factory=dict)
    health: dict[Symbol, SymbolHealth] = field(default_factory=dict)
    gaps: list[BookGap] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    message_counts: Counter[str] = field(default_factory=Counter)

    def reset(self, messages: tuple[BookMessage, ...]) -> None:
        """Join: what was heard before means nothing now."""
        self.books.clear()
        for message in messages:
            self.apply(message)

    def apply(self, message: BookMessage) -> PublishedTop | None:
        """Hear the next message; give what it shows, where it shows a book."""
        self.message_counts[type(message).__name__] += 1
        match message:
            case BookSnapshot():
                bids, asks = dict(message.bids), dict(message.asks)
                self.books[message.symbol] = ReplicaBook(message.venue, message.book_id, bids, asks)
            case BookDelta():
                if not self._apply_delta(message):
                    return None
            case SymbolHealth():
                self.health[message.symbol] = message
                return None
            case BookGap():
                self.gaps.append(message)
                return None
        return self._published_top(message.symbol)

    def synced_symbols(self) -> Iterator[Symbol]:
        """List the books that are said to be in sync."""
        return (symbol for symbol, health in self.health.items() if health.state is BookState.SYNCED)

    def _apply_delta(self, delta: BookDelta) -> bool:
        book = self.books.get(delta.symbol)
        if book is None or book.book_id != delta.previous_id:
            stands = "nothing" if book is None else book.book_id
            self.violations.append(f"{delta.symbol}: a delta from {delta.previous_id} where {stands} was shown")
            return False
        _apply_levels(book.bids, delta.bids)
        _apply_levels(book.asks, delta.asks)
        book.book_id = delta.book_id
        return True

    def _published_top(self, symbol: Symbol) -> PublishedTop:
        book = self.books[symbol]
        bids = tuple(sorted(book.bids.items(), reverse=True)[:TOP_LEVELS])
        asks = tuple(sorted(book.asks.items())[:TOP_LEVELS])
        return PublishedTop(book.venue, symbol, book.book_id, bids, asks)


def _apply_levels(side: dict[Decimal, Decimal], levels: BookLevels) -> None:
    for price, quantity in levels:
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)


def _levels_as_strings(levels: tuple[tuple[Decimal, Decimal], ...]) -> list[list[str]]:
    return [[format_decimal(price), format_decimal(quantity)] for price, quantity in levels]


QUANTITIES_IN_COINS: Final = frozenset({"binance", "binanceum", "deribit"})
"""These venues quote quantities in coins or dollars; only the others count contracts."""


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """One instrument at its venue."""

    venue: str
    native: str
    unit: Decimal


def instruments_by_symbol(venues: Mapping[str, Any]) -> dict[Symbol, ListedInstrument]:
    """Name everything that the venues list."""
    return {
        _symbol(venue, listing): ListedInstrument(venue, listing["symbol"], _unit(venue, listing))
        for venue, told in venues.items()
        for listing in told["listings"]
    }


def _symbol(venue: str, listing: Mapping[str, Any]) -> Symbol:
    # An option that is paid in its own coin is still one on the coin's price in dollars.
    quote = "USD" if listing["quote"] == listing["base"] else listing["quote"]
    parts = [listing["base"], quote, *_contract_suffix(listing)]
    return Symbol(f"{venue}:{'-'.join(parts)}".upper())


def _contract_suffix(listing: Mapping[str, Any]) -> list[str]:
    day = datetime.fromtimestamp(listing["expiry_ms"] / 1e3, UTC).strftime("%y%m%d")
    match listing["kind"]:
        case "perpetual":
            return ["PERP"]
        case "future":
            return [day]
        case "option":
            return [day, str(listing["strike"]), "C" if listing["option_type"] == "call" else "P"]
        case _:
            return []


def _unit(venue: str, listing: Mapping[str, Any]) -> Decimal:
    return Decimal(1) if venue in QUANTITIES_IN_COINS or listing["kind"] == "spot" else Decimal(listing["contract"])


def levels_in_units(levels: Sequence[Sequence[str]], unit: Decimal) -> list[list[str]]:
    """Write the venue's levels as they should be published: one of the venue's quantity is worth `unit`."""
    return [[format_decimal(Decimal(price)), format_decimal(Decimal(quantity) * unit)] for price, quantity in levels]
