"""Seeded order flow of a simulated venue: book events, trades, ids, and the batches that streams publish.

The same seed gives the same books and trades. Each event adds, resizes, restates or removes one level, improves the
best price, or trades. Books never cross, and their depth stays within `LEVELS_MIN` and `LEVELS_MAX`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from components.sandbox.numerics import ZERO, draws
from components.sandbox.simulation.instruments import Instrument, by_symbol
from components.sandbox.simulation.order_book import BookHistory, BookSide, Levels, LevelUpdate, SimulatedBook

LEVELS_MIN, LEVELS_MAX = 30, 400  # per side
LEVELS_INITIAL = 60
LEVELS_TARGET = 600  # additions and removals balance at this depth; trades lower it
SPAN_TICKS_MIN = 60
PRICE_RATIO_MAX, PRICE_RATIO_MIN = Decimal("1.1"), Decimal("0.9")  # best bid to initial price
TRADES_MAX = 2_000  # per symbol
FIRST_ID = 1_000_000
ID_GAP_MAX = 4  # skipped ids stand for symbols that are not listed here
Draws = tuple[int, ...]


class BookEvent(NamedTuple):
    """The new quantity of one level, and the traded quantity if a trade caused it."""

    is_bid: bool
    price: Decimal
    quantity: Decimal
    traded: Decimal = ZERO


def initial_book(instrument: Instrument, first_id: int, drawn: Draws) -> SimulatedBook:
    """Return the book that a symbol starts with."""
    sides = {True: BookSide(), False: BookSide()}
    for is_bid, side in sides.items():
        price = instrument.price
        for depth in range(LEVELS_INITIAL):
            price += _ticks_away(instrument, 1 + (drawn[depth % 8] >> depth) % 3, is_bid=is_bid)
            if price > 0:  # the bid prices of a cheap instrument would reach zero
                side.set_level(price, _random_quantity(instrument, drawn[(depth + 3) % 8] >> (depth % 40)))
    return SimulatedBook(first_id, sides[True], sides[False])


def next_event(book: SimulatedBook, instrument: Instrument, drawn: Draws, last: BookEvent | None) -> BookEvent:
    """Return the next event; it never crosses the book and keeps its depth within bounds."""
    is_bid = drawn[0] % 2 == 0
    count = len(book.side(is_bid=is_bid).prices)
    if count >= LEVELS_MAX:
        return BookEvent(is_bid, book.price(-1, is_bid=is_bid), instrument.lot * 0)
    if count < LEVELS_MIN:
        return _add(book, instrument, drawn, is_bid=is_bid)
    if last is not None and last.is_bid == is_bid and last.quantity and drawn[6] % 2 == 0:
        # Remove the level that was just shown: within one batch, clients never see it.
        return last._replace(quantity=instrument.lot * 0, traded=ZERO)
    roll = drawn[1] % 100
    choice = next(choice for below, choice in EVENT_CHOICES if roll < below)
    return choice(book, instrument, drawn, is_bid=is_bid)


def _resize(book: SimulatedBook, instrument: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    return BookEvent(is_bid, _random_price(book, drawn, is_bid=is_bid), _random_quantity(instrument, drawn[2]))


def _restate(book: SimulatedBook, _: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    price = _random_price(book, drawn, is_bid=is_bid)
    return BookEvent(is_bid, price, book.side(is_bid=is_bid).quantities[price])


def _add_or_remove(book: SimulatedBook, instrument: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    # The more levels a side has, the likelier one is removed.
    if drawn[5] % LEVELS_TARGET >= len(book.side(is_bid=is_bid).prices):
        return _add(book, instrument, drawn, is_bid=is_bid)
    return BookEvent(is_bid, _random_price(book, drawn, is_bid=is_bid), instrument.lot * 0)


def _add(book: SimulatedBook, instrument: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    best, deepest = book.price(0, is_bid=is_bid), book.price(-1, is_bid=is_bid)
    span = max(int(abs(best - deepest) / instrument.tick) + 8, SPAN_TICKS_MIN)
    price = best + _ticks_away(instrument, 1 + drawn[3] % span, is_bid=is_bid)
    return BookEvent(is_bid, price if price > 0 else best, _random_quantity(instrument, drawn[2]))


def _improve(book: SimulatedBook, instrument: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    is_bid = _mean_reverting_side(book, instrument, is_bid=is_bid)
    free_ticks = int((book.price(0, is_bid=False) - book.price(0, is_bid=True)) / instrument.tick) - 1
    if free_ticks < 1:
        return _resize(book, instrument, drawn, is_bid=is_bid)
    # Use most of the spread, so that spreads are narrow more often than not.
    ticks = free_ticks - drawn[3] % (free_ticks // 4 + 1)
    price = book.price(0, is_bid=is_bid) - _ticks_away(instrument, ticks, is_bid=is_bid)
    return BookEvent(is_bid, price, _random_quantity(instrument, drawn[2]))


def _trade(book: SimulatedBook, instrument: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    is_bid = not _mean_reverting_side(book, instrument, is_bid=is_bid)
    price = book.price(0, is_bid=is_bid)
    resting = book.side(is_bid=is_bid).quantities[price]
    traded = min(resting, _random_quantity(instrument, drawn[2]))
    return BookEvent(is_bid, price, resting - traded, traded)


def _mean_reverting_side(book: SimulatedBook, instrument: Instrument, *, is_bid: bool) -> bool:
    # Prices revert to the initial price: buyers appear when it is low, sellers when it is high.
    best = book.price(0, is_bid=True)
    if best > instrument.price * PRICE_RATIO_MAX:
        return False
    return True if best < instrument.price * PRICE_RATIO_MIN else is_bid


def _random_price(book: SimulatedBook, drawn: Draws, *, is_bid: bool) -> Decimal:
    # Prefers levels near the top: a uniform index, scaled down by a second uniform draw.
    count = len(book.side(is_bid=is_bid).prices)
    return book.price((drawn[3] % count) * (drawn[4] % 64) // 64, is_bid=is_bid)


def _random_quantity(instrument: Instrument, draw: int) -> Decimal:
    size = 1 + draw % 900
    return instrument.lot * (size * 37 if draw >> 20 & 7 == 0 else size)


def _ticks_away(instrument: Instrument, ticks: int, *, is_bid: bool) -> Decimal:
    return instrument.tick * (-ticks if is_bid else ticks)


# The events with their cumulative probabilities in percent.
EVENT_CHOICES: tuple[tuple[int, Callable[..., BookEvent]], ...] = (
    (32, _resize),
    (42, _restate),
    (76, _add_or_remove),
    (91, _improve),
    (100, _trade),
)


class IdSpace(StrEnum):
    """Scope in which update ids are consecutive."""

    PER_SYMBOL = "per_symbol"  # one counter per symbol, without gaps
    VENUE_WIDE = "venue_wide"  # one counter for the venue, so each symbol has gaps


class SimTrade(NamedTuple):
    """One trade; ids count the trades of its symbol."""

    id: int
    at_ns: int
    price: Decimal
    quantity: Decimal
    is_buy: bool  # side of the taker


class _SymbolState:
    """The state of one symbol: its book history, its latest trades, and the number of its events."""

    def __init__(self, instrument: Instrument, seed: int, first_id: int) -> None:
        self.instrument = instrument
        self.history = BookHistory(initial_book(instrument, first_id, draws(seed, instrument.symbol, 0)))
        self.trades: deque[SimTrade] = deque(maxlen=TRADES_MAX)
        self.last_trade_id = 0
        self.events_count = 0
        self.last_event: BookEvent | None = None


class OrderFlow:
    """The books and trades of one venue."""

    def __init__(self, instruments: Iterable[Instrument], seed: int, ids: IdSpace) -> None:
        self.instruments = by_symbol(instruments)
        self.ids = ids
        self._seed = seed
        self._last_id = FIRST_ID
        self._symbols = {name: _SymbolState(one, seed, self._allocate_id(0)) for name, one in self.instruments.items()}

    def step(self, symbol: str, at_ns: int) -> LevelUpdate:
        """Apply the next event of one symbol and return the update of its book."""
        state = self._symbols[symbol]
        state.events_count += 1
        drawn = draws(self._seed, symbol, state.events_count)
        event = state.last_event = next_event(state.history.book, state.instrument, drawn, state.last_event)
        update = LevelUpdate(self._next_id(symbol, drawn[7]), at_ns, event.is_bid, event.price, event.quantity)
        state.history.apply(update)
        if event.traded:
            state.last_trade_id += 1
            state.trades.append(SimTrade(state.last_trade_id, at_ns, event.price, event.traded, not event.is_bid))
        return update

    def last_id(self, symbol: str) -> int:
        """Return the id of the symbol's latest update."""
        return self._symbols[symbol].history.book.id

    def book(self, symbol: str) -> SimulatedBook:
        """Return the current book; the caller must not update it."""
        return self._symbols[symbol].history.book

    def book_at(self, symbol: str, at_id: int) -> SimulatedBook:
        """Return the book after the last update whose id is not above `at_id`; raise LookupError if it is too old."""
        return self._symbols[symbol].history.book_at(at_id)

    def updates_after(self, symbol: str, after_id: int, to_id: int | None = None) -> list[LevelUpdate]:
        """Return the symbol's updates above an id, oldest first, up to another id or to the latest."""
        history = self._symbols[symbol].history
        return list(history.updates_after(after_id, history.book.id if to_id is None else to_id))

    def levels_updated(self, symbol: str, after_id: int, to_id: int) -> tuple[Levels, Levels]:
        """Return each level that changed between two ids once, with its quantity at the second id: bids, then asks."""
        found: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        for update in self._symbols[symbol].history.updates_after(after_id, to_id):
            found[not update.is_bid][update.price] = update.quantity
        return sorted(found[0].items(), reverse=True), sorted(found[1].items())

    def id_before(self, symbol: str, updates: int) -> int:
        """Return the id that the symbol had so many updates ago."""
        return self._symbols[symbol].history.id_before(updates)

    def previous_id(self, symbol: str, update_id: int) -> int:
        """Return the id of the symbol's update before this one."""
        return self._symbols[symbol].history.previous_id(update_id)

    def trades_after(self, symbol: str, after_id: int) -> list[SimTrade]:
        """Return the symbol's trades above a trade id, oldest first."""
        state = self._symbols[symbol]
        newer = min(state.last_trade_id - after_id, len(state.trades))
        return [state.trades[index] for index in range(-newer, 0)]

    def last_trade_id(self, symbol: str) -> int:
        """Return the id of the symbol's latest trade; 0 before the first."""
        return self._symbols[symbol].last_trade_id

    def _next_id(self, symbol: str, draw: int) -> int:
        if self.ids is IdSpace.PER_SYMBOL:
            return self.last_id(symbol) + 1
        return self._allocate_id(draw)

    def _allocate_id(self, draw: int) -> int:
        self._last_id += 1 + draw % ID_GAP_MAX
        return self._last_id


