"""The live view as the voice of `up`: a frame four times a second, plain lines once it is over."""

from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Final

import click

from components.runtime.clock import Clock
from components.xtrader.explain.telling import format_time
from components.xtrader.live.ear import MarketView
from components.xtrader.live.gather import build_view_model
from components.xtrader.live.paint import to_ansi
from components.xtrader.live.screen import Screen
from components.xtrader.live.view import render
from components.xtrader.show import FirstFillExplanation, ModelNameLookup
from components.xtrader.watch import RunMonitor

FRAME_INTERVAL_NS: Final = 250_000_000
EXPLANATION_SHOWN_NS: Final = 90_000_000_000
"""Long enough to be read twice; then the lists may have its room."""
EVENTS_MAX: Final = 100


class LiveView:
    """Draws what is seen; whatever goes wrong, the terminal is given back."""

    def __init__(
        self, screen: Screen, market: MarketView, clock: Clock, model_name_of: ModelNameLookup, *, colour: bool
    ) -> None:
        self._screen, self._market, self._clock, self._colour = screen, market, clock, colour
        self._first_fill = FirstFillExplanation(model_name_of)
        self._events: deque[str] = deque(maxlen=EVENTS_MAX)
        self._monitor: RunMonitor | None = None
        self._frame_due_ns = self._explanation_until_ns = 0

    def event(self, line: str) -> None:
        """Put it among the events and show it now: what is said may take its time."""
        self._events.append(f"{format_time(self._clock.now_ns())}  {line}")
        if self._monitor is not None:
            self._draw(self._monitor)

    def update(self, monitor: RunMonitor, now_ns: int) -> None:
        """Draw a frame when it is due."""
        self._monitor = monitor
        if self._first_fill.update(monitor):
            self._explanation_until_ns = now_ns + EXPLANATION_SHOWN_NS
            self.event(f"{self._first_fill.headline} xtrader explain last tells more of the newest one")
        if now_ns >= self._frame_due_ns:
            self._frame_due_ns = now_ns + FRAME_INTERVAL_NS
            self._draw(monitor)

    def close(self) -> None:
        """Give the terminal back, and leave behind in it how the first order came about."""
        self._screen.close()
        self._market.close()
        with suppress(OSError):  # a terminal that was closed reads no more
            click.echo(
                "".join(f"{one}\n" for one in (self._first_fill.headline, *self._first_fill.sentences) if one), nl=False
            )

    def _draw(self, monitor: RunMonitor) -> None:
        self._market.poll()
        is_explained = self._clock.monotonic_ns() < self._explanation_until_ns
        board = replace(
            build_view_model(monitor, self._market, self._clock.now_ns()),
            explanation=self._first_fill.sentences if is_explained else (),
            events=tuple(self._events),
        )
        size = self._screen.size
        self._screen.draw(to_ansi(render(board, size.columns, size.lines), colour=self._colour))
