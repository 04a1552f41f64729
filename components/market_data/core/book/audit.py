"""Holds a live book against an image that was fetched beside it, where both stand at the same id."""

from bisect import bisect_left, bisect_right
from enum import StrEnum
from typing import Final

from msgspec import Struct

from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.events import NO_ID, DepthSnapshot
from components.market_data.core.numerics import InvalidNumber, Level, Levels, canonical_levels

LEVELS_COMPARED: Final = 20


STATES_MAX: Final = 256
"""So many states are kept while the answer is on its way; a book that moved further is not judged."""


class Verdict(StrEnum):
    """What an audit found."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


class _Top(Struct, frozen=True, gc=False):
    """The best levels of one side as far as they are known, canonical."""

    levels: list[list[str]]
    known: int

    def matches(self, theirs: Levels, depth_max: int) -> bool:
        """Compare as far as both know; where an image was cut, it does not say what lies beyond."""
        count = min(self.known, len(theirs) if 0 < depth_max <= len(theirs) else LEVELS_COMPARED)
        return self.levels[:count] == canonical_levels(theirs[:count])


class Audit:
    """One comparison: states are kept from the asking on, until one of them has the image's id."""

    def __init__(self, book_id: int, book: OrderBook) -> None:
        self._states: dict[int, tuple[_Top, _Top]] = {}
        self._snapshot: DepthSnapshot | None = None
        self.add_state(book_id, book)

    def add_state(self, book_id: int, book: OrderBook) -> Verdict | None:
        """Keep the book's state; give the verdict if the image waited for this id."""
        if len(self._states) >= STATES_MAX:
            return Verdict.UNDECIDED
        try:
            self._states[book_id] = _tops(book)
        except InvalidNumber:
            # A level below what is published may be spelled so that no comparison is fair.
            return Verdict.UNDECIDED
        return None if self._snapshot is None else self._compare(self._snapshot, book_id)

    def apply_snapshot(self, snapshot: DepthSnapshot, book_id: int) -> Verdict | None:
        """Take the image; None where the book has not come so far yet."""
        self._snapshot = snapshot
        return self._compare(snapshot, book_id)

    def _compare(self, snapshot: DepthSnapshot, book_id: int) -> Verdict | None:
        # Without ids nothing says of which state the image is.
        kept = self._states.get(snapshot.last_id) if snapshot.last_id != NO_ID else None
        if kept is None:
            return None if snapshot.last_id > book_id else Verdict.UNDECIDED
        bids, asks = kept
        try:
            same = bids.matches(snapshot.bids, snapshot.depth_max) and asks.matches(snapshot.asks, snapshot.depth_max)
        except InvalidNumber:
            return Verdict.UNDECIDED
        return Verdict.AGREES if same else Verdict.DIFFERS


def _tops(book: OrderBook) -> tuple[_Top, _Top]:
    bids, asks = book.top(LEVELS_COMPARED)
    bid_keys, ask_keys, bid, ask = book.bids.price_keys, book.asks.price_keys, book.known_bid, book.known_ask
    known_bids = LEVELS_COMPARED if bid is None else len(bid_keys) - bisect_left(bid_keys, bid)
    known_asks = LEVELS_COMPARED if ask is None else bisect_right(ask_keys, ask)
    return _top(bids, known_bids), _top(asks, known_asks)


def _top(best: list[Level], known: int) -> _Top:
    return _Top(canonical_levels(best), min(known, LEVELS_COMPARED))
