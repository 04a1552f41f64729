"""The kill drill passes if nothing was lost, and fails if the evidence was changed."""

import json
import subprocess
import sys
from typing import Any

import pytest

from components.runtime.config.settings import child_environment, load_settings
from components.runtime.paths import Paths
from components.xtrader.drills.order_checker import Violation, check_orders
from tests.support.machine import scaled
from tests.support.running_system import PROJECT
from tests.support.sandbox_process import running_sandbox

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(180)]

KILLS = 2


def drill(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "components.xtrader", "drill", "kill", *arguments]
    environment = child_environment(variables)
    return subprocess.run(
        command, cwd=PROJECT, env=environment, check=False, capture_output=True, text=True, timeout=scaled(150)
    )


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, dict[str, Any]]:
    state = tmp_path_factory.mktemp("drill")
    done = drill("--kills", str(KILLS), "--seed", "11", "--state", str(state), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return load_settings(environ=child_environment({"XTRADER__RUNTIME__STATE_DIR": str(state)})).paths, report


def test_a_drill_kills_and_finds_nothing_duplicated_or_lost(drilled: tuple[Paths, dict[str, Any]]) -> None:
    _, report = drilled
    assert report["kills"] == sum(report["restarts"].values()) == KILLS
    assert all(one["recovery_ms_max"] > 0 for one in report["by_process"].values())
    assert (report["duplicated"], report["lost"], report["unknown"], report["unapproved"]) == (0, 0, 0, 0)
    assert report["positions_equal"]
    assert report["journals_ok"]
    assert report["fills"] > 0


def test_an_order_of_another_client_is_found(drilled: tuple[Paths, dict[str, Any]]) -> None:
    paths, _ = drilled
    assert check_orders(paths)[0] == []
    foreign = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "day"}
    with running_sandbox("--state", str(paths.state / "sandbox"), "--speed", "0") as venue, venue.client() as client:
        assert client.post("/v2/orders", json={**foreign, "client_order_id": "somebody-0-0"}).status_code == 200
        venue.stop()
    assert {one.violation for one in check_orders(paths)[0]} == {Violation.LOST, Violation.UNAPPROVED}


def test_a_corrupt_journal_is_found(drilled: tuple[Paths, dict[str, Any]]) -> None:
    paths, _ = drilled
    segment = min(paths.journal("execution").glob("*.log"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    violations, evidence = check_orders(paths)
    assert Violation.JOURNAL in {one.violation for one in violations}
    assert evidence is None


def test_a_drill_is_refused_outside_the_sandbox() -> None:
    done = drill(XTRADER_ENV="prod", APCA_API_KEY_ID="PK0", APCA_API_SECRET_KEY="secret")
    assert (done.returncode, done.stderr) == (
        64,
        "error: a drill runs in the sandbox only, but XTRADER_ENV is prod, not dev\n",
    )
