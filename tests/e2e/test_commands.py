"""The command line: the live view on a terminal, every command beside a running system, fast help, shell completion."""

import fcntl
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.machine import scaled, slowness
from tests.support.running_system import PROJECT, STOP_S_MAX, RunningSystem, running_system

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

COMPONENTS = ("market-data", "signals", "risk", "execution", "sandbox")
HELP_MS_MAX = 150
"""Processor time over the bare start of the interpreter."""
STARTS = 7
RSS_BYTES_MAX = 80 * 1024 * 1024
FILL_S_MAX = 60
LEFT = "\x1b[?1049l"


class Terminal:
    """A terminal in which `up` runs, from the user's side."""

    def __init__(self, environment: Mapping[str, str], *, columns: int, lines: int) -> None:
        self.master, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.modes = termios.tcgetattr(inside)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "components.xtrader", "up"],
            cwd=PROJECT,
            env={**environment, "TERM": "xterm-256color"},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # Ctrl-C comes from a terminal
        )
        self.inside = inside
        os.set_blocking(self.master, False)
        self.output = ""

    def read(self) -> str:
        """Everything that was written on the terminal so far."""
        try:
            while part := os.read(self.master, 1 << 16):
                self.output += part.decode(errors="replace")
        except OSError:
            pass
        return self.output

    def last_frame(self) -> list[str]:
        """The newest complete frame, without colours."""
        frames = re.findall(r"\x1b\[\?2026h(.*?)\x1b\[\?2026l", self.read(), re.DOTALL)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames[-1] if frames else "").replace("\r", "").split("\n")

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.last_frame())

    def type_keys(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for_exit(self) -> int:
        """Wait for the exit while reading the output."""
        eventually(lambda: self.read() and self.process.poll() is not None, within_s=STOP_S_MAX)
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.wait_for_exit()
        os.close(self.master)
        os.close(self.inside)


@contextmanager
def up_on_a_terminal(state: Path, *, columns: int = 120, lines: int = 45) -> Iterator[Terminal]:
    """Run `up` on a terminal for the length of a block."""
    terminal = Terminal(environment_of(state), columns=columns, lines=lines)
    try:
        yield terminal
    finally:
        terminal.close()


def environment_of(state: Path) -> dict[str, str]:
    folders = {
        "XTRADER__RUNTIME__STATE_DIR": str(state / "var"),
        "XTRADER__RUNTIME__RUN_DIR": str(state / "r"),
    }
    return {"PATH": os.defpath, "HOME": str(state), **folders}


def run_command(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "components.xtrader", *arguments]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )


def json_result(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> Any:
    """Return the JSON output of a command that must succeed."""
    done = run_command(environment, *arguments, "--json", stdin=stdin)
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def test_the_live_view_shows_trading_and_restores_the_terminal(tmp_path: Path) -> None:
    with up_on_a_terminal(tmp_path) as terminal:
        eventually(lambda: terminal.shows("THE FIRST ORDER, EXPLAINED"), within_s=FILL_S_MAX)
        eventually(lambda: terminal.shows("filled"), within_s=5)
        frame = terminal.last_frame()
        assert len(frame) <= 45
        assert all(len(line) <= 120 for line in frame)
        for part in ("ACTIVE", "● signals", "tick to order", "PRICES", "SIGNALS AND DECISIONS", "ORDERS", "EVENTS"):
            assert terminal.shows(part), frame
        resident = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{terminal.process.pid}/status").read_text())[0])
        assert resident * 1024 <= RSS_BYTES_MAX
        terminal.type_keys(b"keys that are not echoed\x03")
        assert terminal.wait_for_exit() == 0
        _, _, after = terminal.read().rpartition(LEFT)
        assert "keys that are not" not in terminal.read()
        for part in ("first fill after", "Risk ran all", "ok", "decisions:", "P&L:", "latency:", "bus:"):
            assert part in after, after
        assert termios.tcgetattr(terminal.inside) == terminal.modes


def test_a_killed_child_is_shown_on_a_small_terminal(tmp_path: Path) -> None:
    with up_on_a_terminal(tmp_path, columns=80, lines=14) as terminal:
        eventually(lambda: terminal.shows("● signals"), within_s=FILL_S_MAX)
        manifest = json.loads((tmp_path / "r" / "signals.json").read_text())
        os.kill(manifest["pid"], signal.SIGKILL)
        eventually(lambda: terminal.shows("○ signals") or terminal.shows("signals ↻1"), within_s=20)
        assert len(terminal.last_frame()) <= 14


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """One trading system for all the commands below."""
    with running_system(tmp_path_factory.mktemp("up")) as running:
        eventually(lambda: "first fill" in running.stderr_text(), within_s=FILL_S_MAX)
        yield running


def test_plain_output_explains_the_first_order(up: RunningSystem) -> None:
    lines = up.stderr_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "first fill after" in line)
    assert "Risk ran all 17 checks" in lines[first + 2]


