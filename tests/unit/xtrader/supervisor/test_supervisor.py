"""Children start when those they need are ready, come back when they die, and stop in reverse.

A dead child comes back soon, then less eagerly, then soon again once it has lived.
"""

import signal

from components.xtrader.supervisor.processes import PROCESSES
from components.xtrader.supervisor.supervisor import RESTART_DELAY_MS_MAX, STABLE_MS_MIN, RestartBackoff, Supervisor
from tests.support.supervisor_fakes import FakeClock, FakeLauncher


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


def delays(deaths: int, lived_ms: int = 0) -> list[int]:
    lives, found = RestartBackoff(), []
    for _ in range(deaths):
        lives = lives.after_exit(uptime_ms=lived_ms)
        found.append(lives.delay_ms)
    return found


def test_the_first_start_does_not_wait() -> None:
    assert RestartBackoff().delay_ms == 0


def test_each_death_in_a_row_doubles_the_wait_up_to_a_cap() -> None:
    assert delays(8) == [250, 500, 1000, 2000, 4000, RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MAX]


def test_a_long_life_is_forgiven() -> None:
    assert delays(3, lived_ms=STABLE_MS_MIN) == [250, 250, 250]
