"""SIGTERM and SIGINT: during the start they end it, while serving they ask, and a second one does not ask."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A signal came before there was anything to drain; like KeyboardInterrupt it is nobody's error."""


class StopSignals:
    """Whether the process was asked to stop."""

    def __init__(self) -> None:
        """Begin in the start of the process."""
        self.requested = False
        self._only_asks = False
        self._last_words: Callable[[], None] = _nothing

    @contextmanager
    def installed(self) -> Iterator["StopSignals"]:
        """Hear the signals for the length of a block."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    def before_leaving_at_once(self, last_words: Callable[[], None]) -> None:
        """Say what must be taken away even if there is no time to drain."""
        self._last_words = last_words

    def only_ask(self) -> None:
        """From now on a first signal only sets `requested`: the loop drains, or the end is under way anyway."""
        self._only_asks = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            self._last_words()
            os._exit(128 + number)
        self.requested = True
        if not self._only_asks:
            raise Stopped


def _nothing() -> None:
    """Leave nothing behind to take away."""
