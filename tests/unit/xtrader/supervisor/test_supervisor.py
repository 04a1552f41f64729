"""Children start when those they need are ready, come back when they die, and stop in reverse."""

import signal

from components.xtrader.children import PROCESSES, ProcessSpec
from components.xtrader.crew import Supervisor
from components.xtrader.vitals import Readiness


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


class SupervisorHarness:
    """A crew with everything it touches."""

    def __init__(self) -> None:
        self.clock, self.launcher, self.reported = FakeClock(), FakeLauncher(), list[str]()
        self.supervisor = Supervisor(PROCESSES, self.launcher, self.clock, self.reported.append)

    def step(self, *, ms: int = 100, ready: tuple[str, ...] = ()) -> None:
        self.launcher.ready |= set(ready)
        self.clock.at_ns += ms * 1_000_000
        self.supervisor.step()

    def all_ready(self) -> None:
        for child in PROCESSES:
            self.step()
            self.step(ready=(child.name,))

    def die(self, name: str, code: int) -> None:
        self.launcher.ready.discard(name)
        self.launcher.processes[name].code = code


def test_nobody_starts_before_those_it_needs_are_ready() -> None:
    here = SupervisorHarness()
    here.step()
    assert here.launcher.launched == ["sandbox"]
    here.step(ready=("sandbox",))
    here.step(ready=("execution",))
    here.step()
    assert here.launcher.launched == ["sandbox", "execution", "market_data"]
    here.step(ready=("market_data",))
    here.step(ready=("risk",))
    here.step()
    assert here.launcher.launched[3:] == ["risk", "signals"]


def test_all_are_ready_once_the_last_one_is() -> None:
    here = SupervisorHarness()
    here.all_ready()
    assert here.supervisor.is_ready


def test_a_dead_child_is_started_again_after_its_delay() -> None:
    here = SupervisorHarness()
    here.all_ready()
    here.die("risk", -signal.SIGKILL)
    here.step(ms=1)
    assert "risk ended with SIGKILL; starting it again in 250 ms" in here.reported
    here.step(ms=100)
    assert here.launcher.launched.count("risk") == 1
    here.step(ms=200)
    assert here.launcher.launched.count("risk") == 2
    assert here.supervisor.children["risk"].restarts == 1


def test_a_returning_child_waits_for_nobody() -> None:
    here = SupervisorHarness()
    here.all_ready()
    here.launcher.ready.discard("sandbox")
    here.die("risk", 70)
    here.step(ms=1)
    here.step(ms=300)
    assert here.launcher.launched.count("risk") == 2


def test_an_end_that_would_repeat_itself_is_given_up() -> None:
    here = SupervisorHarness()
    here.step()
    here.die("sandbox", 78)
    here.step()
    here.step(ms=60_000)
    assert here.supervisor.permanent_failure is here.supervisor.children["sandbox"]
    assert here.launcher.launched == ["sandbox"]


def test_children_stop_in_reverse_and_stay_stopped() -> None:
    here = SupervisorHarness()
    here.all_ready()
    here.supervisor.stop()
    assert here.launcher.stopped == [5, 4, 3, 2, 1]
    here.step()
    assert len(here.launcher.launched) == 5


def test_how_long_a_child_was_away_is_remembered() -> None:
    here = SupervisorHarness()
    here.all_ready()
    here.launcher.ready.discard("market_data")
    here.step(ms=1)
    here.step(ms=2_000)
    here.step(ms=1, ready=("market_data",))
    assert here.supervisor.children["market_data"].unready_ns_max >= 2_000_000_000
