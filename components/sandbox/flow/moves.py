"""What happens next to a seeded book: one level added, changed, restated, moved or taken away, or a trade."""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from components.sandbox.flow.book import BookSide, SimulatedBook
from components.sandbox.flow.listings import Instrument

LEVELS_MIN, LEVELS_MAX = 30, 400  # of a side
LEVELS_INITIAL = 60
LEVELS_TARGET = 600  # in so many as many go as come, or rather in a fraction of it, for what is traded goes too
SPAN_TICKS_MIN = 60
ZERO = Decimal(0)
PRICE_RATIO_MAX, PRICE_RATIO_MIN = Decimal("1.1"), Decimal("0.9")
Draws = tuple[int, ...]


class BookEvent(NamedTuple):
    """One level's new quantity, and how much of it was traded away if that was the reason."""

    is_bid: bool
    price: Decimal
    quantity: Decimal
    traded: Decimal = ZERO


def initial_book(instrument: Instrument, first_id: int, drawn: Draws) -> SimulatedBook:
    """Make the book that a symbol opens with."""
    sides = {True: BookSide(), False: BookSide()}
    for is_bid, side in sides.items():
        price = instrument.price
        for place in range(LEVELS_INITIAL):  # a cheap thing's bids end at nothing
            price += _ticks_away(instrument, 1 + (drawn[place % 8] >> place) % 3, is_bid=is_bid)
            if price > 0:
                side.set_level(price, _random_quantity(instrument, drawn[(place + 3) % 8] >> (place % 40)))
    return SimulatedBook(first_id, sides[True], sides[False])


def next_event(book: SimulatedBook, instrument: Instrument, drawn: Draws, last: BookEvent | None) -> BookEvent:
    """Say what happens next; it never crosses the book and keeps its depth within bounds."""
    is_bid = drawn[0] % 2 == 0
    count = len(book.side(is_bid=is_bid).prices)
    if count >= LEVELS_MAX:
        return BookEvent(is_bid, book.price(-1, is_bid=is_bid), instrument.lot * 0)
    if count < LEVELS_MIN:
        return _add(book, instrument, drawn, is_bid=is_bid)
    if last is not None and last.is_bid == is_bid and last.quantity and drawn[6] % 2 == 0:
        # Pulled as soon as it was shown: within one batch, a level that nobody ever saw.
        return last._replace(quantity=instrument.lot * 0, traded=ZERO)
    roll = drawn[1] % 100
    choice = next(choice for below, choice in EVENT_CHOICES if roll < below)
    return choice(book, instrument, drawn, is_bid=is_bid)


def _resize(book: SimulatedBook, listing: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    return BookEvent(is_bid, _random_price(book, drawn, is_bid=is_bid), _random_quantity(listing, drawn[2]))


def _restate(book: SimulatedBook, _: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    price = _random_price(book, drawn, is_bid=is_bid)
    return BookEvent(is_bid, price, book.side(is_bid=is_bid).quantities[price])


def _add_or_remove(book: SimulatedBook, listing: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    # The fuller a side, the likelier something goes.
    if drawn[5] % LEVELS_TARGET >= len(book.side(is_bid=is_bid).prices):
        return _add(book, listing, drawn, is_bid=is_bid)
    return BookEvent(is_bid, _random_price(book, drawn, is_bid=is_bid), listing.lot * 0)


def _add(book: SimulatedBook, listing: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    best, deepest = book.price(0, is_bid=is_bid), book.price(-1, is_bid=is_bid)
    span = max(int(abs(best - deepest) / listing.tick) + 8, SPAN_TICKS_MIN)
    price = best + _ticks_away(listing, 1 + drawn[3] % span, is_bid=is_bid)
    return BookEvent(is_bid, price if price > 0 else best, _random_quantity(listing, drawn[2]))


def _improve(book: SimulatedBook, listing: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    is_bid = _mean_reverting_side(book, listing, is_bid=is_bid)
    room = int((book.price(0, is_bid=False) - book.price(0, is_bid=True)) / listing.tick) - 1
    if room < 1:
        return _resize(book, listing, drawn, is_bid=is_bid)
    # Most of the way, so that spreads are narrow more often than not.
    ticks = room - drawn[3] % (room // 4 + 1)
    price = book.price(0, is_bid=is_bid) - _ticks_away(listing, ticks, is_bid=is_bid)
    return BookEvent(is_bid, price, _random_quantity(listing, drawn[2]))


def _trade(book: SimulatedBook, listing: Instrument, drawn: Draws, *, is_bid: bool) -> BookEvent:
    is_bid = not _mean_reverting_side(book, listing, is_bid=is_bid)
    price = book.price(0, is_bid=is_bid)
    resting = book.side(is_bid=is_bid).quantities[price]
    taken = min(resting, _random_quantity(listing, drawn[2]))
    return BookEvent(is_bid, price, resting - taken, taken)


def _mean_reverting_side(book: SimulatedBook, listing: Instrument, *, is_bid: bool) -> bool:
    # A price far from where it began is pulled back: buyers come when it is low, sellers when it is high.
    best = book.price(0, is_bid=True)
    if best > listing.price * PRICE_RATIO_MAX:
        return False
    return True if best < listing.price * PRICE_RATIO_MIN else is_bid


EVENT_CHOICES: tuple[tuple[int, Callable[..., BookEvent]], ...] = (
    (32, _resize),
    (42, _restate),
    (76, _add_or_remove),
    (91, _improve),
    (100, _trade),
)


def _random_price(book: SimulatedBook, drawn: Draws, *, is_bid: bool) -> Decimal:
    # Near the top more often than deep: a uniform place, shortened by a second uniform draw.
    count = len(book.side(is_bid=is_bid).prices)
    return book.price((drawn[3] % count) * (drawn[4] % 64) // 64, is_bid=is_bid)


def _random_quantity(listing: Instrument, draw: int) -> Decimal:
    size = 1 + draw % 900
    return listing.lot * (size * 37 if draw >> 20 & 7 == 0 else size)


def _ticks_away(listing: Instrument, ticks: int, *, is_bid: bool) -> Decimal:
    return listing.tick * (-ticks if is_bid else ticks)
