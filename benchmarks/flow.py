"""A seeded order flow around one deep book: ids that chain, prices that wander, nothing crossed."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

TOUCHED: Final = 8
NEAR: Final = 0.7
"""So many of the touches fall within the best levels; the rest anywhere in the book."""
NEAR_LEVELS: Final = 25
GONE: Final = 0.3
MOVES: Final = 0.2
BEGIN_TICKS: Final = 500_000
NOTHING: Final = "0"

Sizes = dict[int, str]
"""Sizes by price in ticks."""


class Change(NamedTuple):
    """The levels touched between two ids."""

    previous: int
    final: int
    bids: Sizes
    asks: Sizes


class Flow:
    """Bids stand below the middle, asks at it and above; it moves a tick at a time, and both ends follow."""

    def __init__(self, levels: int, seed: int) -> None:
        self._levels, self._dice = levels, Random(seed)
        self._middle, self.final = BEGIN_TICKS, 1_000
        self.bids = {self._middle - 1 - place: "1.500" for place in range(levels)}
        self.asks = {self._middle + place: "1.500" for place in range(levels)}

    def changes(self) -> Iterator[Change]:
        """Go on for ever; the book is as of the change that was given last."""
        dice, half = self._dice.random, 0.5
        while True:
            bids, asks = Sizes(), Sizes()
            if dice() < MOVES:
                self._move(bids, asks)
            for _ in range(TOUCHED):
                size = NOTHING if dice() < GONE else f"{1 + int(dice() * 99_998) / 1_000:.3f}"
                if dice() < half:
                    bids[self._middle - 1 - self._place()] = size
                else:
                    asks[self._middle + self._place()] = size
            previous, self.final = self.final, self.final + 1 + int(dice() * 900)
            _apply(self.bids, bids)
            _apply(self.asks, asks)
            yield Change(previous, self.final, bids, asks)

    def _place(self) -> int:
        within = min(NEAR_LEVELS, self._levels) if self._dice.random() < NEAR else self._levels
        return int(self._dice.random() * within)

    def _move(self, bids: Sizes, asks: Sizes) -> None:
        low, high = self._middle - self._levels, self._middle + self._levels - 1
        if self._dice.random() < 0.5:
            asks.update({self._middle: NOTHING, high + 1: "2.000"})
            bids.update({self._middle: "1.000", low: NOTHING})
            self._middle += 1
        else:
            bids.update({self._middle - 1: NOTHING, low - 1: "2.000"})
            asks.update({self._middle - 1: "1.000", high: NOTHING})
            self._middle -= 1


def _apply(book: Sizes, touched: Sizes) -> None:
    for ticks, size in touched.items():
        if size == NOTHING:
            book.pop(ticks, None)
        else:
            book[ticks] = size
