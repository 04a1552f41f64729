"""Runs risk with a wall clock that a test can set: a file holds its error in milliseconds."""

import sys
from collections.abc import Mapping
from pathlib import Path

import click
from typing_extensions import override

from components.runtime.cli import run_command
from components.runtime.clock import SystemClock
from components.runtime.process.process import run_process
from tests.support.component_process import ComponentProcess

NS_PER_MS = 1_000_000


class AdjustedClock(SystemClock):
    """The machine's clock, set ahead or back by the content of a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @override
    def now_ns(self) -> int:
        return super().now_ns() + int(self._file.read_text()) * NS_PER_MS


class RiskWithAdjustedClock(ComponentProcess):
    """A real risk process whose wall clock a test can set."""

    def __init__(self, state: Path, overrides: Mapping[str, str]) -> None:
        self._state, self._clock = state, state / "clock"
        super().__init__("risk", state, overrides, ("-m", "tests.support.clock_jumps", str(self._clock)))
        self.set_clock(0)

    def set_clock(self, ahead_ms: int) -> None:
        """Set the wall clock as an operator or a time server does."""
        new = self._state / "clock.new"
        new.write_text(str(ahead_ms))
        new.replace(self._clock)


@click.command()
@click.argument("clock", type=click.Path(path_type=Path))
def live(clock: Path) -> None:
    """Run risk as its own command does."""
    with run_process("risk") as process:
        from components.risk.wiring import risk  # noqa: PLC0415  # as the verb does: behind the lock

        process.clock = AdjustedClock(clock)
        risk(process)


if __name__ == "__main__":
    sys.exit(run_command(live))
