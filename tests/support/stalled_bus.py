"""A process at risk's end of the bus that reads nothing until the test asks, and then everything that waits."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.contracts.decisions import OperatorReply
from components.contracts.streams import HEALTH, RISK_REQUESTS
from components.runtime.bus.bus import open_bus
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics
from components.runtime.service import RequestReceived, StreamBindings
from tests.support.captured_log import CapturedLog
from tests.support.machine import scaled

PROJECT = Path(__file__).resolve().parents[2]
READ_S_MAX = 60.0
READY = "ready\n"


class StalledBus:
    """The running process, as the test sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def survives(self, seconds: float) -> bool:
        """Return whether the process still runs after this time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def read(self) -> dict[str, dict[str, int]]:
        """Make it read everything that waits and return its counters, stream by stream."""
        out, errors = self._process.communicate("\n", timeout=scaled(READ_S_MAX))
        assert self._process.returncode == 0, f"ended with {self._process.returncode}\n{errors}"
        found: dict[str, dict[str, int]] = json.loads(out.splitlines()[-1])
        return found


@contextmanager
def stalled_bus(run: Path) -> Iterator[StalledBus]:
    """Start the process; it has bound and connected its sockets and its main thread waits."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.stalled_bus", str(run)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == READY, process.communicate(timeout=scaled(READ_S_MAX))
        yield StalledBus(process)
    finally:
        process.kill()
        process.communicate()


def main(run: Path) -> None:
    """Open the bus, wait for a line on standard input, read until nothing waits, print the counts."""
    lines = StreamBindings(component="risk", subscribes={HEALTH: None}, publishes=(HEALTH,), serves=(RISK_REQUESTS,))
    bus = open_bus(run, lines, clock=SystemClock(), metrics=Metrics("risk", "test"), log=CapturedLog(), records=None)
    sys.stdout.write(READY)
    sys.stdout.flush()
    sys.stdin.readline()
    before: object = None
    while (counts := {one.stream: one.counts for one in bus.statistics()}) != before:
        before = counts
        for inbound in (*bus.drain(64), *bus.poll_background()):
            if isinstance(inbound, RequestReceived):
                bus.reply(inbound.reply_to, OperatorReply(inbound.body.command_id, done=True, detail=""))
        bus.poll_snapshot_requests()
    bus.close()
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
