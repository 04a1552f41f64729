"""A terminal is taken over, drawn on in one write a frame, and given back as it was."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest

from components.xtrader.live_view.screen import BEGIN_FRAME, ENTER_SCREEN, LEAVE_SCREEN, SIZE_DEFAULT, Screen
from tests.support.eventually import eventually

READ_BYTES_MAX = 1 << 20


class Terminal:
    """A terminal of 100 columns and 30 lines, seen from the person's side."""

    def __init__(self) -> None:
        self.person, self.inside = pty.openpty()
        os.set_blocking(self.person, False)
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.modes = termios.tcgetattr(self.inside)

    def read(self) -> str:
        try:
            return os.read(self.person, READ_BYTES_MAX).decode().replace("\r\r\n", "\r\n")
        except BlockingIOError:
            return ""

    def close(self) -> None:
        for one in (self.person, self.inside):
            os.close(one)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


def test_a_frame_is_drawn_from_the_corner_and_clears_what_was_there(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    screen.draw(["one", "two"])
    assert eventually(terminal.read) == f"{ENTER_SCREEN}{BEGIN_FRAME}one\x1b[K\r\ntwo\x1b[K\x1b[J\x1b[?2026l"
    screen.close()


def test_the_same_frame_is_written_once(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    screen.draw(["one"])
    eventually(terminal.read)
    screen.draw(["one"])
    assert terminal.read() == ""
    screen.close()


def test_the_terminal_is_given_back_as_it_was(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    assert termios.tcgetattr(terminal.inside)[3] & termios.ECHO == 0
    assert termios.tcgetattr(terminal.inside)[3] & termios.ISIG
    screen.close()
    assert eventually(terminal.read).endswith(LEAVE_SCREEN)
    assert termios.tcgetattr(terminal.inside) == terminal.modes


def test_the_size_is_asked_anew_for_each_frame(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    assert screen.size == (100, 30)
    fcntl.ioctl(terminal.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    assert screen.size == (200, 50)
    fcntl.ioctl(terminal.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert screen.size == SIZE_DEFAULT
    screen.close()


def test_a_terminal_that_does_not_read_holds_nobody_up(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    for number in range(200):
        screen.draw([f"{number} {'x' * 90}"] * 30)

    def last_is_seen() -> bool:
        screen.draw(["last"])
        return "last" in terminal.read()

    assert eventually(last_is_seen)
    screen.close()


def test_a_terminal_that_is_gone_is_no_error(terminal: Terminal) -> None:
    screen = Screen(terminal.inside, terminal.inside)
    os.close(terminal.person)
    screen.draw(["one"])
    screen.close()
    terminal.person = os.dup(terminal.inside)
