"""`up` trades: processes ready in order, orders filled, positions equal, and the same again on the same state."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.running_system import PROJECT, running_system

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

RUN_S = 10
FIRST_FILL_S_MAX = 20


def run_once(state: Path) -> dict[str, Any]:
    with running_system(state, "--for", str(RUN_S)) as up:
        result = up.result(within_s=120)
        assert up.process.returncode == 0, f"{result}\n{up.stderr_text()}"
    return result


def try_up(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "components.xtrader", "up", "--headless", "--json"]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, check=False, capture_output=True, text=True, timeout=scaled(30)
    )


def verify(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "components.xtrader", "journal", "verify", str(folder), "--json"],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_runs_in_a_row_fill_orders_and_agree_with_the_venue(tmp_path: Path) -> None:
    first, second = run_once(tmp_path), run_once(tmp_path)
    for result in (first, second):
        assert result["ok"], result
        assert result["first_fill_s"] - result["ready_s"] < scaled(FIRST_FILL_S_MAX)
        assert result["orders"]["filled"] >= 1
        assert result["orders"]["unknown"] == 0
        assert result["bus"]["gaps"] == 0
        assert result["positions"] == result["venue_positions"]
    for owner in ("risk", "execution"):
        found = verify(tmp_path / "var" / "dev" / "sandbox" / owner)
        assert found["ok"], found
        assert found["records"] > 0


def test_up_on_state_in_use_names_the_process(tmp_path: Path) -> None:
    with running_system(tmp_path) as first:
        eventually(lambda: first.manifest("sandbox"), within_s=20)
        second = try_up(first.environment)
    assert second.returncode == 75
    assert str(first.process.pid) in second.stderr
