"""A clock, processes and a launcher under the control of a test, for a supervisor."""

import signal

from components.xtrader.supervisor.health import Readiness
from components.xtrader.supervisor.processes import ProcessSpec


class FakeClock:
    def __init__(self) -> None:
        self.at_ns = 1

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


class FakeProcess:
    def __init__(self, pid: int, stopped: list[int]) -> None:
        self.pid = pid
        self.code: int | None = None
        self._stopped = stopped

    def poll(self) -> int | None:
        return self.code

    def send_signal(self, sig: int) -> None:
        self._stopped.append(self.pid)
        self.code = 0

    def wait(self, timeout: float | None = None) -> int:
        return self.code or 0

    def kill(self) -> None:
        self.code = -signal.SIGKILL


class FakeLauncher:
    def __init__(self) -> None:
        self.launched: list[str] = []
        self.ready: set[str] = set()
        self.processes: dict[str, FakeProcess] = {}
        self.stopped: list[int] = []

    def launch(self, spec: ProcessSpec) -> FakeProcess:
        self.launched.append(spec.name)
        self.processes[spec.name] = FakeProcess(len(self.launched), self.stopped)
        return self.processes[spec.name]

    def probe(self, spec: ProcessSpec, pid: int) -> Readiness:
        return Readiness(is_ready=spec.name in self.ready, detail="starting")
