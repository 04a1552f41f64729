"""The live view as the voice of `up`: a frame four times a second, plain lines once it is over."""

from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Final

import click

from components.runtime.clock import Clock
from components.xtrader.explain.telling import clock_time
from components.xtrader.live.ear import Ear
from components.xtrader.live.gather import board_of
from components.xtrader.live.paint import coded
from components.xtrader.live.screen import Screen
from components.xtrader.live.view import view
from components.xtrader.show import Explanation, NameModel
from components.xtrader.watch import Seen

FRAME_EVERY_NS: Final = 250_000_000
EXPLAINED_FOR_NS: Final = 90_000_000_000
"""Long enough to be read twice; then the lists may have its room."""
HAPPENINGS_KEPT_MAX: Final = 100


class LiveView:
    """Draws what is seen; whatever goes wrong, the terminal is given back."""

    def __init__(self, screen: Screen, ear: Ear, clock: Clock, name_model: NameModel, *, colour: bool) -> None:
        self._screen, self._ear, self._clock, self._colour = screen, ear, clock, colour
        self._first = Explanation(name_model)
        self._happenings: deque[str] = deque(maxlen=HAPPENINGS_KEPT_MAX)
        self._seen: Seen | None = None
        self._frame_due_ns = self._explained_until_ns = 0

    def say(self, line: str) -> None:
        """Put it among the events and show it now: what is said may take its time."""
        self._happenings.append(f"{clock_time(self._clock.now_ns())}  {line}")
        if self._seen is not None:
            self._draw(self._seen)

    def tell(self, seen: Seen, now_ns: int) -> None:
        """Draw a frame when it is due."""
        self._seen = seen
        if self._first.is_new(seen):
            self._explained_until_ns = now_ns + EXPLAINED_FOR_NS
            self.say(f"{self._first.headline} xtrader explain last tells more of the newest one")
        if now_ns >= self._frame_due_ns:
            self._frame_due_ns = now_ns + FRAME_EVERY_NS
            self._draw(seen)

    def close(self) -> None:
        """Give the terminal back, and leave behind in it how the first order came about."""
        self._screen.close()
        self._ear.close()
        with suppress(OSError):  # a terminal that was closed reads no more
            click.echo("".join(f"{one}\n" for one in (self._first.headline, *self._first.sentences) if one), nl=False)

    def _draw(self, seen: Seen) -> None:
        self._ear.listen()
        is_explained = self._clock.monotonic_ns() < self._explained_until_ns
        board = replace(
            board_of(seen, self._ear, self._clock.now_ns()),
            explained=self._first.sentences if is_explained else (),
            happenings=tuple(self._happenings),
        )
        size = self._screen.size
        self._screen.draw(coded(view(board, size.columns, size.lines), colour=self._colour))
