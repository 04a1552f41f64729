"""Children start when their dependencies are ready, are restarted with a back-off, and stop in reverse order."""

import signal

from components.xtrader.supervisor.processes import PROCESSES
from components.xtrader.supervisor.supervisor import RESTART_DELAY_MS_MAX, STABLE_MS_MIN, RestartBackoff, Supervisor
from tests.support.supervisor_fakes import FakeClock, FakeLauncher


class SupervisorHarness:
    """A supervisor with a fake clock and a fake launcher."""

    def __init__(self) -> None:
        self.clock, self.launcher, self.reported = FakeClock(), FakeLauncher(), list[str]()
        self.supervisor = Supervisor(PROCESSES, self.launcher, self.clock, self.reported.append)

    def step(self, *, ms: int = 100, ready: tuple[str, ...] = ()) -> None:
        self.launcher.ready |= set(ready)
        self.clock.at_ns += ms * 1_000_000
        self.supervisor.step()

    def all_ready(self) -> None:
        for spec in PROCESSES:
            self.step()
            self.step(ready=(spec.name,))

    def exit(self, name: str, code: int) -> None:
        self.launcher.ready.discard(name)
        self.launcher.processes[name].code = code


def test_no_process_starts_before_its_dependencies_are_ready() -> None:
    harness = SupervisorHarness()
    harness.step()
    assert harness.launcher.launched == ["sandbox"]
    harness.step(ready=("sandbox",))
    harness.step(ready=("execution",))
    harness.step()
    assert harness.launcher.launched == ["sandbox", "execution", "market_data"]
    harness.step(ready=("market_data",))
    harness.step(ready=("risk",))
    harness.step()
    assert harness.launcher.launched[3:] == ["risk", "signals"]


def test_the_system_is_ready_once_every_child_is() -> None:
    harness = SupervisorHarness()
    harness.all_ready()
    assert harness.supervisor.is_ready


def test_an_exited_child_is_restarted_after_its_delay() -> None:
    harness = SupervisorHarness()
    harness.all_ready()
    harness.exit("risk", -signal.SIGKILL)
    harness.step(ms=1)
    assert "risk exited (SIGKILL); restarting in 250 ms" in harness.reported
    harness.step(ms=100)
    assert harness.launcher.launched.count("risk") == 1
    harness.step(ms=200)
    assert harness.launcher.launched.count("risk") == 2
    assert harness.supervisor.children["risk"].restarts == 1


def test_a_restart_does_not_wait_for_dependencies() -> None:
    harness = SupervisorHarness()
    harness.all_ready()
    harness.launcher.ready.discard("sandbox")
    harness.exit("risk", 70)
    harness.step(ms=1)
    harness.step(ms=300)
    assert harness.launcher.launched.count("risk") == 2


def test_a_permanent_exit_code_is_not_restarted() -> None:
    harness = SupervisorHarness()
    harness.step()
    harness.exit("sandbox", 78)
    harness.step()
    harness.step(ms=60_000)
    assert harness.supervisor.permanent_failure is harness.supervisor.children["sandbox"]
    assert harness.launcher.launched == ["sandbox"]


def test_children_stop_in_reverse_order_and_stay_stopped() -> None:
    harness = SupervisorHarness()
    harness.all_ready()
    harness.supervisor.stop()
    assert harness.launcher.stopped == [5, 4, 3, 2, 1]
    harness.step()
    assert len(harness.launcher.launched) == 5


def test_the_longest_unready_time_is_recorded() -> None:
    harness = SupervisorHarness()
    harness.all_ready()
    harness.launcher.ready.discard("market_data")
    harness.step(ms=1)
    harness.step(ms=2_000)
    harness.step(ms=1, ready=("market_data",))
    assert harness.supervisor.children["market_data"].unready_ns_max >= 2_000_000_000


def delays(failures: int, uptime_ms: int = 0) -> list[int]:
    backoff, found = RestartBackoff(), []
    for _ in range(failures):
        backoff = backoff.after_exit(uptime_ms=uptime_ms)
        found.append(backoff.delay_ms)
    return found


def test_the_first_start_does_not_wait() -> None:
    assert RestartBackoff().delay_ms == 0


def test_each_failure_in_a_row_doubles_the_delay_up_to_a_maximum() -> None:
    assert delays(8) == [250, 500, 1000, 2000, 4000, RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MAX]


def test_a_stable_uptime_resets_the_delay() -> None:
    assert delays(3, uptime_ms=STABLE_MS_MIN) == [250, 250, 250]
