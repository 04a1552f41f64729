"""SIGTERM and SIGINT: they end a starting process, request a drain of a running one; a second one forces the exit."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SHUTDOWN_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class ShutdownRequested(BaseException):
    """A signal arrived before there was anything to drain. Like KeyboardInterrupt it is not an error."""


class ShutdownSignals:
    """Whether a shutdown was requested."""

    def __init__(self) -> None:
        """Begin in the start phase, where a signal ends the process."""
        self.requested = False
        self._is_deferred = False
        self._forced_exit_callback: Callable[[], None] = _no_cleanup

    @contextmanager
    def installed(self) -> Iterator["ShutdownSignals"]:
        """Handle the signals for the duration of a block."""
        before = {number: signal.signal(number, self._on_signal) for number in SHUTDOWN_SIGNALS}
        try:
            yield self
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    def on_forced_exit(self, callback: Callable[[], None]) -> None:
        """Set the callback that removes what must not remain after a forced exit."""
        self._forced_exit_callback = callback

    def defer_to_drain(self) -> None:
        """Make a first signal only set `requested` from now on: the loop drains, or the end is already in progress."""
        self._is_deferred = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            self._forced_exit_callback()
            os._exit(128 + number)
        self.requested = True
        if not self._is_deferred:
            raise ShutdownRequested


def _no_cleanup() -> None:
    """Do nothing: there is nothing to remove yet."""
