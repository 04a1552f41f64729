"""A real process: it starts, is found, is ready, stops in order, and exits with the right code."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from components.runtime.clock import SystemClock
from components.runtime.config.settings import child_environment, load_settings
from components.runtime.paths import Paths
from components.runtime.process.manifest import Manifest, read_manifest
from tests.support.configuration_folder import ConfigurationFolder, shared_configuration
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.scripted_process import NAME

pytestmark = pytest.mark.integration

now_ns = SystemClock().monotonic_ns

PROJECT = Path(__file__).resolve().parents[2]


class ProcessFolder:
    """A configuration of the test's own, and the processes that use it."""

    def __init__(self, folder: ConfigurationFolder) -> None:
        self.folder = folder
        self.overrides = folder.environ(XTRADER__RUNTIME__RUN_DIR="run")
        self.started: list[subprocess.Popen[str]] = []

    def start(self, scenario: str, **variables: str) -> "subprocess.Popen[str]":
        return self.run("live", scenario, **variables)

    @property
    def places(self) -> Paths:
        return load_settings({}, self.overrides).paths

    def run(self, command: str, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.scripted_process", command, *arguments],
            cwd=PROJECT,
            env=child_environment({**self.overrides, **variables}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def is_ready(self) -> bool:
        return self.places.ready(NAME).exists()

    def manifest(self) -> Manifest | None:
        return read_manifest(self.places, NAME)

    def left(self) -> set[str]:
        return {path.name for path in self.places.run.iterdir()}


@pytest.fixture
def processes() -> Iterator[ProcessFolder]:
    with TemporaryDirectory(prefix="x") as root:
        processes = ProcessFolder(shared_configuration(Path(root)))
        yield processes
        for process in processes.started:
            process.kill()
            process.communicate()


def ended(process: "subprocess.Popen[str]", within_s: float = 15) -> tuple[int, str]:
    _, errors = process.communicate(timeout=scaled(within_s))
    return process.returncode, errors


def events(errors: str) -> list[str]:
    return [json.loads(line)["event"] for line in errors.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("scenario", ["run_quietly", "run_on_uvloop", "run_with_journal"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_zero(processes: ProcessFolder, scenario: str, number: signal.Signals) -> None:
    process = processes.start(scenario)
    eventually(processes.is_ready)
    process.send_signal(number)
    code, errors = ended(process, within_s=5)
    assert code == 0, errors
    assert events(errors) == ["process_started", "intake_stopped", "process_stopped"]
    assert "risk.json" not in processes.left()
    assert "risk.ready" not in processes.left()


def test_what_is_never_drained_is_cut_at_its_bound(processes: ProcessFolder) -> None:
    process = processes.start("never_drain", XTRADER__RUNTIME__DRAIN_TIMEOUT_MS="300")
    eventually(processes.is_ready)
    requested_at_ns = now_ns()
    process.terminate()
    code, errors = ended(process)
    assert code == 0, errors
    assert 0.3e9 <= now_ns() - requested_at_ns < scaled(2e9)
    assert "drain_timeout" in events(errors)


def test_a_second_signal_ends_at_once(processes: ProcessFolder) -> None:
    process = processes.start("never_drain", XTRADER__RUNTIME__DRAIN_TIMEOUT_MS="60000")
    eventually(processes.is_ready)
    process.terminate()
    eventually(lambda: not processes.is_ready())
    process.terminate()
    assert ended(process, within_s=2)[0] == 128 + signal.SIGTERM
    assert processes.manifest() is None
    assert "risk.json" not in processes.left()


def test_a_signal_during_the_start_ends_with_zero(processes: ProcessFolder) -> None:
    process = processes.start("never_finish_start")
    eventually(processes.manifest)
    process.terminate()
    code, errors = ended(process, within_s=5)
    assert code == 0, errors
    assert events(errors)[-1] == "process_stopped"
    assert "risk.json" not in processes.left()


def test_the_manifest_names_its_endpoints(processes: ProcessFolder) -> None:
    process = processes.start("run_quietly")
    eventually(processes.is_ready)
    manifest = processes.manifest()
    assert manifest is not None
    assert (manifest.pid, manifest.env, manifest.account) == (process.pid, "dev", "sandbox")
    assert manifest.endpoints["publications"] == f"ipc://{processes.places.run}/risk.pub"
    assert manifest.health_port > 0


def test_a_second_process_of_the_same_name_names_the_first(processes: ProcessFolder) -> None:
    first = processes.start("run_quietly")
    eventually(processes.is_ready)
    code, errors = ended(processes.start("run_quietly"))
    assert code == 75
    assert f"error: {processes.places.lock(NAME)} is held by process {first.pid}" in errors
    assert processes.manifest() is not None


def test_a_process_that_was_killed_leaves_no_lock_behind(processes: ProcessFolder) -> None:
    first = processes.start("run_quietly")
    eventually(processes.is_ready)
    first.kill()
    first.wait()
    second = processes.start("run_quietly")
    eventually(lambda: (manifest := processes.manifest()) is not None and manifest.pid == second.pid)


def test_a_stuck_loop_is_ended_with_its_stacks(processes: ProcessFolder) -> None:
    code, errors = ended(processes.start("block_in_tick", XTRADER__RUNTIME__WATCHDOG_TIMEOUT_MS="200"))
    assert code == 70
    assert "loop_stuck" in events(errors)
    assert "in on_tick" in errors


def test_a_process_that_was_paused_is_not_taken_for_stuck(processes: ProcessFolder) -> None:
    process = processes.start("run_quietly", XTRADER__RUNTIME__WATCHDOG_TIMEOUT_MS="1000")
    eventually(processes.is_ready)
    process.send_signal(signal.SIGSTOP)
    renewed_at = processes.places.ready(NAME).stat().st_mtime_ns
    paused_at_ns = now_ns()
    eventually(lambda: now_ns() - paused_at_ns > 2e9)
    process.send_signal(signal.SIGCONT)
    eventually(lambda: processes.places.ready(NAME).stat().st_mtime_ns > renewed_at)
    process.terminate()
    assert ended(process)[0] == 0


def test_a_bug_in_a_service_is_one_line_and_a_traceback_in_the_log(processes: ProcessFolder) -> None:
    code, errors = ended(processes.start("terminate_with_error"))
    assert code == 70
    assert errors.splitlines()[-1].endswith("see the log for the location: KeyError: 'a bug in the service'")
    assert events(errors)[-1] == "bug"
    assert "risk.json" not in processes.left()


def test_a_thread_that_dies_takes_the_process_with_it(processes: ProcessFolder) -> None:
    code, errors = ended(processes.start("fail_in_thread"))
    assert code == 70
    assert "thread_died" in events(errors)


def test_a_wrong_configuration_starts_nothing(processes: ProcessFolder) -> None:
    code, errors = ended(processes.start("run_quietly", XTRADER__RUNTIME__DRAIN_TIMEOUT_MS="-1"))
    assert code == 78
    assert errors == (
        "error: XTRADER__RUNTIME__DRAIN_TIMEOUT_MS: runtime.drain_timeout_ms: -1: "
        "must be a whole number, at least 0 and at most 60000\n"
    )
    assert not (processes.folder.root / "run").exists()


def test_a_secret_never_reaches_the_log(processes: ProcessFolder) -> None:
    code, errors = ended(processes.start("log_a_secret", APCA_API_KEY_ID="PK0123456789"))
    assert code == 0
    assert "PK0123456789" not in errors
    assert '"key":"***"' in errors


def test_a_reader_that_leaves_is_no_traceback(processes: ProcessFolder) -> None:
    process = processes.run("print-endlessly")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    code, errors = ended(process)
    assert (code, errors) == (141, "")