def test_explain_prints_the_last_order_from_tick_to_fill(up: RunningSystem) -> None:
    result = json_result(up.environment, "explain", "last")
    assert len(result["decision"]["checks"]) == 17
    assert all({"name", "observed", "limit", "passed"} <= set(check) for check in result["decision"]["checks"])
    assert result["decision"]["model"]["name"] == "demo version 1"
    assert result["decision"]["features"]["return_1"] is not None
    again = json_result(up.environment, "explain", result["decision"]["intent"]["signal_id"])
    assert again["order"] == result["order"]
    unknown = run_command(up.environment, "explain", "nobody-0-1")
    assert (unknown.returncode, unknown.stdout) == (1, "no journal holds an order nobody-0-1\n")


def test_the_venue_is_queried_without_a_variable_set(up: RunningSystem) -> None:
    assert json_result(up.environment, "execution", "venue")["trading_blocked"] is False
    assert json_result(up.environment, "sandbox", "orders")["total"] >= 1
    assert json_result(up.environment, "sandbox", "state")["counts"]["executions"] >= 1
    armed = json_result(up.environment, "sandbox", "faults", "--arm", "reject", "--skip", "1000")["faults"]
    assert [one["kind"] for one in armed] == ["reject"]
    assert json_result(up.environment, "sandbox", "faults", "--clear")["faults"] == []


def test_every_component_can_be_inspected(up: RunningSystem) -> None:
    assert {one["symbol"] for one in json_result(up.environment, "market-data", "state")["symbols"]} >= {"AAPL", "SPY"}
    assert json_result(up.environment, "market-data", "quote", "SPY")["quote"]["type"] == "Quote"
    assert json_result(up.environment, "market-data", "tail", "--count", "1")["sequence"] > 0
    assert json_result(up.environment, "signals", "features", "--count", "1")["symbol"]
    assert json_result(up.environment, "execution", "tail", "--from", "1", "--count", "1")["kind"] == "OpeningBalance"
    assert json_result(up.environment, "risk", "tail", "--count", "1")["intent_id"].startswith("demo-")
    assert json_result(up.environment, "risk", "account")["state"] == "active"


def test_a_manual_signal_is_approved_and_explained(up: RunningSystem) -> None:
    proposal = '{"symbol": "SPY", "side": "buy", "quantity": 1}'
    result = json_result(up.environment, "risk", "submit", "-", stdin=proposal)
    history = eventually(lambda: explained(up, result["intent_id"], "filled"), within_s=10)
    assert history["symbol"] == "SPY"
    refused = run_command(up.environment, "risk", "submit", "-", stdin=proposal.replace("1}", "100000}"))
    assert refused.returncode == 1
    assert "FAILS    order_quantity" in refused.stdout


def explained(up: RunningSystem, name: str, state: str) -> Any:
    history = json.loads(run_command(up.environment, "explain", name, "--json").stdout)
    return history if history.get("state") == state else None


def test_the_doctor_finds_no_blocker_beside_a_running_system(up: RunningSystem) -> None:
    found = json_result(up.environment, "doctor")
    assert {one["subject"] for one in found["findings"]} >= {"python", "disk", "clock", "seal key", "model", "journals"}
    invalid = run_command({**up.environment, "XTRADER__RISK__LIMITS__NONE": "1"}, "doctor")
    assert invalid.returncode == 1
    assert "risk.limits.none" in invalid.stdout


def test_down_stops_the_system_and_then_there_is_nothing_to_stop(tmp_path: Path) -> None:
    with running_system(tmp_path) as running:
        eventually(lambda: "everything is ready" in running.stderr_text(), within_s=FILL_S_MAX)
        stopped = json_result(running.environment, "down")
        assert stopped == {"pid": running.process.pid, "stopped": True}
        assert running.result(within_s=20)["positions"] is not None
        assert not (running.run_folder / "environment.json").exists()
        nothing = run_command(running.environment, "down")
    assert nothing.returncode == 69
    assert "nothing to stop" in nothing.stderr
    assert len(nothing.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [(), *((name,) for name in COMPONENTS), ("config",), ("journal",)])
def test_help_is_fast(words: tuple[str, ...]) -> None:
    bare = least_ms(["-c", "pass"])
    helped = least_ms(["-m", "components.xtrader", *words, "--help"])
    assert helped - bare < HELP_MS_MAX * slowness(), f"{helped:.0f} ms, bare {bare:.0f} ms"


def least_ms(arguments: list[str]) -> float:
    """Return the least processor time of several starts: what other processes do meanwhile does not count."""
    spent = []
    for _ in range(STARTS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=PROJECT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1_000)
    return min(spent)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("xtrader ex", {"explain", "execution"}),
        ("xtrader risk ", {"account", "halt", "submit", "tail"}),
        ("xtrader config show --o", {"--origins"}),
    ],
)
def test_completion_works_below_lazy_groups(tmp_path: Path, typed: str, offered: set[str]) -> None:
    variables = {"_XTRADER_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = completing(tmp_path, variables)
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} >= offered, done.stderr


def test_the_completion_script_is_printed(tmp_path: Path) -> None:
    done = completing(tmp_path, {"_XTRADER_COMPLETE": "bash_source"})
    assert done.returncode == 0
    assert "complete -o nosort -F _xtrader_completion xtrader" in done.stdout


def completing(state: Path, variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("xtrader")
    environment = {**environment_of(state), **variables}
    return subprocess.run([program], env=environment, check=False, capture_output=True, text=True, timeout=scaled(30))
