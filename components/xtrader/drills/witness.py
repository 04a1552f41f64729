"""Follows the published books as any hearer would, and remembers what it was shown at which of the venue's ids."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from components.contracts.market import BookDelta, BookLevels, BookMessage, BookSnapshot, BookState, Gap, SymbolHealth
from components.contracts.values import Symbol, Venue, canonical

TOP: Final = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """The top of one book as it was published, best first."""

    venue: Venue
    symbol: Symbol
    book_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    def plain(self) -> dict[str, list[list[str]]]:
        """Write both sides in canonical decimals."""
        return {"bids": _plain(self.bids), "asks": _plain(self.asks)}


@dataclass(slots=True)
class BookSeen:
    """One book as far as it was published."""

    venue: Venue
    book_id: int
    bids: dict[Decimal, Decimal]
    asks: dict[Decimal, Decimal]


@dataclass(slots=True)
class Witness:
    """Puts snapshots and deltas together; a delta that stands on nothing that was shown is held against market_data."""

    books: dict[Symbol, BookSeen] = field(default_factory=dict)
    states: dict[Symbol, SymbolHealth] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def begin(self, messages: tuple[BookMessage, ...]) -> None:
        """Join: what was heard before means nothing now."""
        self.books.clear()
        for message in messages:
            self.hear(message)

    def hear(self, message: BookMessage) -> Shown | None:
        """Hear the next message; give what it shows, where it shows a book."""
        self.counts[type(message).__name__] += 1
        match message:
            case BookSnapshot():
                bids, asks = dict(message.bids), dict(message.asks)
                self.books[message.symbol] = BookSeen(message.venue, message.book_id, bids, asks)
            case BookDelta():
                if not self._follow(message):
                    return None
            case SymbolHealth():
                self.states[message.symbol] = message
                return None
            case Gap():
                self.gaps.append(message)
                return None
        return self._shown(message.symbol)

    def synced(self) -> Iterator[Symbol]:
        """List the books that are said to be in sync."""
        return (symbol for symbol, health in self.states.items() if health.state is BookState.SYNCED)

    def _follow(self, delta: BookDelta) -> bool:
        book = self.books.get(delta.symbol)
        if book is None or book.book_id != delta.previous_id:
            stands = "nothing" if book is None else book.book_id
            self.flaws.append(f"{delta.symbol}: a delta from {delta.previous_id} where {stands} was shown")
            return False
        _change(book.bids, delta.bids)
        _change(book.asks, delta.asks)
        book.book_id = delta.book_id
        return True

    def _shown(self, symbol: Symbol) -> Shown:
        book = self.books[symbol]
        bids = tuple(sorted(book.bids.items(), reverse=True)[:TOP])
        asks = tuple(sorted(book.asks.items())[:TOP])
        return Shown(book.venue, symbol, book.book_id, bids, asks)


def _change(side: dict[Decimal, Decimal], levels: BookLevels) -> None:
    for price, quantity in levels:
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)


def _plain(levels: tuple[tuple[Decimal, Decimal], ...]) -> list[list[str]]:
    return [[canonical(price), canonical(quantity)] for price, quantity in levels]
