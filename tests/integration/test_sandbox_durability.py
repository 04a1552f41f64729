"""A killed sandbox restarts with everything that it ever acknowledged."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration


def _order(**changes: Any) -> dict[str, Any]:
    return {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"} | changes


def _status(client: httpx.Client, client_order_id: str) -> str:
    found = client.get("/v2/orders:by_client_order_id", params={"client_order_id": client_order_id})
    return str(found.json()["status"])


def test_a_killed_venue_continues_from_its_stored_state(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), "--speed", "20") as sandbox:
        with sandbox.client() as client:
            client.post("/v2/orders", json=_order(client_order_id="filled", qty=5))
            client.post("/v2/orders", json=_order(client_order_id="open", type="limit", limit_price=5, symbol="MSFT"))
            eventually(lambda: _status(client, "filled") == "filled" and _status(client, "open") == "new")
            orders, account = client.get("/v2/orders?status=all").json(), client.get("/v2/account").json()
        eventually(lambda: sandbox.state()["counts"]["quotes_this_run"] > 200)
        before, where = sandbox.state(), sandbox.endpoints
        sandbox.kill()
        sandbox.restart()
        after = sandbox.state()
        assert sandbox.endpoints == where
        assert (after["positions"], after["cash"]) == (before["positions"], before["cash"])
        assert {name: after["counts"][name] for name in ("orders", "executions")} == {"orders": 2, "executions": 1}
        assert after["counts"]["events"] == before["counts"]["events"]
        assert [one["history"] for one in after["orders"]] == [one["history"] for one in before["orders"]]
        with sandbox.client() as client:
            assert client.get("/v2/orders?status=all").json() == orders
            assert client.get("/v2/account").json()["cash"] == account["cash"]
            for used in ("filled", "open"):
                rejected = client.post("/v2/orders", json=_order(client_order_id=used))
                assert rejected.json()["message"] == "client_order_id must be unique"


def test_prices_continue_after_a_restart(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), "--speed", "0") as sandbox:
        sandbox.set_quote("AAPL", "250.10", "250.20")
        with sandbox.client() as client:
            client.post("/v2/orders", json=_order(client_order_id="moves the ledger"))
            eventually(lambda: _status(client, "moves the ledger") == "filled")
        sandbox.kill()
        sandbox.restart()
        assert sandbox.state()["quotes"]["AAPL"] == ["250.10", "250.20"]


def test_an_order_in_a_transient_status_is_completed_after_a_restart(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), "--speed", "0") as sandbox:
        with sandbox.client() as client:
            client.post("/v2/orders", json=_order(client_order_id="just accepted"))
        sandbox.kill()
        sandbox.restart()
        with sandbox.client() as client:
            eventually(lambda: _status(client, "just accepted") == "filled")


def test_no_acknowledged_order_is_lost_by_a_kill_at_any_moment(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), "--rate-limit-per-minute", "100000") as sandbox:
        answered: list[str] = []
        enough = Event()

        def trade() -> None:
            with sandbox.client() as client:
                for number in range(10_000):
                    name = f"order-{number}"
                    reply = client.post("/v2/orders", json=_order(client_order_id=name, type="limit", limit_price=1))
                    answered.append(name)
                    assert reply.status_code == 200
                    if number == 40:
                        enough.set()

        with ThreadPoolExecutor(1) as pool:
            trading = pool.submit(trade)
            assert enough.wait(scaled(10))
            sandbox.kill()
            assert isinstance(trading.exception(10), httpx.TransportError)
        sandbox.restart()
        kept = [order["client_order_id"] for order in sandbox.state()["orders"]]
        # One more order may be stored than was acknowledged: the one interrupted by the kill.
        assert kept[: len(answered)] == answered
        assert len(kept) - len(answered) in {0, 1}


def test_without_a_state_folder_nothing_is_stored(tmp_path: Path) -> None:
    with running_sandbox("--speed", "0") as sandbox:
        with sandbox.client() as client:
            client.post("/v2/orders", json=_order())
        first = sandbox.endpoints["key"]
        sandbox.kill()
        sandbox.restart()
        assert sandbox.endpoints["key"] != first
        assert sandbox.state()["orders"] == []


def test_of_two_posts_with_the_same_id_exactly_one_succeeds() -> None:
    with running_sandbox("--speed", "0") as sandbox, ThreadPoolExecutor(8) as pool:
        for round_number in range(5):
            replies = list(pool.map(_post_once, [sandbox] * 8, [f"same-{round_number}"] * 8))
            assert sorted(replies) == [200] + [422] * 7
        assert len(sandbox.state()["orders"]) == 5


def _post_once(sandbox: SandboxProcess, client_order_id: str) -> int:
    with sandbox.client() as client:
        return client.post("/v2/orders", json=_order(client_order_id=client_order_id)).status_code
