"""Ends a process whose loop no longer turns, after writing down where each thread stands."""

import faulthandler
import os
from threading import Event, Thread
from typing import Final

from components.runtime.logs import logger
from components.runtime.pulse import HealthState

CHECKS_PER_TIMEOUT: Final = 4
EXIT_STUCK: Final = 70
STDERR_FD: Final = 2


class Watchdog:
    """Looks at a pulse on a thread of its own, from the pulse's first beat on."""

    def __init__(self, health: HealthState, timeout_ms: int) -> None:
        """Take the pulse and the longest time that it may stand still."""
        self._health = health
        self._timeout_ms = timeout_ms
        self._ended = Event()
        self._thread = Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        suspect = 0
        while not self._ended.wait(self._timeout_ms / CHECKS_PER_TIMEOUT / 1000):
            beats = self._health.iterations
            is_stale = beats > 0 and self._health.age_ms() > self._timeout_ms
            # A process that was paused looks stale to the first look after it goes on: only a second one tells.
            if is_stale and beats == suspect:
                self._end()
            suspect = beats if is_stale else 0

    def _end(self) -> None:
        logger().critical("loop_is_stuck", age_ms=self._health.age_ms(), bound_ms=self._timeout_ms)
        faulthandler.dump_traceback(STDERR_FD, all_threads=True)
        os._exit(EXIT_STUCK)