class UpdateBatch(NamedTuple):
    """All levels that changed after one id and up to another, with their quantities at the latter."""

    symbol: str
    prev_id: int  # id of the symbol's last update before this batch
    first_id: int
    last_id: int
    at_ns: int  # time of the last update
    bids: Levels
    asks: Levels


class BatchCursor:
    """Position of one client in one symbol's order flow; cuts the updates into one batch per period.

    With period 0 every call returns what has changed since the call before.
    """

    __slots__ = ("_due_ns", "_last", "_period_ns", "symbol")

    def __init__(self, symbol: str, last_id: int, period_ns: int, due_ns: int) -> None:
        self.symbol = symbol
        self._last = last_id
        self._period_ns = period_ns
        self._due_ns = due_ns

    def next_batch(self, flow: OrderFlow, now_ns: int) -> UpdateBatch | None:
        """Return the next batch if its period is over and anything changed."""
        if not self.advance_if_due(now_ns):
            return None
        updates = flow.updates_after(self.symbol, self._last)
        if not updates:
            return None
        prev_id, self._last = self._last, updates[-1].id
        bids, asks = flow.levels_updated(self.symbol, prev_id, self._last)
        return UpdateBatch(self.symbol, prev_id, updates[0].id, self._last, updates[-1].at_ns, bids, asks)

    def unconflated_batches(self, flow: OrderFlow) -> list[UpdateBatch]:
        """Return every update as its own batch, for streams that are not conflated."""
        batches = []
        for update in flow.updates_after(self.symbol, self._last):
            prev_id, self._last = self._last, update.id
            level = [(update.price, update.quantity)]
            bids, asks = (level, []) if update.is_bid else ([], level)
            batches.append(UpdateBatch(self.symbol, prev_id, update.id, update.id, update.at_ns, bids, asks))
        return batches

    def advance_if_due(self, now_ns: int) -> bool:
        """Return whether a period is over; if so, start the next."""
        if now_ns < self._due_ns:
            return False
        if self._period_ns:
            # The due time stays on the grid of periods after a stall as well: no burst of late batches.
            self._due_ns += self._period_ns * (1 + (now_ns - self._due_ns) // self._period_ns)
        return True
