"""Holds a live book against an image that was fetched beside it, where both stand at the same id."""

from bisect import bisect_left, bisect_right
from enum import StrEnum
from typing import Final

from msgspec import Struct

from components.market_data.core.changes import NO_ID, DepthImage
from components.market_data.core.depth import Depth
from components.market_data.core.levels import BadNumber, Level, Levels, pairs

COMPARED: Final = 20
KEPT_MAX: Final = 256
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

    def agrees(self, theirs: Levels, depth_max: int) -> bool:
        """Compare as far as both know; where an image was cut, it does not say what lies beyond."""
        count = min(self.known, len(theirs) if 0 < depth_max <= len(theirs) else COMPARED)
        return self.levels[:count] == pairs(theirs[:count])


class Audit:
    """One comparison: states are kept from the asking on, until one of them has the image's id."""

    def __init__(self, book_id: int, depth: Depth) -> None:
        self._kept: dict[int, tuple[_Top, _Top]] = {}
        self._image: DepthImage | None = None
        self.see(book_id, depth)

    def see(self, book_id: int, depth: Depth) -> Verdict | None:
        """Keep the book's state; give the verdict if the image waited for this id."""
        if len(self._kept) >= KEPT_MAX:
            return Verdict.UNDECIDED
        try:
            self._kept[book_id] = _tops(depth)
        except BadNumber:
            # A level below what is published may be spelled so that no comparison is fair.
            return Verdict.UNDECIDED
        return None if self._image is None else self._judge(self._image, book_id)

    def answered(self, image: DepthImage, book_id: int) -> Verdict | None:
        """Take the image; None where the book has not come so far yet."""
        self._image = image
        return self._judge(image, book_id)

    def _judge(self, image: DepthImage, book_id: int) -> Verdict | None:
        # Without ids nothing says of which state the image is.
        kept = self._kept.get(image.final) if image.final != NO_ID else None
        if kept is None:
            return None if image.final > book_id else Verdict.UNDECIDED
        bids, asks = kept
        try:
            same = bids.agrees(image.bids, image.depth_max) and asks.agrees(image.asks, image.depth_max)
        except BadNumber:
            return Verdict.UNDECIDED
        return Verdict.AGREES if same else Verdict.DIFFERS


def _tops(depth: Depth) -> tuple[_Top, _Top]:
    bids, asks = depth.top(COMPARED)
    bid_keys, ask_keys, bid, ask = depth.bids.prices, depth.asks.prices, depth.known_bid, depth.known_ask
    known_bids = COMPARED if bid is None else len(bid_keys) - bisect_left(bid_keys, bid)
    known_asks = COMPARED if ask is None else bisect_right(ask_keys, ask)
    return _top(bids, known_bids), _top(asks, known_asks)


def _top(best: list[Level], known: int) -> _Top:
    return _Top(pairs(best), min(known, COMPARED))
