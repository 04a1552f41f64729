"""A person at a terminal: the live view, every verb beside a running system, help at once, completion of words."""

import fcntl
import json
import os
import pty
import re
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

from components.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.machine import scaled, slowness
from tests.support.running_system import PROJECT, STOP_S_MAX, RunningSystem, running_system

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]


COMPONENTS = ("market-data", "signals", "risk", "execution", "sandbox")


HELP_MS_MAX = 150
"""Over the bare start of the interpreter."""


STARTS = 7


RSS_BYTES_MAX = 80 * 1024 * 1024


FILL_S_MAX = 60


LEFT = "\x1b[?1049l"


class Person:
    """Somebody in front of a terminal in which `up` runs."""

    def __init__(self, environment: Mapping[str, str], *, columns: int, lines: int) -> None:
        self.terminal, inside = pty.openpty()
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
        os.set_blocking(self.terminal, False)
        self.seen = ""

    def looks(self) -> str:
        """Everything that was written on the terminal so far."""
        try:
            while part := os.read(self.terminal, 1 << 16):
                self.seen += part.decode(errors="replace")
        except OSError:
            pass
        return self.seen

    def last_frame(self) -> list[str]:
        """The newest frame that is whole, without its colours."""
        frames = re.findall(r"\x1b\[\?2026h(.*?)\x1b\[\?2026l", self.looks(), re.DOTALL)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames[-1] if frames else "").replace("\r", "").split("\n")

    def sees(self, text: str) -> bool:
        return any(text in line for line in self.last_frame())

    def types(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def ends(self) -> int:
        """Wait for the end while reading on."""
        eventually(lambda: self.looks() and self.process.poll() is not None, within_s=STOP_S_MAX)
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.ends()
        os.close(self.terminal)
        os.close(self.inside)


@contextmanager
def watching(state: Path, *, columns: int = 120, lines: int = 45) -> Iterator[Person]:
    """Run `up` on a terminal for the length of a block."""
    person = Person(environment_of(state), columns=columns, lines=lines)
    try:
        yield person
    finally:
        person.close()


def environment_of(state: Path) -> dict[str, str]:
    folders = {
        "XTRADER__RUNTIME__STATE_DIR": str(state / "var"),
        "XTRADER__RUNTIME__RUN_DIR": str(state / "r"),
    }
    return {"PATH": os.defpath, "HOME": str(state), **folders}


def verb(environment: Mapping[str, str], *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "components.xtrader", *words]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        check=False,
        input=given,
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )


def said(environment: Mapping[str, str], *words: str, given: str = "") -> Any:
    """Give the JSON answer of a verb that must be content."""
    done = verb(environment, *words, "--json", given=given)
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def test_a_person_sees_it_trade_and_gets_the_terminal_back(tmp_path: Path) -> None:
    with watching(tmp_path) as person:
        eventually(lambda: person.sees("THE FIRST ORDER, EXPLAINED"), within_s=FILL_S_MAX)
        eventually(lambda: person.sees("filled"), within_s=5)
        frame = person.last_frame()
        assert len(frame) <= 45
        assert all(len(line) <= 120 for line in frame)
        for part in ("ACTIVE", "● signals", "tick to order", "PRICES", "SIGNALS AND VERDICTS", "ORDERS", "EVENTS"):
            assert person.sees(part), frame
        resident = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{person.process.pid}/status").read_text())[0])
        assert resident * 1024 <= RSS_BYTES_MAX
        person.types(b"keys that nobody asked for\x03")
        assert person.ends() == 0
        _, _, after = person.looks().rpartition(LEFT)
        assert "keys that nobody" not in person.looks()
        for part in ("first fill after", "Risk ran all", "ok", "verdicts:", "result:", "latency:", "bus:"):
            assert part in after, after
        assert termios.tcgetattr(person.inside) == person.modes


def test_a_kill_of_a_child_is_seen_and_a_small_terminal_is_no_trouble(tmp_path: Path) -> None:
    with watching(tmp_path, columns=80, lines=14) as person:
        eventually(lambda: person.sees("● signals"), within_s=FILL_S_MAX)
        manifest = json.loads((tmp_path / "r" / "signals.json").read_text())
        os.kill(manifest["pid"], signal.SIGKILL)
        eventually(lambda: person.sees("○ signals") or person.sees("signals ↻1"), within_s=20)
        assert len(person.last_frame()) <= 14


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """One system that trades, for all the verbs below."""
    with running_system(tmp_path_factory.mktemp("up")) as running:
        eventually(lambda: "first fill" in running.stderr_text(), within_s=FILL_S_MAX)
        yield running


def test_up_explains_the_first_order_in_plain_lines_too(up: RunningSystem) -> None:
    lines = up.stderr_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "first fill after" in line)
    assert "Risk ran all 17 checks" in lines[first + 2]


def test_explain_tells_the_last_order_from_tick_to_fill(up: RunningSystem) -> None:
    told = said(up.environment, "explain", "last")
    assert len(told["decision"]["checks"]) == 17
    assert all({"code", "observed", "limit", "holds"} <= set(check) for check in told["decision"]["checks"])
    assert told["decision"]["model"]["name"] == "demo version 1"
    assert told["decision"]["features"]["return_1"] is not None
    again = said(up.environment, "explain", told["decision"]["intent"]["signal_id"])
    assert again["order"] == told["order"]
    unknown = verb(up.environment, "explain", "nobody-0-1")
    assert (unknown.returncode, unknown.stdout) == (1, "no journal knows an order nobody-0-1\n")


