"""A seeded order flow around one deep book: ids that chain, prices that move, never crossed."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

LEVELS_PER_UPDATE: Final = 8
NEAR_SHARE: Final = 0.7
"""This share of the touched levels is within the best levels; the rest anywhere in the book."""
NEAR_LEVELS: Final = 25
REMOVED_SHARE: Final = 0.3
MID_MOVE_SHARE: Final = 0.2
FIRST_MID_TICKS: Final = 500_000
ZERO_SIZE: Final = "0"
Sizes = dict[int, str]
"""Sizes by price in ticks."""


class FlowUpdate(NamedTuple):
    """The levels touched between two ids."""

    prev_id: int
    last_id: int
    bids: Sizes
    asks: Sizes


class SimulatedFlow:
    """Bids are below the mid price, asks at it and above; it moves one tick at a time, and both ends follow."""

    def __init__(self, levels: int, seed: int) -> None:
        self._levels, self._random = levels, Random(seed)
        self._mid_ticks, self.last_id = FIRST_MID_TICKS, 1_000
        self.bids = {self._mid_ticks - 1 - place: "1.500" for place in range(levels)}
        self.asks = {self._mid_ticks + place: "1.500" for place in range(levels)}

    def updates(self) -> Iterator[FlowUpdate]:
        """Return updates without end; the book is as of the update that was returned last."""
        drawn, half = self._random.random, 0.5
        while True:
            bids, asks = Sizes(), Sizes()
            if drawn() < MID_MOVE_SHARE:
                self._move(bids, asks)
            for _ in range(LEVELS_PER_UPDATE):
                size = ZERO_SIZE if drawn() < REMOVED_SHARE else f"{1 + int(drawn() * 99_998) / 1_000:.3f}"
                if drawn() < half:
                    bids[self._mid_ticks - 1 - self._place()] = size
                else:
                    asks[self._mid_ticks + self._place()] = size
            previous, self.last_id = self.last_id, self.last_id + 1 + int(drawn() * 900)
            _apply(self.bids, bids)
            _apply(self.asks, asks)
            yield FlowUpdate(previous, self.last_id, bids, asks)

    def _place(self) -> int:
        within = min(NEAR_LEVELS, self._levels) if self._random.random() < NEAR_SHARE else self._levels
        return int(self._random.random() * within)

    def _move(self, bids: Sizes, asks: Sizes) -> None:
        low, high = self._mid_ticks - self._levels, self._mid_ticks + self._levels - 1
        if self._random.random() < 0.5:
            asks.update({self._mid_ticks: ZERO_SIZE, high + 1: "2.000"})
            bids.update({self._mid_ticks: "1.000", low: ZERO_SIZE})
            self._mid_ticks += 1
        else:
            bids.update({self._mid_ticks - 1: ZERO_SIZE, low - 1: "2.000"})
            asks.update({self._mid_ticks - 1: "1.000", high: ZERO_SIZE})
            self._mid_ticks -= 1


def _apply(book: Sizes, touched: Sizes) -> None:
    for ticks, size in touched.items():
        if size == ZERO_SIZE:
            book.pop(ticks, None)
        else:
            book[ticks] = size
