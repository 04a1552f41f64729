"""A venue's order flow: seeded, so that the same seed gives the same books, with every recent state kept."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from components.sandbox.core.chance import draws
from components.sandbox.flow.book import Levels, LevelUpdate, SimulatedBook
from components.sandbox.flow.history import BookHistory
from components.sandbox.flow.listings import Instrument, by_symbol
from components.sandbox.flow.moves import BookEvent, initial_book, next_event

TRADES_MAX = 2_000
FIRST_ID = 1_000_000
ID_GAP_MAX = 4  # ids that belong to symbols nobody lists here


class IdSpace(StrEnum):
    """Whose ids follow on each other."""

    PER_SYMBOL = "per_symbol"  # each symbol counts for itself, without holes
    VENUE_WIDE = "venue_wide"  # one counter for all, so that each symbol sees holes


class SimTrade(NamedTuple):
    """One trade; its ids count the trades of its symbol."""

    id: int
    at_ns: int
    price: Decimal
    quantity: Decimal
    is_buy: bool  # what the taker did


class _SymbolState:
    """One symbol: its book with its history, its trades, and how often it moved."""

    def __init__(self, listing: Instrument, seed: int, first_id: int) -> None:
        self.instrument = listing
        self.history = BookHistory(initial_book(listing, first_id, draws(seed, listing.symbol, 0)))
        self.trades: deque[SimTrade] = deque(maxlen=TRADES_MAX)
        self.last_trade_id = 0
        self.events_count = 0
        self.last_event: BookEvent | None = None


class OrderFlow:
    """The books of one venue and all that happens to them."""

    def __init__(self, instruments: Iterable[Instrument], seed: int, ids: IdSpace) -> None:
        self.instruments = by_symbol(instruments)
        self.ids = ids
        self._seed = seed
        self._last_id = FIRST_ID
        self._symbols = {name: _SymbolState(one, seed, self._allocate_id(0)) for name, one in self.instruments.items()}

    def step(self, symbol: str, at_ns: int) -> LevelUpdate:
        """Let one thing happen to one symbol."""
        lane = self._symbols[symbol]
        lane.events_count += 1
        drawn = draws(self._seed, symbol, lane.events_count)
        move = lane.last_event = next_event(lane.history.book, lane.instrument, drawn, lane.last_event)
        change = LevelUpdate(self._next_id(symbol, drawn[7]), at_ns, move.is_bid, move.price, move.quantity)
        lane.history.apply(change)
        if move.traded:
            lane.last_trade_id += 1
            lane.trades.append(SimTrade(lane.last_trade_id, at_ns, move.price, move.traded, not move.is_bid))
        return change

    def last_id(self, symbol: str) -> int:
        """Give the id of the symbol's latest change."""
        return self._symbols[symbol].history.book.id

    def book(self, symbol: str) -> SimulatedBook:
        """Give the book as it is now; to be read, never to be changed."""
        return self._symbols[symbol].history.book

    def book_at(self, symbol: str, at_id: int) -> SimulatedBook:
        """Show the book as of the last change with an id up to this; LookupError beyond what is remembered."""
        return self._symbols[symbol].history.book_at(at_id)

    def updates_after(self, symbol: str, after_id: int, to_id: int | None = None) -> list[LevelUpdate]:
        """Give the symbol's changes above an id, oldest first, up to another id or to the latest."""
        history = self._symbols[symbol].history
        return list(history.updates_after(after_id, history.book.id if to_id is None else to_id))

    def levels_updated(self, symbol: str, after_id: int, to_id: int) -> tuple[Levels, Levels]:
        """Give each level touched between two ids once, with its quantity as of the second: bids, then asks."""
        found: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        for change in self._symbols[symbol].history.updates_after(after_id, to_id):
            found[not change.is_bid][change.price] = change.quantity
        return sorted(found[0].items(), reverse=True), sorted(found[1].items())

    def id_before(self, symbol: str, updates: int) -> int:
        """Give the id the symbol had so many changes ago."""
        return self._symbols[symbol].history.id_before(updates)

    def previous_id(self, symbol: str, update_id: int) -> int:
        """Give the id of the symbol's change before this one."""
        return self._symbols[symbol].history.previous_id(update_id)

    def trades_after(self, symbol: str, after_id: int) -> list[SimTrade]:
        """Give the symbol's trades above an id of trades, oldest first."""
        lane = self._symbols[symbol]
        newer = min(lane.last_trade_id - after_id, len(lane.trades))
        return [lane.trades[place] for place in range(-newer, 0)]

    def last_trade_id(self, symbol: str) -> int:
        """Give the id of the symbol's latest trade; 0 before the first."""
        return self._symbols[symbol].last_trade_id

    def _next_id(self, symbol: str, draw: int) -> int:
        if self.ids is IdSpace.PER_SYMBOL:
            return self.last_id(symbol) + 1
        return self._allocate_id(draw)

    def _allocate_id(self, draw: int) -> int:
        self._last_id += 1 + draw % ID_GAP_MAX
        return self._last_id
