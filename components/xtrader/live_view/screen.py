"""The live view on a terminal: one write per frame, and the terminal is always restored."""

import os
import select
import termios
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import click

from components.runtime.clock import Clock
from components.xtrader.formatting import format_time
from components.xtrader.live_view.layout import render, to_ansi
from components.xtrader.live_view.market_view import MarketView
from components.xtrader.live_view.view_model import build_view_model
from components.xtrader.up.console import FirstFillExplanation, ModelNameLookup
from components.xtrader.up.monitor import RunMonitor

ENTER_SCREEN: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Alternate screen, hidden cursor, no line wrapping."""
LEAVE_SCREEN: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN_FRAME: Final = "\x1b[?2026h\x1b[H"
"""Synchronised output: a terminal that supports it shows the frame at once; others ignore the code."""
CLEAR_TO_LINE_END: Final = "\x1b[K"
CLEAR_TO_SCREEN_END: Final = "\x1b[J"
END_FRAME: Final = "\x1b[?2026l"
CLOSE_WRITES_MAX: Final = 10
CLOSE_WAIT_S: Final = 0.1
SIZE_MIN: Final = os.terminal_size((20, 2))
SIZE_DEFAULT: Final = os.terminal_size((80, 24))
FRAME_INTERVAL_NS: Final = 250_000_000
EXPLANATION_SHOWN_NS: Final = 90_000_000_000
"""Long enough to read the explanation twice; then the lists get its lines."""
EVENTS_MAX: Final = 100


class Screen:
    """Draws frames; typed keys are not echoed, and Ctrl-C still interrupts.

    A terminal that does not read (a hung connection) never blocks the process: frames are skipped until it reads again.
    """

    def __init__(self, output: int, keyboard: int) -> None:
        self._terminal, self._keyboard = _reopen_terminal(output), keyboard
        self._shown: tuple[Sequence[str], os.terminal_size] | None = None
        self._unwritten = b""
        self._modes = self._disable_echo()
        self._write(ENTER_SCREEN)

    @property
    def size(self) -> os.terminal_size:
        """The terminal's current size, or a default if it is unknown."""
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:
            return SIZE_DEFAULT
        return SIZE_DEFAULT if 0 in size else os.terminal_size(map(max, size, SIZE_MIN))

    def draw(self, lines: Sequence[str]) -> None:
        """Draw these lines; an unchanged frame is not written again."""
        frame = (lines, self.size)
        if self._unwritten:
            self._write("")
        if self._unwritten or self._shown == frame:
            return
        self._shown = frame
        body = "\r\n".join(f"{one}{CLEAR_TO_LINE_END}" for one in lines)
        self._write(f"{BEGIN_FRAME}{body}{CLEAR_TO_SCREEN_END}{END_FRAME}")

    def close(self) -> None:
        """Restore the terminal, unless it is gone."""
        self._write(LEAVE_SCREEN)
        for _ in range(CLOSE_WRITES_MAX):
            if not self._unwritten:
                break
            select.select([], [self._terminal], [], CLOSE_WAIT_S)
            self._write("")
        if self._modes is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._modes)
        os.close(self._terminal)

    def _disable_echo(self) -> "list[Any] | None":
        """Switch off the echo, Ctrl-S, and Ctrl-Z, which would leave a stopped view on the screen."""
        try:
            before, quiet = termios.tcgetattr(self._keyboard), termios.tcgetattr(self._keyboard)
        except termios.error:
            return None
        quiet[0] &= ~termios.IXON
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        quiet[6][termios.VSUSP] = b"\x00"
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, quiet)
        return before

    def _write(self, text: str) -> None:
        """Write as much as the terminal accepts now and keep the rest."""
        self._unwritten += text.encode()
        try:
            self._unwritten = self._unwritten[os.write(self._terminal, self._unwritten) :]
        except BlockingIOError:
            return
        except OSError:
            self._unwritten = b""  # the terminal was closed; whether the run continues is decided elsewhere


def _reopen_terminal(output: int) -> int:
    """Open the terminal a second time: non-blocking mode on the shared descriptor would affect the shell too."""
    try:
        return os.open(os.ttyname(output), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return os.dup(output)


class LiveView:
    """Output of a run that draws frames at 4 Hz; the terminal is restored whatever fails."""

    def __init__(
        self, screen: Screen, market: MarketView, clock: Clock, model_name_of: ModelNameLookup, *, colour: bool
    ) -> None:
        self._screen, self._market, self._clock, self._colour = screen, market, clock, colour
        self._first_fill = FirstFillExplanation(model_name_of)
        self._events: deque[str] = deque(maxlen=EVENTS_MAX)
        self._monitor: RunMonitor | None = None
        self._frame_due_ns = self._explanation_until_ns = 0

    def event(self, line: str) -> None:
        """Add the event and draw at once, because what follows the event may take long."""
        self._events.append(f"{format_time(self._clock.now_ns())}  {line}")
        if self._monitor is not None:
            self._draw(self._monitor)

    def update(self, monitor: RunMonitor, now_ns: int) -> None:
        """Draw a frame if one is due."""
        self._monitor = monitor
        if self._first_fill.update(monitor):
            self._explanation_until_ns = now_ns + EXPLANATION_SHOWN_NS
            self.event(f"{self._first_fill.headline} `xtrader explain last` prints the history of the newest order")
        if now_ns >= self._frame_due_ns:
            self._frame_due_ns = now_ns + FRAME_INTERVAL_NS
            self._draw(monitor)

    def close(self) -> None:
        """Restore the terminal and print the explanation of the first fill there."""
        self._screen.close()
        self._market.close()
        with suppress(OSError):  # a closed terminal cannot be written
            lines = (self._first_fill.headline, *self._first_fill.sentences)
            click.echo("".join(f"{line}\n" for line in lines if line), nl=False)

    def _draw(self, monitor: RunMonitor) -> None:
        self._market.poll()
        shows_explanation = self._clock.monotonic_ns() < self._explanation_until_ns
        model = replace(
            build_view_model(monitor, self._market, self._clock.now_ns()),
            explanation=self._first_fill.sentences if shows_explanation else (),
            events=tuple(self._events),
        )
        size = self._screen.size
        self._screen.draw(to_ansi(render(model, size.columns, size.lines), colour=self._colour))
