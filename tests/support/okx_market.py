"""A small OKX book that is known at every id: its updates as the venue writes them, and the book after each."""

from random import Random
from typing import Any, NamedTuple
from zlib import crc32

from tests.support.okx_frames import AT_MS, Pair, depth_row, snapshot, update

LEVELS = 40
MID = 1_000
ShownBook = dict[str, list[list[str]]]


class MarketStep(NamedTuple):
    """One update of the venue, and its book after it."""

    ids: tuple[int, int]
    bids: list[Pair]
    asks: list[Pair]
    after: ShownBook
    at_ms: int


class OkxMarket:
    """Consecutive updates, each touching a few levels; some touch levels that do not exist."""

    def __init__(self, count: int, seed: int = 7) -> None:
        self._random = Random(seed)
        self._bids = {MID - 1 - number: str(number + 1) for number in range(LEVELS)}
        self._asks = {MID + 1 + number: f"{number + 1}.50" for number in range(LEVELS)}
        self.first = MarketStep((-1, 10), [], [], self._shown(), AT_MS)
        self.steps: list[MarketStep] = []
        for number in range(count):
            self.steps.append(self._step(number))

    def states(self) -> dict[int, ShownBook]:
        """Return the book at each id."""
        return {step.ids[1]: step.after for step in (self.first, *self.steps)}

    def _step(self, number: int) -> MarketStep:
        last = self.steps[-1].ids[1] if self.steps else self.first.ids[1]
        bids, asks = self._touch(self._bids, -1), self._touch(self._asks, 1)
        ids = (last, last + self._random.randint(1, 9))
        return MarketStep(ids, bids, asks, self._shown(), AT_MS + 100 * (number + 1))

    def _touch(self, side: dict[int, str], sign: int) -> list[Pair]:
        prices = self._random.sample(range(1, 2 * LEVELS), 4)
        return [self._set(side, MID + sign * away) for away in prices]

    def _set(self, side: dict[int, str], price: int) -> Pair:
        if self._random.random() < 0.4:
            side.pop(price, None)
            return (str(price), "0")
        side[price] = f"{self._random.randint(1, 99)}.10"
        return (str(price), side[price])

    def _shown(self) -> ShownBook:
        return {
            "bids": [[str(price), self._bids[price]] for price in sorted(self._bids, reverse=True)],
            "asks": [[str(price), self._asks[price]] for price in sorted(self._asks)],
        }


def update_frame(step: MarketStep, **more: Any) -> bytes:
    """Return a step as an update frame."""
    return update(depth_row(step.ids, step.bids, step.asks, **{"ts": str(step.at_ms), **more}))


def full_row(step: MarketStep, **more: Any) -> dict[str, Any]:
    """Return the book after a step."""
    bids, asks = (list(map(tuple, step.after[side])) for side in ("bids", "asks"))
    return depth_row((-1, step.ids[1]), bids, asks, **{"ts": str(step.at_ms), **more})


def snapshot_frame(step: MarketStep, **more: Any) -> bytes:
    """Return the book after a step as a snapshot frame."""
    return snapshot(full_row(step, **more))


def book_checksum(step: MarketStep) -> int:
    """Return the checksum that the venue would send: level by level, bid before ask."""
    texts: list[str] = []
    for number in range(25):
        texts += [
            ":".join(levels[number]) for levels in (step.after["bids"], step.after["asks"]) if number < len(levels)
        ]
    return int.from_bytes(crc32(":".join(texts).encode()).to_bytes(4, "big"), "big", signed=True)
