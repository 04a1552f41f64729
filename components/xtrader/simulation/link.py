"""One direction of one connection: in order while it lasts, late, lossy, and cut off where a process ends."""

from collections import deque
from typing import Final, Protocol

from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.schedule import Happening, Schedule

PAUSE_MS_MAX: Final = 300
LAST_WORDS: Final = 0.5
"""What a killed process had said may have left it, or not; nothing leaves after something that did not."""

Frames = list[bytes]


class Life(Protocol):
    """The process at one end."""

    @property
    def is_alive(self) -> bool:
        """Say whether it has not ended."""

    @property
    def wake(self) -> Happening:
        """Tell it that something has arrived."""


class Inbox:
    """What has arrived at one socket."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.frames: deque[Frames] = deque()

    def take(self, frames: Frames) -> None:
        """Let a message arrive, if there is still anybody."""
        if self.life.is_alive:
            self.frames.append(frames)
            self.life.wake()


class Link:
    """One direction of one connection: in order, as long as it lasts."""

    def __init__(self, schedule: Schedule, chance: Chance, sender: Life, to: Inbox) -> None:
        self._schedule, self._chance, self._sender, self.to = schedule, chance, sender, to
        self._last_at_ns = 0
        self._is_cut = False

    def send(self, frames: Frames) -> None:
        """Send a message; it may be lost, come twice, or come late with all that follows."""
        chance, schedule, odds = self._chance, self._schedule, self._chance.odds
        at_ns = schedule.now_ns + chance.hop_ns()
        if chance.happens(odds.pause):
            at_ns += chance.between_ms(1, PAUSE_MS_MAX)
        self._last_at_ns = max(self._last_at_ns, at_ns)
        if chance.happens(odds.drop):
            return
        for _ in range(1 + chance.happens(odds.repeat)):
            schedule.after(self._last_at_ns - schedule.now_ns, lambda: self._arrive(frames))

    def _arrive(self, frames: Frames) -> None:
        if not self._sender.is_alive and not self._chance.happens(LAST_WORDS):
            self._is_cut = True
        if not self._is_cut:
            self.to.take(frames)
