"""Rebuilds the published books as any subscriber would, to compare them with the venue's own books.

Symbols and units are derived here independently of market_data, from the sandbox's listings alone, so that the checker
does not repeat a mistake of the code under test.
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
QUANTITIES_IN_COINS: Final = frozenset({"binance", "binanceum", "deribit"})
"""These venues quote quantities in coins or dollars; the others count contracts."""


@dataclass(frozen=True, slots=True)
class PublishedTop:
    """The published top of one book, best price first."""

    venue: Venue
    symbol: Symbol
    book_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    def as_strings(self) -> dict[str, list[list[str]]]:
        """Return both sides as canonical decimal strings."""
        return {"bids": _levels_as_strings(self.bids), "asks": _levels_as_strings(self.asks)}


@dataclass(slots=True)
class ReplicaBook:
    """One book as published so far."""

    venue: Venue
    book_id: int
    bids: dict[Decimal, Decimal]
    asks: dict[Decimal, Decimal]


@dataclass(slots=True)
class BookReplica:
    """Applies snapshots and deltas.

    A delta that does not continue the last published id is a violation by market_data.
    """

    books: dict[Symbol, ReplicaBook] = field(default_factory=dict)
    health: dict[Symbol, SymbolHealth] = field(default_factory=dict)
    gaps: list[BookGap] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    message_counts: Counter[str] = field(default_factory=Counter)

    def reset(self, messages: tuple[BookMessage, ...]) -> None:
        """Start again from the snapshot of the stream; earlier books are dropped."""
        self.books.clear()
        for message in messages:
            self.apply(message)

    def apply(self, message: BookMessage) -> PublishedTop | None:
        """Apply the next message; return the published top if the message changed a book."""
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
        """Return the symbols whose last published health is SYNCED."""
        return (symbol for symbol, health in self.health.items() if health.state is BookState.SYNCED)

    def _apply_delta(self, delta: BookDelta) -> bool:
        book = self.books.get(delta.symbol)
        if book is None or book.book_id != delta.previous_id:
            last_id = "nothing" if book is None else book.book_id
            self.violations.append(f"{delta.symbol}: delta continues {delta.previous_id}, last published is {last_id}")
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


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """One instrument at its venue: its native symbol, and the value of one unit of quantity."""

    venue: str
    native: str
    unit: Decimal


def instruments_by_symbol(venues: Mapping[str, Any]) -> dict[Symbol, ListedInstrument]:
    """Return every listed instrument by its unified symbol."""
    return {
        _symbol(venue, listing): ListedInstrument(venue, listing["symbol"], _unit(venue, listing))
        for venue, description in venues.items()
        for listing in description["listings"]
    }


def _symbol(venue: str, listing: Mapping[str, Any]) -> Symbol:
    # An option that is settled in its own coin still has the coin's price in dollars as its underlying.
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
    """Return the venue's levels as they should be published: each quantity times `unit`."""
    return [[format_decimal(Decimal(price)), format_decimal(Decimal(quantity) * unit)] for price, quantity in levels]
