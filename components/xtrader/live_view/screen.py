"""A terminal taken over for a while: one write for each frame, and always given back as it was."""

import os
import select
import termios
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

ENTER_SCREEN: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Another screen, no cursor, no wrapping of long lines."""
LEAVE_SCREEN: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN_FRAME: Final = "\x1b[?2026h\x1b[H"
"""A terminal that knows it shows the frame at once; another ignores it."""
CLEAR_TO_LINE_END: Final = "\x1b[K"
CLEAR_TO_SCREEN_END: Final = "\x1b[J"
END_FRAME: Final = "\x1b[?2026l"

CLOSE_WRITES_MAX: Final = 10
CLOSE_WAIT_S: Final = 0.1

SIZE_MIN: Final = os.terminal_size((20, 2))
SIZE_DEFAULT: Final = os.terminal_size((80, 24))


class Screen:
    """Draws frames; keys that are typed meanwhile are not echoed, and Ctrl-C still interrupts.

    A terminal that does not read (a hung connection) never holds us up: frames are left out until it does.
    """

    def __init__(self, output: int, keyboard: int) -> None:
        self._terminal, self._keyboard = _reopen_terminal(output), keyboard
        self._shown: tuple[Sequence[str], os.terminal_size] | None = None
        self._unwritten = b""
        self._modes = self._disable_echo()
        self._write(ENTER_SCREEN)

    @property
    def size(self) -> os.terminal_size:
        """Ask how large the terminal is now."""
        try:
            found = os.get_terminal_size(self._terminal)
        except OSError:
            return SIZE_DEFAULT
        return SIZE_DEFAULT if 0 in found else os.terminal_size(map(max, found, SIZE_MIN))

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines; the same frame twice costs nothing."""
        frame = (lines, self.size)
        if self._unwritten:
            self._write("")
        if self._unwritten or self._shown == frame:
            return
        self._shown = frame
        body = "\r\n".join(f"{one}{CLEAR_TO_LINE_END}" for one in lines)
        self._write(f"{BEGIN_FRAME}{body}{CLEAR_TO_SCREEN_END}{END_FRAME}")

    def close(self) -> None:
        """Give the terminal back, unless it is gone."""
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
        """Write what the terminal takes now and keep the rest."""
        self._unwritten += text.encode()
        try:
            self._unwritten = self._unwritten[os.write(self._terminal, self._unwritten) :]
        except BlockingIOError:
            return
        except OSError:
            self._unwritten = b""  # the terminal was closed: whether the run goes on is not decided here


def _reopen_terminal(output: int) -> int:
    """Open the terminal a second time, for the first is shared with the shell, which waits when it writes."""
    try:
        return os.open(os.ttyname(output), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return os.dup(output)
