"""Children start when those they need are ready, come back when they die, and stop in reverse."""

import signal

from components.xtrader.children import CHILDREN, Child
from components.xtrader.crew import Crew
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


class FakeYard:
    def __init__(self) -> None:
        self.launched: list[str] = []
        self.ready: set[str] = set()
        self.processes: dict[str, FakeProcess] = {}
        self.stopped: list[int] = []

    def launch(self, child: Child) -> FakeProcess:
        self.launched.append(child.name)
        self.processes[child.name] = FakeProcess(len(self.launched), self.stopped)
        return self.processes[child.name]

    def look(self, child: Child, pid: int) -> Readiness:
        return Readiness(is_ready=child.name in self.ready, detail="starting")


class Yard:
    """A crew with everything it touches."""

    def __init__(self) -> None:
        self.clock, self.yard, self.said = FakeClock(), FakeYard(), list[str]()
        self.crew = Crew(CHILDREN, self.yard, self.clock, self.said.append)

    def step(self, *, ms: int = 100, ready: tuple[str, ...] = ()) -> None:
        self.yard.ready |= set(ready)
        self.clock.at_ns += ms * 1_000_000
        self.crew.step()

    def all_ready(self) -> None:
        for child in CHILDREN:
            self.step()
            self.step(ready=(child.name,))

    def die(self, name: str, code: int) -> None:
        self.yard.ready.discard(name)
        self.yard.processes[name].code = code


def test_nobody_starts_before_those_it_needs_are_ready() -> None:
    here = Yard()
    here.step()
    assert here.yard.launched == ["sandbox"]
    here.step(ready=("sandbox",))
    here.step(ready=("execution",))
    here.step()
    assert here.yard.launched == ["sandbox", "execution", "market_data"]
    here.step(ready=("market_data",))
    here.step(ready=("risk",))
    here.step()
    assert here.yard.launched[3:] == ["risk", "signals"]


def test_all_are_ready_once_the_last_one_is() -> None:
    here = Yard()
    here.all_ready()
    assert here.crew.is_ready


def test_a_dead_child_is_started_again_after_its_delay() -> None:
    here = Yard()
    here.all_ready()
    here.die("risk", -signal.SIGKILL)
    here.step(ms=1)
    assert "risk ended with SIGKILL; starting it again in 250 ms" in here.said
    here.step(ms=100)
    assert here.yard.launched.count("risk") == 1
    here.step(ms=200)
    assert here.yard.launched.count("risk") == 2
    assert here.crew.berths["risk"].restarts == 1


def test_a_returning_child_waits_for_nobody() -> None:
    here = Yard()
    here.all_ready()
    here.yard.ready.discard("sandbox")
    here.die("risk", 70)
    here.step(ms=1)
    here.step(ms=300)
    assert here.yard.launched.count("risk") == 2


def test_an_end_that_would_repeat_itself_is_given_up() -> None:
    here = Yard()
    here.step()
    here.die("sandbox", 78)
    here.step()
    here.step(ms=60_000)
    assert here.crew.given_up is here.crew.berths["sandbox"]
    assert here.yard.launched == ["sandbox"]


def test_children_stop_in_reverse_and_stay_stopped() -> None:
    here = Yard()
    here.all_ready()
    here.crew.stop()
    assert here.yard.stopped == [5, 4, 3, 2, 1]
    here.step()
    assert len(here.yard.launched) == 5


def test_how_long_a_child_was_away_is_remembered() -> None:
    here = Yard()
    here.all_ready()
    here.yard.ready.discard("market_data")
    here.step(ms=1)
    here.step(ms=2_000)
    here.step(ms=1, ready=("market_data",))
    assert here.crew.berths["market_data"].unready_ns_max >= 2_000_000_000
