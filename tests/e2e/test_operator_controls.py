"""The operator controls of the runbook, used on a running system."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.running_system import PROJECT, RunningSystem, running_system

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

WITHIN_S = 40.0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("controls"), "--speed", "3") as running:
        eventually(lambda: _orders(running, "filled"), within_s=60)
        yield running


def test_a_halt_stops_new_orders_until_it_is_cleared_in_two_steps(up: RunningSystem) -> None:
    halted = _risk(up, "halt", "--reason", "test of the runbook")
    assert (halted["code"], _account(up)["causes"]) == (0, ["operator_halt"])
    eventually(lambda: _refusals(up) > 0, within_s=WITHIN_S)  # signals continue and are refused
    sent = len(_orders(up))
    refused = _refusals(up)
    eventually(lambda: _refusals(up) > refused, within_s=WITHIN_S)
    assert len(_orders(up)) == sent
    first = _risk(up, "resume")
    assert first["code"] == 1
    assert "test of the runbook" in first["detail"]
    assert _account(up)["state"] == "halted"
    assert _risk(up, "resume", "--reason", "test is over")["code"] == 0
    assert _account(up)["causes"] == []
    eventually(lambda: len(_orders(up)) > sent, within_s=WITHIN_S)


def test_the_halt_file_stops_execution_without_a_running_risk_process(up: RunningSystem) -> None:
    file = up.account_folder / "HALT"
    file.touch()
    before = _never_sent(up)
    eventually(lambda: _never_sent(up) > before, within_s=WITHIN_S)
    sent, unsent = len(_orders(up)), _never_sent(up)
    eventually(lambda: _never_sent(up) > unsent, within_s=WITHIN_S)
    assert len(_orders(up)) == sent
    assert _account(up)["state"] == "active"
    file.unlink()
    eventually(lambda: len(_orders(up)) > sent, within_s=WITHIN_S)


def test_all_working_orders_can_be_cancelled_while_trading_continues(up: RunningSystem) -> None:
    resting = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "limit_price": 10, "time_in_force": "gtc"}
    with _venue(up) as venue:
        order_id = venue.post("/v2/orders", json=resting).json()["id"]
        eventually(lambda: order_id in [one["venue_order_id"] for one in _execution(up, "orders", "--open")["orders"]])
        assert _risk(up, "cancel-all")["code"] == 0
        eventually(lambda: venue.get(f"/v2/orders/{order_id}").json()["status"] == "canceled", within_s=WITHIN_S)
    assert _account(up)["causes"] == []


def test_positions_closed_directly_at_the_venue_are_counted(up: RunningSystem) -> None:
    eventually(lambda: _account(up)["positions"], within_s=WITHIN_S)
    assert _risk(up, "halt", "--reason", "flat by hand")["code"] == 0
    with _venue(up) as venue:
        assert venue.delete("/v2/positions", params={"cancel_orders": "true"}).status_code == 207
    eventually(lambda: _account(up)["positions"] == {}, within_s=WITHIN_S, every_s=0.5)
    assert _account(up)["causes"] == ["operator_halt"]
    assert _risk(up, "resume", "--reason", "flat again")["code"] == 0
    assert _account(up)["state"] == "active"


def test_down_stops_it_gracefully(up: RunningSystem) -> None:
    done = _call(up, "xtrader", "down")
    assert done.returncode == 0, done.stderr
    assert up.result(60)["ok"] is True
    assert not [path for path in _folders(up) if _call(up, "xtrader", "journal", "verify", str(path)).returncode]


def _folders(up: RunningSystem) -> list[Path]:
    return [up.account_folder / name for name in ("risk", "execution")]


def _call(up: RunningSystem, component: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", f"components.{component}", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=up.environment, capture_output=True, text=True, check=False)


def _risk(up: RunningSystem, *arguments: str) -> dict[str, Any]:
    done = _call(up, "risk", *arguments, "--json")
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result | {"code": done.returncode}


def _account(up: RunningSystem) -> dict[str, Any]:
    return _risk(up, "account")


def _execution(up: RunningSystem, *arguments: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(_call(up, "execution", *arguments, "--json").stdout)
    return result


def _never_sent(up: RunningSystem) -> int:
    return sum(one["state"] == "never_sent" for one in _execution(up, "orders", "--last", "1000")["orders"])


def _orders(up: RunningSystem, status: str | None = None) -> list[dict[str, Any]]:
    manifest = up.manifest("sandbox")
    if manifest is None:
        return []
    orders: list[dict[str, Any]] = httpx.get(f"http://127.0.0.1:{manifest['health_port']}/orders").json()
    return [one for one in orders if status in (None, one["status"])]


def _refusals(up: RunningSystem) -> float:
    port = (up.manifest("risk") or {})["health_port"]
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("xtrader_risk_failed_checks_total{"))


def _venue(up: RunningSystem) -> httpx.Client:
    endpoints = up.sandbox_endpoints()
    keys = {"APCA-API-KEY-ID": endpoints["key"], "APCA-API-SECRET-KEY": endpoints["secret"]}
    return httpx.Client(base_url=endpoints["trading_url"], headers=keys, timeout=scaled(5))
