"""A screen draws each frame with one write and restores the terminal."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress

import pytest

from components.xtrader.live_view.screen import BEGIN_FRAME, END_FRAME, ENTER_SCREEN, LEAVE_SCREEN, SIZE_DEFAULT, Screen
from tests.support.eventually import eventually

READ_BYTES_MAX = 1 << 20


class Terminal:
    """A terminal of 100 columns and 30 lines, seen from the user's side."""

    def __init__(self) -> None:
        self.user, self.inside = pty.openpty()
        os.set_blocking(self.user, False)
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.modes = termios.tcgetattr(self.inside)
        self._received = b""

    def text(self) -> str:
        """Return everything that was written so far; the kernel may pass one write on in parts."""
        with suppress(BlockingIOError):
            self._received += os.read(self.user, READ_BYTES_MAX)
        return self._received.decode().replace("\r\r\n", "\r\n")

    def text_ending_with(self, ending: str) -> str:
        return eventually(lambda: text if (text := self.text()).endswith(ending) else "")

    def close(self) -> None:
        for one in (self.user, self.inside):
            os.close(one)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


def test_a_frame_is_drawn_from_the_corner_and_clears_what_was_there(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    screen.draw(["one", "two"])
    shown = terminal.text_ending_with(END_FRAME)
    assert shown == f"{ENTER_SCREEN}{BEGIN_FRAME}one\x1b[K\r\ntwo\x1b[K\x1b[J\x1b[?2026l"
    screen.close()


def test_the_same_frame_is_written_once(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    screen.draw(["one"])
    screen.draw(["one"])
    screen.close()
    assert terminal.text_ending_with(LEAVE_SCREEN).count(BEGIN_FRAME) == 1


def test_the_terminal_is_restored(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    assert termios.tcgetattr(terminal.inside)[3] & termios.ECHO == 0
    assert termios.tcgetattr(terminal.inside)[3] & termios.ISIG
    screen.close()
    assert terminal.text_ending_with(LEAVE_SCREEN)
    assert termios.tcgetattr(terminal.inside) == terminal.modes


def test_the_size_is_read_for_each_frame(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    assert screen.size == (100, 30)
    fcntl.ioctl(terminal.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    assert screen.size == (200, 50)
    fcntl.ioctl(terminal.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert screen.size == SIZE_DEFAULT
    screen.close()


def test_a_terminal_that_does_not_read_does_not_block(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    for number in range(200):
        screen.draw([f"{number} {'x' * 90}"] * 30)

    def last_is_shown() -> bool:
        screen.draw(["last"])
        return "last" in terminal.text()

    assert eventually(last_is_shown)
    screen.close()


def test_a_closed_terminal_is_no_error(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    os.close(terminal.user)
    screen.draw(["one"])
    screen.close()
    terminal.user = os.dup(terminal.inside)
