"""A venue's order flow: seeded, so that the same seed gives the same books, with every recent state kept."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from components.sandbox.core.chance import draws
from components.sandbox.flow.book import Change, FlowBook, Levels
from components.sandbox.flow.history import History
from components.sandbox.flow.listings import Listing, by_symbol
from components.sandbox.flow.moves import Move, first_book, next_move

PRINTS_MAX = 2_000
FIRST_ID = 1_000_000
HOLE_MAX = 4  # ids that belong to symbols nobody lists here


class IdSpace(StrEnum):
    """Whose ids follow on each other."""

    PER_SYMBOL = "per_symbol"  # each symbol counts for itself, without holes
    VENUE_WIDE = "venue_wide"  # one counter for all, so that each symbol sees holes


class Print(NamedTuple):
    """One trade; its ids count the trades of its symbol."""

    id: int
    at_ns: int
    price: Decimal
    quantity: Decimal
    is_buy: bool  # what the taker did


class _Lane:
    """One symbol: its book with its history, its trades, and how often it moved."""

    def __init__(self, listing: Listing, seed: int, first_id: int) -> None:
        self.listing = listing
        self.history = History(first_book(listing, first_id, draws(seed, listing.symbol, 0)))
        self.prints: deque[Print] = deque(maxlen=PRINTS_MAX)
        self.prints_count = 0
        self.moves_count = 0
        self.last_move: Move | None = None


class OrderFlow:
    """The books of one venue and all that happens to them."""

    def __init__(self, listings: Iterable[Listing], seed: int, ids: IdSpace) -> None:
        self.listings = by_symbol(listings)
        self.ids = ids
        self._seed = seed
        self._last_id = FIRST_ID
        self._lanes = {name: _Lane(one, seed, self._take_id(0)) for name, one in self.listings.items()}

    def step(self, symbol: str, at_ns: int) -> Change:
        """Let one thing happen to one symbol."""
        lane = self._lanes[symbol]
        lane.moves_count += 1
        dice = draws(self._seed, symbol, lane.moves_count)
        move = lane.last_move = next_move(lane.history.book, lane.listing, dice, lane.last_move)
        change = Change(self._next_id(symbol, dice[7]), at_ns, move.is_bid, move.price, move.quantity)
        lane.history.add(change)
        if move.traded:
            lane.prints_count += 1
            lane.prints.append(Print(lane.prints_count, at_ns, move.price, move.traded, not move.is_bid))
        return change

    def last_id(self, symbol: str) -> int:
        """Give the id of the symbol's latest change."""
        return self._lanes[symbol].history.book.id

    def book(self, symbol: str) -> FlowBook:
        """Give the book as it is now; to be read, never to be changed."""
        return self._lanes[symbol].history.book

    def book_at(self, symbol: str, at_id: int) -> FlowBook:
        """Show the book as of the last change with an id up to this; LookupError beyond what is remembered."""
        return self._lanes[symbol].history.at(at_id)

    def changes_after(self, symbol: str, after_id: int, to_id: int | None = None) -> list[Change]:
        """Give the symbol's changes above an id, oldest first, up to another id or to the latest."""
        history = self._lanes[symbol].history
        return list(history.after(after_id, history.book.id if to_id is None else to_id))

    def touched(self, symbol: str, after_id: int, to_id: int) -> tuple[Levels, Levels]:
        """Give each level touched between two ids once, with its quantity as of the second: bids, then asks."""
        found: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        for change in self._lanes[symbol].history.after(after_id, to_id):
            found[not change.is_bid][change.price] = change.quantity
        return sorted(found[0].items(), reverse=True), sorted(found[1].items())

    def id_before(self, symbol: str, changes: int) -> int:
        """Give the id the symbol had so many changes ago."""
        return self._lanes[symbol].history.before(changes)

    def previous_id(self, symbol: str, change_id: int) -> int:
        """Give the id of the symbol's change before this one."""
        return self._lanes[symbol].history.previous(change_id)

    def prints_after(self, symbol: str, after_id: int) -> list[Print]:
        """Give the symbol's trades above an id of trades, oldest first."""
        lane = self._lanes[symbol]
        newer = min(lane.prints_count - after_id, len(lane.prints))
        return [lane.prints[place] for place in range(-newer, 0)]

    def prints_count(self, symbol: str) -> int:
        """Give the id of the symbol's latest trade; 0 before the first."""
        return self._lanes[symbol].prints_count

    def _next_id(self, symbol: str, draw: int) -> int:
        if self.ids is IdSpace.PER_SYMBOL:
            return self.last_id(symbol) + 1
        return self._take_id(draw)

    def _take_id(self, draw: int) -> int:
        self._last_id += 1 + draw % HOLE_MAX
        return self._last_id
