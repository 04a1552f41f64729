"""Whom a drill kills, and when: the same seed gives the same plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

KILL_DELAY_MS_MAX: Final = 1_500
"""Longer than an order lives, so that kills fall into every moment of its life and between orders too."""

PAIR_PROBABILITY: Final = 0.2
AIMED_PROBABILITY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill these at once, so long after trading goes on; an aimed blow falls when the next record is written."""

    names: tuple[str, ...]
    wait_ms: int
    is_aimed: bool


def kill_schedule(names: tuple[str, ...], seed: int) -> Iterator[Kill]:
    """Draw blows without end: everybody's turn comes equally often, in an order of chance, sometimes two at once."""
    chance = Random(seed)
    waiting: list[str] = []
    while True:
        if len(waiting) < 2:
            waiting = [*waiting, *(name for name in chance.sample(names, len(names)) if name not in waiting)]
        count = 2 if chance.random() < PAIR_PROBABILITY else 1
        struck, waiting = tuple(waiting[:count]), waiting[count:]
        yield Kill(struck, chance.randrange(KILL_DELAY_MS_MAX), chance.random() < AIMED_PROBABILITY)


def limit_kills(plan: Iterator[Kill], kills: int | None) -> Iterator[Kill]:
    """Cut a plan after so many kills; None leaves it without end."""
    left = kills
    for blow in plan:
        names = blow.names if left is None else blow.names[:left]
        if not names:
            return
        yield Kill(names, blow.wait_ms, blow.is_aimed)
        left = None if left is None else left - len(names)
