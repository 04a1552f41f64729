"""What happens next to a seeded book: one level added, changed, restated, moved or taken away, or a trade."""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from components.sandbox.flow.book import FlowBook, Side
from components.sandbox.flow.listings import Listing

LEVELS_MIN, LEVELS_MAX = 30, 400  # of a side
LEVELS_FIRST = 60
LEVELS_USUAL = 600  # in so many as many go as come, or rather in a fraction of it, for what is traded goes too
SPAN_TICKS_MIN = 60
ZERO = Decimal(0)
HIGH, LOW = Decimal("1.1"), Decimal("0.9")
Dice = tuple[int, ...]


class Move(NamedTuple):
    """One level's new quantity, and how much of it was traded away if that was the reason."""

    is_bid: bool
    price: Decimal
    quantity: Decimal
    traded: Decimal = ZERO


def first_book(listing: Listing, first_id: int, dice: Dice) -> FlowBook:
    """Make the book that a symbol opens with."""
    sides = {True: Side(), False: Side()}
    for is_bid, side in sides.items():
        price = listing.price
        for place in range(LEVELS_FIRST):  # a cheap thing's bids end at nothing
            price += _away(listing, 1 + (dice[place % 8] >> place) % 3, is_bid=is_bid)
            if price > 0:
                side.put(price, _quantity(listing, dice[(place + 3) % 8] >> (place % 40)))
    return FlowBook(first_id, sides[True], sides[False])


def next_move(book: FlowBook, listing: Listing, dice: Dice, last: Move | None) -> Move:
    """Say what happens next; it never crosses the book and keeps its depth within bounds."""
    is_bid = dice[0] % 2 == 0
    count = len(book.side(is_bid=is_bid).prices)
    if count >= LEVELS_MAX:
        return Move(is_bid, book.price(-1, is_bid=is_bid), listing.lot * 0)
    if count < LEVELS_MIN:
        return _add(book, listing, dice, is_bid=is_bid)
    if last is not None and last.is_bid == is_bid and last.quantity and dice[6] % 2 == 0:
        # Pulled as soon as it was shown: within one batch, a level that nobody ever saw.
        return last._replace(quantity=listing.lot * 0, traded=ZERO)
    roll = dice[1] % 100
    choice = next(choice for below, choice in CHOICES if roll < below)
    return choice(book, listing, dice, is_bid=is_bid)


def _resize(book: FlowBook, listing: Listing, dice: Dice, *, is_bid: bool) -> Move:
    return Move(is_bid, _some_price(book, dice, is_bid=is_bid), _quantity(listing, dice[2]))


def _restate(book: FlowBook, _: Listing, dice: Dice, *, is_bid: bool) -> Move:
    price = _some_price(book, dice, is_bid=is_bid)
    return Move(is_bid, price, book.side(is_bid=is_bid).quantities[price])


def _add_or_remove(book: FlowBook, listing: Listing, dice: Dice, *, is_bid: bool) -> Move:
    # The fuller a side, the likelier something goes.
    if dice[5] % LEVELS_USUAL >= len(book.side(is_bid=is_bid).prices):
        return _add(book, listing, dice, is_bid=is_bid)
    return Move(is_bid, _some_price(book, dice, is_bid=is_bid), listing.lot * 0)


def _add(book: FlowBook, listing: Listing, dice: Dice, *, is_bid: bool) -> Move:
    best, deepest = book.price(0, is_bid=is_bid), book.price(-1, is_bid=is_bid)
    span = max(int(abs(best - deepest) / listing.tick) + 8, SPAN_TICKS_MIN)
    price = best + _away(listing, 1 + dice[3] % span, is_bid=is_bid)
    return Move(is_bid, price if price > 0 else best, _quantity(listing, dice[2]))


def _improve(book: FlowBook, listing: Listing, dice: Dice, *, is_bid: bool) -> Move:
    is_bid = _leans(book, listing, is_bid=is_bid)
    room = int((book.price(0, is_bid=False) - book.price(0, is_bid=True)) / listing.tick) - 1
    if room < 1:
        return _resize(book, listing, dice, is_bid=is_bid)
    # Most of the way, so that spreads are narrow more often than not.
    ticks = room - dice[3] % (room // 4 + 1)
    price = book.price(0, is_bid=is_bid) - _away(listing, ticks, is_bid=is_bid)
    return Move(is_bid, price, _quantity(listing, dice[2]))


def _trade(book: FlowBook, listing: Listing, dice: Dice, *, is_bid: bool) -> Move:
    is_bid = not _leans(book, listing, is_bid=is_bid)
    price = book.price(0, is_bid=is_bid)
    resting = book.side(is_bid=is_bid).quantities[price]
    taken = min(resting, _quantity(listing, dice[2]))
    return Move(is_bid, price, resting - taken, taken)


def _leans(book: FlowBook, listing: Listing, *, is_bid: bool) -> bool:
    # A price far from where it began is pulled back: buyers come when it is low, sellers when it is high.
    best = book.price(0, is_bid=True)
    if best > listing.price * HIGH:
        return False
    return True if best < listing.price * LOW else is_bid


CHOICES: tuple[tuple[int, Callable[..., Move]], ...] = (
    (32, _resize),
    (42, _restate),
    (76, _add_or_remove),
    (91, _improve),
    (100, _trade),
)


def _some_price(book: FlowBook, dice: Dice, *, is_bid: bool) -> Decimal:
    # Near the top more often than deep: a uniform place, shortened by a second uniform draw.
    count = len(book.side(is_bid=is_bid).prices)
    return book.price((dice[3] % count) * (dice[4] % 64) // 64, is_bid=is_bid)


def _quantity(listing: Listing, draw: int) -> Decimal:
    size = 1 + draw % 900
    return listing.lot * (size * 37 if draw >> 20 & 7 == 0 else size)


def _away(listing: Listing, ticks: int, *, is_bid: bool) -> Decimal:
    return listing.tick * (-ticks if is_bid else ticks)
