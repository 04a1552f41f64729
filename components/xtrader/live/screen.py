"""A terminal taken over for a while: one write for each frame, and always given back as it was."""

import os
import termios
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Another screen, no cursor, no wrapping of long lines."""
LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
BEGIN_FRAME: Final = "\x1b[?2026h\x1b[H"
"""A terminal that knows it shows the frame at once; another ignores it."""
TO_LINE_END: Final = "\x1b[K"
TO_SCREEN_END: Final = "\x1b[J"
END_FRAME: Final = "\x1b[?2026l"

SMALLEST: Final = os.terminal_size((20, 2))
USUAL: Final = os.terminal_size((80, 24))


class Screen:
    """Draws frames; keys that are typed meanwhile are not echoed, and Ctrl-C still interrupts."""

    def __init__(self, output: int, keyboard: int) -> None:
        self._output, self._keyboard = output, keyboard
        self._shown: tuple[Sequence[str], os.terminal_size] | None = None
        self._modes = self._quiet_keyboard()
        self._is_gone = False
        self._write(ENTER)

    @property
    def size(self) -> os.terminal_size:
        """Ask how large the terminal is now."""
        try:
            found = os.get_terminal_size(self._output)
        except OSError:
            return USUAL
        return USUAL if 0 in found else os.terminal_size(map(max, found, SMALLEST))

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines; the same frame twice costs nothing."""
        if self._shown == (lines, self.size):
            return
        self._shown = (lines, self.size)
        body = "\r\n".join(f"{one}{TO_LINE_END}" for one in lines)
        self._write(f"{BEGIN_FRAME}{body}{TO_SCREEN_END}{END_FRAME}")

    def close(self) -> None:
        """Give the terminal back, also one that shows another size or is gone."""
        self._write(LEAVE)
        if self._modes is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._modes)

    def _quiet_keyboard(self) -> "list[int | list[bytes | int]] | None":
        """Switch off the echo and Ctrl-Z, which would leave a stopped view on the screen."""
        try:
            before, quiet = termios.tcgetattr(self._keyboard), termios.tcgetattr(self._keyboard)
        except termios.error:
            return None
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        quiet[6][termios.VSUSP] = b"\x00"
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, quiet)
        return before

    def _write(self, text: str) -> None:
        rest = text.encode()
        while rest and not self._is_gone:
            try:
                rest = rest[os.write(self._output, rest) :]
            except OSError:
                self._is_gone = True  # the terminal was closed: the system goes on or is stopped, not our concern
