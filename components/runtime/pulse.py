"""What a loop says of itself each time it turns: that it lives, and what it still waits for."""

import os
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

from components.runtime.clock import Clock
from components.runtime.files import write_atomic

STARTING: Final = ("starting",)
READY_FILE_INTERVAL_NS: Final = 1_000_000_000
"""How often the ready file is renewed; whoever looks at its age should allow several of these."""


class HealthState:
    """Written by the loop; read by the health server and the watchdog on their own threads."""

    def __init__(self, clock: Clock, ready_file: Path, ready_gauge: Gauge) -> None:
        """Begin not ready, and not yet expected to beat."""
        self._clock = clock
        self._file = ready_file
        self._gauge = ready_gauge
        self._renewed_at_ns = 0
        self.iterations = 0
        self.reported_at_ns = clock.monotonic_ns()
        self.unmet: tuple[str, ...] = STARTING

    def report(self, unmet: tuple[str, ...]) -> None:
        """Say that the loop turned, and what readiness still waits for; call it about every tick."""
        self.reported_at_ns = self._clock.monotonic_ns()
        self.iterations += 1
        if unmet != self.unmet:
            self._change(unmet)
        elif not unmet and self.reported_at_ns - self._renewed_at_ns >= READY_FILE_INTERVAL_NS:
            self._renew()

    def age_ms(self) -> int:
        """Say how long ago the loop last turned."""
        return (self._clock.monotonic_ns() - self.reported_at_ns) // 1_000_000

    def stop(self) -> None:
        """Take readiness back for good."""
        self._change(("stopping",))

    def _change(self, unmet: tuple[str, ...]) -> None:
        self.unmet = unmet
        self._gauge.set(0 if unmet else 1)
        if unmet:
            self._file.unlink(missing_ok=True)
        else:
            self._renew()

    def _renew(self) -> None:
        self._renewed_at_ns = self.reported_at_ns
        try:
            os.utime(self._file)
        except FileNotFoundError:
            write_atomic(self._file, b"")
