"""SIGTERM and SIGINT: during the start they end it, while serving they ask, and a second one does not ask."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SHUTDOWN_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class ShutdownRequested(BaseException):
    """A signal came before there was anything to drain; like KeyboardInterrupt it is nobody's error."""


class ShutdownSignals:
    """Whether the process was asked to stop."""

    def __init__(self) -> None:
        """Begin in the start of the process."""
        self.requested = False
        self._is_deferred = False
        self._forced_exit_callback: Callable[[], None] = _no_cleanup

    @contextmanager
    def installed(self) -> Iterator["ShutdownSignals"]:
        """Hear the signals for the length of a block."""
        before = {number: signal.signal(number, self._on_signal) for number in SHUTDOWN_SIGNALS}
        try:
            yield self
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    def on_forced_exit(self, callback: Callable[[], None]) -> None:
        """Say what must be taken away even if there is no time to drain."""
        self._forced_exit_callback = callback

    def defer_to_drain(self) -> None:
        """From now on a first signal only sets `requested`: the loop drains, or the end is under way anyway."""
        self._is_deferred = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            self._forced_exit_callback()
            os._exit(128 + number)
        self.requested = True
        if not self._is_deferred:
            raise ShutdownRequested


def _no_cleanup() -> None:
    """Leave nothing behind to take away."""