def test_the_venue_is_asked_without_a_variable_set(up: RunningSystem) -> None:
    assert said(up.environment, "execution", "venue")["trading_blocked"] is False
    assert said(up.environment, "sandbox", "orders")["total"] >= 1
    assert said(up.environment, "sandbox", "state")["counts"]["executions"] >= 1
    armed = said(up.environment, "sandbox", "faults", "--arm", "reject", "--skip", "1000")["faults"]
    assert [one["kind"] for one in armed] == ["reject"]
    assert said(up.environment, "sandbox", "faults", "--clear")["faults"] == []


def test_every_component_can_be_looked_into(up: RunningSystem) -> None:
    assert {one["symbol"] for one in said(up.environment, "market-data", "state")["symbols"]} >= {"AAPL", "SPY"}
    assert said(up.environment, "market-data", "quote", "SPY")["quote"]["type"] == "Quote"
    assert said(up.environment, "market-data", "tail", "--count", "1")["sequence"] > 0
    assert said(up.environment, "signals", "features", "--count", "1")["symbol"]
    assert said(up.environment, "execution", "tail", "--from", "1", "--count", "1")["kind"] == "Opening"
    assert said(up.environment, "risk", "tail", "--count", "1")["intent_id"].startswith("demo-")
    assert said(up.environment, "risk", "account")["state"] == "active"


def test_a_hand_made_signal_passes_the_running_gate_and_is_explained(up: RunningSystem) -> None:
    wish = '{"symbol": "SPY", "side": "buy", "quantity": 1}'
    told = said(up.environment, "risk", "submit", "-", given=wish)
    story = eventually(lambda: explained(up, told["intent_id"], "filled"), within_s=10)
    assert story["symbol"] == "SPY"
    refused = verb(up.environment, "risk", "submit", "-", given=wish.replace("1}", "100000}"))
    assert refused.returncode == 1
    assert "REFUSES  order_quantity" in refused.stdout


def explained(up: RunningSystem, name: str, state: str) -> Any:
    story = json.loads(verb(up.environment, "explain", name, "--json").stdout)
    return story if story.get("state") == state else None


def test_the_doctor_is_content_beside_a_running_system(up: RunningSystem) -> None:
    found = said(up.environment, "doctor")
    assert {one["subject"] for one in found["findings"]} >= {"python", "disk", "clock", "seal", "model", "journals"}
    sick = verb({**up.environment, "XTRADER__RISK__LIMITS__NONE": "1"}, "doctor")
    assert sick.returncode == 1
    assert "risk.limits.none" in sick.stdout


def test_down_stops_it_in_order_and_then_there_is_nothing_to_stop(tmp_path: Path) -> None:
    with running_system(tmp_path) as running:
        eventually(lambda: "everything is ready" in running.stderr_text(), within_s=FILL_S_MAX)
        stopped = said(running.environment, "down")
        assert stopped == {"pid": running.process.pid, "stopped": True}
        assert running.result(within_s=20)["positions"] is not None
        assert not (running.run_folder / "told.json").exists()
        nothing = verb(running.environment, "down")
    assert nothing.returncode == 69
    assert "nothing to stop" in nothing.stderr
    assert len(nothing.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [(), *((name,) for name in COMPONENTS), ("config",), ("journal",)])
def test_help_is_there_at_once(words: tuple[str, ...]) -> None:
    bare = least_ms(["-c", "pass"])
    helped = least_ms(["-m", "components.xtrader", *words, "--help"])
    assert helped - bare < HELP_MS_MAX * slowness(), f"{helped:.0f} ms, bare {bare:.0f} ms"


def least_ms(arguments: list[str]) -> float:
    """Start it several times and give the quickest: the others had company."""
    clock, spent = SystemClock(), []
    for _ in range(STARTS):
        begun_ns = clock.monotonic_ns()
        subprocess.run([sys.executable, *arguments], cwd=PROJECT, check=True, capture_output=True)
        spent.append((clock.monotonic_ns() - begun_ns) / 1e6)
    return min(spent)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("xtrader ex", {"explain", "execution"}),
        ("xtrader risk ", {"account", "halt", "submit", "tail"}),
        ("xtrader config show --o", {"--origins"}),
    ],
)
def test_words_complete_also_below_lazy_groups(tmp_path: Path, typed: str, offered: set[str]) -> None:
    asked = {"_XTRADER_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = completing(tmp_path, asked)
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} >= offered, done.stderr


def test_the_shell_is_given_its_script(tmp_path: Path) -> None:
    done = completing(tmp_path, {"_XTRADER_COMPLETE": "bash_source"})
    assert done.returncode == 0
    assert "complete -o nosort -F _xtrader_completion xtrader" in done.stdout


def completing(state: Path, asked: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("xtrader")
    environment = {**environment_of(state), **asked}
    return subprocess.run([program], env=environment, check=False, capture_output=True, text=True, timeout=scaled(30))
