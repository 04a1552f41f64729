"""Each fault of the Alpaca venue does what is documented, and is counted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--symbols", "AAPL", "--speed", "0") as running:
        yield running


@contextmanager
def _listening(sandbox: SandboxProcess) -> Iterator[ClientConnection]:
    with connect(sandbox.endpoints["stream_url"], proxy=None) as stream:
        stream.send(
            json.dumps({"action": "auth", "key": sandbox.endpoints["key"], "secret": sandbox.endpoints["secret"]})
        )
        stream.send('{"action": "listen", "data": {"streams": ["trade_updates"]}}')
        assert [json.loads(stream.recv(2))["stream"] for _ in range(2)] == ["authorization", "listening"]
        yield stream


def _post(sandbox: SandboxProcess, client_order_id: str) -> httpx.Response:
    order = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
    with sandbox.client() as client:
        return client.post("/v2/orders", json={**order, "client_order_id": client_order_id})


def _statuses(sandbox: SandboxProcess) -> dict[str, str]:
    with sandbox.admin() as admin:
        return {order["client_order_id"]: order["status"] for order in admin.get("/orders").json()}


def _events(stream: ClientConnection, count: int) -> list[str]:
    return [json.loads(stream.recv(2))["data"]["event"] for _ in range(count)]


def test_an_order_can_be_accepted_although_the_connection_dropped(sandbox: SandboxProcess) -> None:
    sandbox.arm("accept_then_drop")
    with pytest.raises(httpx.TransportError):
        _post(sandbox, "lost reply")
    eventually(lambda: _statuses(sandbox) == {"lost reply": "filled"})
    assert _post(sandbox, "lost reply").json()["message"] == "client_order_id must be unique"


def test_an_order_can_be_accepted_although_a_gateway_timed_out(sandbox: SandboxProcess) -> None:
    sandbox.arm("accept_then_504")
    reply = _post(sandbox, "gateway")
    assert (reply.status_code, reply.headers["Content-Type"]) == (504, "text/html; charset=utf-8")
    eventually(lambda: _statuses(sandbox) == {"gateway": "filled"})


def test_a_response_can_be_delayed(sandbox: SandboxProcess) -> None:
    sandbox.arm("accept_then_delay", ms=300)
    with _listening(sandbox) as stream:
        reply = _post(sandbox, "late")
        assert reply.elapsed.total_seconds() >= 0.3
        assert _events(stream, 3) == ["pending_new", "new", "fill"]
    assert reply.json()["status"] == "pending_new"


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503])
def test_a_request_can_be_answered_without_being_executed(sandbox: SandboxProcess, status: int) -> None:
    sandbox.arm("answer", status=status)
    assert _post(sandbox, "again").status_code == status
    assert _post(sandbox, "again").status_code == 200


def test_an_accepted_order_can_be_rejected_later(sandbox: SandboxProcess) -> None:
    sandbox.arm("reject")
    with _listening(sandbox) as stream:
        assert _post(sandbox, "rejected").status_code == 200
        assert _events(stream, 2) == ["pending_new", "rejected"]
    assert _statuses(sandbox) == {"rejected": "rejected"}


def test_an_event_can_be_lost(sandbox: SandboxProcess) -> None:
    sandbox.arm("lose_event", skip=1)
    with _listening(sandbox) as stream:
        _post(sandbox, "gap")
        assert _events(stream, 2) == ["pending_new", "fill"]


def test_an_event_can_be_sent_twice(sandbox: SandboxProcess) -> None:
    sandbox.arm("duplicate_event", skip=2)
    with _listening(sandbox) as stream:
        _post(sandbox, "twice")
        _events(stream, 2)
        first, second = stream.recv(2), stream.recv(2)
    assert first == second


def test_the_order_stream_can_be_dropped(sandbox: SandboxProcess) -> None:
    with _listening(sandbox) as stream:
        sandbox.arm("drop_stream")
        with pytest.raises(ConnectionClosed):
            stream.recv(2)


def test_the_order_stream_can_be_silenced(sandbox: SandboxProcess) -> None:
    with _listening(sandbox) as stream:
        sandbox.arm("mute_stream")
        _post(sandbox, "silenced")
        eventually(lambda: _statuses(sandbox) == {"silenced": "filled"})
        with sandbox.admin() as admin:
            admin.delete("/faults")
        _post(sandbox, "delivered")
        assert json.loads(stream.recv(2))["data"]["order"]["client_order_id"] == "delivered"


def test_a_new_order_can_be_hidden_by_read_lag(sandbox: SandboxProcess) -> None:
    sandbox.arm("read_lag", ms=300)
    _post(sandbox, "young")
    with sandbox.client() as client:

        def look() -> int:
            return client.get("/v2/orders:by_client_order_id?client_order_id=young").status_code

        assert look() == 404
        eventually(lambda: look() == 200)


def test_the_market_can_be_stopped() -> None:
    with running_sandbox("--symbols", "AAPL", "--speed", "200") as sandbox:
        eventually(lambda: sandbox.state()["counts"]["quotes_this_run"] > 20)
        sandbox.arm("stop_quotes")
        seen = sandbox.state()["counts"]["quotes_this_run"]
        with sandbox.client() as client:
            assert client.get("/v2/clock").json()["is_open"]
        assert sandbox.state()["counts"]["quotes_this_run"] - seen <= 1


def test_faults_are_counted_and_cleared(sandbox: SandboxProcess) -> None:
    sandbox.arm("answer", skip=1)
    _post(sandbox, "one")
    _post(sandbox, "two")
    with sandbox.admin() as admin:
        (armed,) = admin.get("/faults").json()
        assert (armed["kind"], armed["seen"], armed["done"]) == ("answer", 2, 1)
        admin.delete("/faults")
        assert admin.get("/faults").json() == []


@pytest.mark.parametrize("body", [{"kind": "earthquake"}, {"kind": "answer", "tmies": 2}])
def test_an_unknown_fault_is_rejected(sandbox: SandboxProcess, body: dict[str, Any]) -> None:
    with sandbox.admin() as admin:
        assert admin.post("/faults", json=body).status_code == 422


def test_requests_above_the_limit_are_rejected_until_the_next_minute() -> None:
    with running_sandbox("--speed", "0", "--rate-limit-per-minute", "3") as sandbox, sandbox.client() as client:
        # A new minute can start in between, so up to seven requests are needed.
        replies = [client.get("/v2/clock") for _ in range(8)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert refused[0].json() == {"code": 42910000, "message": "rate limit exceeded"}
    assert refused[0].headers["X-RateLimit-Remaining"] == "0"
