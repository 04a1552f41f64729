"""A small seeded market: batches of updates to one book, and the book itself at each of their ids."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

MID_TICKS = 10_000
DEPTH_TICKS = 40
IDS_PER_BATCH_MAX = 6
TOP = 10
Level = tuple[int, int]
"""Price in ticks, quantity in lots; zero lots remove it."""


class BookSides(NamedTuple):
    """Both sides of a book, best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def canonical(self, tick: Decimal, lot: Decimal) -> str:
        """Return the top as every implementation must write it."""
        bids, asks = (self._pairs(side[:TOP], tick, lot) for side in self)
        return f'{{"asks":[{asks}],"bids":[{bids}]}}'

    @staticmethod
    def _pairs(side: tuple[Level, ...], tick: Decimal, lot: Decimal) -> str:
        return ",".join(f'["{plain_decimal(price * tick)}","{plain_decimal(lots * lot)}"]' for price, lots in side)


class Batch(NamedTuple):
    """The levels touched after `prev_id`, from `first_id` to `last_id`; it may remove levels that never existed."""

    prev_id: int
    first_id: int
    last_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class SyntheticMarket(NamedTuple):
    """A book's first id, every batch of updates, and the book after each."""

    start_id: int
    batches: tuple[Batch, ...]
    books: dict[int, BookSides]


def generate_market(seed: int, count: int, id_gap_max: int) -> SyntheticMarket:
    """Return a market from a seed; ids have gaps of up to `id_gap_max` (1: none)."""
    randomness = random.Random(seed)
    bids = {MID_TICKS - away: randomness.randint(1, 900) for away in range(1, DEPTH_TICKS) if randomness.random() < 0.8}
    asks = {MID_TICKS + away: randomness.randint(1, 900) for away in range(1, DEPTH_TICKS) if randomness.random() < 0.8}
    start = randomness.randint(1_000_000, 2_000_000)
    books = {start: _sides(bids, asks)}
    batches = []
    for batch in _batches(randomness, start, count, id_gap_max):
        _apply(bids, batch.bids)
        _apply(asks, batch.asks)
        books[batch.last_id] = _sides(bids, asks)
        batches.append(batch)
    return SyntheticMarket(start, tuple(batches), books)


def plain_decimal(number: Decimal) -> str:
    """Return a number without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _batches(randomness: random.Random, start: int, count: int, hole_max: int) -> Iterator[Batch]:
    current = start
    for _ in range(count):
        ids = _ids(randomness, current, hole_max)
        touched: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for _ in ids:
            side, away = (
                randomness.randint(0, 1),
                min(randomness.randint(1, DEPTH_TICKS), randomness.randint(1, DEPTH_TICKS)),
            )
            lots = 0 if randomness.random() < 0.35 else randomness.randint(1, 900)
            touched[side][MID_TICKS + away if side else MID_TICKS - away] = lots
        yield Batch(current, ids[0], ids[-1], tuple(touched[0].items()), tuple(touched[1].items()))
        current = ids[-1]


def _ids(randomness: random.Random, current: int, hole_max: int) -> list[int]:
    ids = []
    for _ in range(randomness.randint(1, IDS_PER_BATCH_MAX)):
        current += randomness.randint(1, hole_max)
        ids.append(current)
    return ids


def _apply(side: dict[int, int], changes: tuple[Level, ...]) -> None:
    for price, lots in changes:
        side[price] = lots
        if lots == 0:
            del side[price]


def _sides(bids: dict[int, int], asks: dict[int, int]) -> BookSides:
    return BookSides(tuple(sorted(bids.items(), reverse=True)), tuple(sorted(asks.items())))
