"""One direction of one connection: in order while it lasts, late, lossy, and cut off where a process ends."""

from collections import deque
from typing import Final, Protocol

from components.xtrader.simulation.chance import Randomness
from components.xtrader.simulation.schedule import Callback, Scheduler

FRAME_DELAY_MS_MAX: Final = 300
DELIVERED_AFTER_EXIT: Final = 0.5
"""What a killed process had said may have left it, or not; nothing leaves after something that did not."""

Frames = list[bytes]


class Endpoint(Protocol):
    """The process at one end."""

    @property
    def is_alive(self) -> bool:
        """Say whether it has not ended."""

    @property
    def wake(self) -> Callback:
        """Tell it that something has arrived."""


class Inbox:
    """What has arrived at one socket."""

    def __init__(self, owner: Endpoint) -> None:
        self.owner = owner
        self.frames: deque[Frames] = deque()

    def receive(self, frames: Frames) -> None:
        """Let a message arrive, if there is still anybody."""
        if self.owner.is_alive:
            self.frames.append(frames)
            self.owner.wake()


class Link:
    """One direction of one connection: in order, as long as it lasts."""

    def __init__(self, scheduler: Scheduler, randomness: Randomness, sender: Endpoint, inbox: Inbox) -> None:
        self._scheduler, self._randomness, self._sender, self.inbox = scheduler, randomness, sender, inbox
        self._last_at_ns = 0
        self._is_cut = False

    def send(self, frames: Frames) -> None:
        """Send a message; it may be lost, come twice, or come late with all that follows."""
        chance, schedule, odds = self._randomness, self._scheduler, self._randomness.rates
        at_ns = schedule.now_ns + chance.network_delay_ns()
        if chance.happens(odds.frame_delay):
            at_ns += chance.duration_ns(1, FRAME_DELAY_MS_MAX)
        self._last_at_ns = max(self._last_at_ns, at_ns)
        if chance.happens(odds.frame_loss):
            return
        for _ in range(1 + chance.happens(odds.frame_duplicate)):
            schedule.after(self._last_at_ns - schedule.now_ns, lambda: self._arrive(frames))

    def _arrive(self, frames: Frames) -> None:
        if not self._sender.is_alive and not self._randomness.happens(DELIVERED_AFTER_EXIT):
            self._is_cut = True
        if not self._is_cut:
            self.inbox.receive(frames)
