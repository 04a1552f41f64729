"""Audits: compares a live book with a snapshot that was fetched separately, at a state where both have the same id."""

from bisect import bisect_left, bisect_right
from enum import StrEnum
from typing import Final

from msgspec import Struct

from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.events import NO_ID, DepthSnapshot
from components.market_data.core.numerics import InvalidNumber, Level, Levels, canonical_levels

LEVELS_COMPARED: Final = 20
"""Best levels compared per side."""
STATES_MAX: Final = 256
"""States kept while the reply is pending; if the book changes more often, the audit is undecided."""


class Verdict(StrEnum):
    """The result of an audit."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


class _Top(Struct, frozen=True, gc=False):
    """The best levels of one side in canonical form; `known` counts those that the book's own snapshot covers."""

    levels: list[list[str]]
    known: int

    def matches(self, theirs: Levels, depth_max: int) -> bool:
        """Return whether the levels known to both sides are equal; nothing is known below a snapshot's truncation."""
        count = min(self.known, len(theirs) if 0 < depth_max <= len(theirs) else LEVELS_COMPARED)
        return self.levels[:count] == canonical_levels(theirs[:count])


class Audit:
    """One comparison. States are kept from the request on, until one of them has the snapshot's id."""

    def __init__(self, book_id: int, book: OrderBook) -> None:
        self._states: dict[int, tuple[_Top, _Top]] = {}
        self._snapshot: DepthSnapshot | None = None
        self.add_state(book_id, book)

    def add_state(self, book_id: int, book: OrderBook) -> Verdict | None:
        """Record the book's state; return the verdict if the snapshot waited for this id."""
        if len(self._states) >= STATES_MAX:
            return Verdict.UNDECIDED
        try:
            self._states[book_id] = _tops(book)
        except InvalidNumber:
            # A level below the published ones may hold a text that is not a valid number; then nothing can be compared.
            return Verdict.UNDECIDED
        return None if self._snapshot is None else self._compare(self._snapshot, book_id)

    def apply_snapshot(self, snapshot: DepthSnapshot, book_id: int) -> Verdict | None:
        """Compare the snapshot with the recorded states; return None while the book has not reached its id."""
        self._snapshot = snapshot
        return self._compare(snapshot, book_id)

    def _compare(self, snapshot: DepthSnapshot, book_id: int) -> Verdict | None:
        # Without ids it is unknown which state the snapshot shows.
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
