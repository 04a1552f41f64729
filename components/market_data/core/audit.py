"""Holds a live book against an image that was fetched beside it, where both stand at the same id."""

from enum import StrEnum
from typing import Final

from components.market_data.core.changes import DepthImage
from components.market_data.core.depth import Depth
from components.market_data.core.levels import Levels, pairs

COMPARED: Final = 20
KEPT_MAX: Final = 256
"""So many states are kept while the answer is on its way; a book that moved further is not judged."""


class Verdict(StrEnum):
    """What an audit found."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


class Audit:
    """One comparison: states are kept from the asking on, until one of them has the image's id."""

    def __init__(self, book_id: int, depth: Depth) -> None:
        self._kept: dict[int, list[list[list[str]]]] = {}
        self._image: DepthImage | None = None
        self.see(book_id, depth)

    def see(self, book_id: int, depth: Depth) -> Verdict | None:
        """Keep the book's state; give the verdict if the image waited for this id."""
        if len(self._kept) >= KEPT_MAX:
            return Verdict.UNDECIDED
        self._kept[book_id] = [pairs(side) for side in depth.top(COMPARED)]
        return None if self._image is None else self._judge(self._image, book_id)

    def answered(self, image: DepthImage, book_id: int) -> Verdict | None:
        """Take the image; None where the book has not come so far yet."""
        self._image = image
        return self._judge(image, book_id)

    def _judge(self, image: DepthImage, book_id: int) -> Verdict | None:
        ours = self._kept.get(image.final)
        if ours is None:
            return None if image.final > book_id else Verdict.UNDECIDED
        same = ours[0] == _first(image.bids) and ours[1] == _first(image.asks)
        return Verdict.AGREES if same else Verdict.DIFFERS


def _first(levels: Levels) -> list[list[str]]:
    return pairs(levels[:COMPARED])
