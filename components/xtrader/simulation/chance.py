"""How often each thing goes wrong in a simulation, and the dice that decide it."""

from dataclasses import dataclass
from random import Random
from typing import Final

from components.xtrader.simulation.schedule import NS_PER_MS, NS_PER_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """Probabilities, each for one occasion."""

    drop: float = 0.0
    """A frame on the bus is lost."""
    repeat: float = 0.0
    """A frame on the bus arrives twice."""
    pause: float = 0.0
    """A frame, and all behind it, is held up."""
    sync_fails: float = 0.0
    """A sync of a file fails; what it should have kept is in memory only, and looks clean."""
    disk_full: float = 0.0
    """A write goes in half."""
    call_trouble: float = 0.0
    """A call to the venue does not simply go through."""
    event_lost: float = 0.0
    """An event of the order stream never comes, and nobody says so."""
    event_repeat: float = 0.0
    stream_drop: float = 0.0
    """The order stream ends, asked each time the market moves."""
    outage: float = 0.0
    """The venue cannot be reached for a while, asked each time the market moves."""
    feed_drop: float = 0.0
    """The market's feed ends, asked each time the market moves."""
    clock_jump: float = 0.0
    """Somebody sets the wall clock, asked each time the market moves."""
    operator: float = 0.0
    """An operator asks for something, asked each time the market moves."""
    stop: float = 0.0
    """A process is asked to end in good order, asked each time the market moves."""


CALM: Final = Odds()
STORM: Final = Odds(
    drop=0.01,
    repeat=0.01,
    pause=0.01,
    sync_fails=0.001,
    disk_full=0.001,
    call_trouble=0.2,
    event_lost=0.02,
    event_repeat=0.02,
    stream_drop=0.003,
    outage=0.001,
    feed_drop=0.003,
    clock_jump=0.0005,
    operator=0.006,
    stop=0.001,
)


class Chance:
    """All the luck of one run, good and bad, out of one seed."""

    def __init__(self, dice: Random, odds: Odds) -> None:
        self.dice, self.odds = dice, odds

    def happens(self, probability: float) -> bool:
        """Throw the dice, also where they cannot matter: the same number of throws in every weather."""
        return self.dice.random() < probability

    def hop_ns(self) -> int:
        """Give the time a frame takes from process to process."""
        return self.dice.randint(20 * NS_PER_US, 400 * NS_PER_US)

    def sync_ns(self) -> int:
        """Give the time a sync takes: mostly little, sometimes as long as a busy disk needs."""
        slow = self.happens(0.02)
        return self.dice.randint(50 * NS_PER_US, 40 * NS_PER_MS if slow else NS_PER_MS)

    def between_ms(self, least: int, most: int) -> int:
        """Give a span between these, in nanoseconds."""
        return self.dice.randint(least * NS_PER_MS, most * NS_PER_MS)
