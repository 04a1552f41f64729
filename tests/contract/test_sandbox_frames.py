"""Golden frames: what the sandbox sends, byte by byte."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess, running_sandbox

ORDER_KEYS = (
    "id client_order_id created_at updated_at submitted_at filled_at expired_at canceled_at failed_at replaced_at"
    " replaced_by replaces asset_id symbol asset_class notional qty filled_qty filled_avg_price order_class order_type"
    " type side position_intent time_in_force limit_price stop_price status extended_hours legs trail_percent"
    " trail_price hwm subtag source expires_at"
)
PACKED = {"Content-Type": "application/msgpack"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--symbols", "AAPL,MSFT", "--speed", "0") as running:
        yield running


def _data(sandbox: SandboxProcess, feed: str = "iex", **options: Any) -> ClientConnection:
    url = sandbox.endpoints["data_url"].replace("/iex", f"/{feed}")
    connection: ClientConnection = connect(url, proxy=None, **options)
    return connection


def _authenticate(sandbox: SandboxProcess, data: ClientConnection) -> None:
    data.send(json.dumps({"action": "auth", "key": sandbox.endpoints["key"], "secret": sandbox.endpoints["secret"]}))


@contextmanager
def _logged_in(sandbox: SandboxProcess) -> Iterator[ClientConnection]:
    """Connect to the data feed and log in; the previous client may need a moment to disconnect."""
    with ExitStack() as attempts:

        def attempt() -> ClientConnection | None:
            data: ClientConnection = attempts.enter_context(_data(sandbox))
            data.recv(2)
            _authenticate(sandbox, data)
            return data if data.recv(2) == '[{"T":"success","msg":"authenticated"}]' else None

        entered: ClientConnection | None = eventually(attempt)
        assert entered is not None
        yield entered


def _stream(sandbox: SandboxProcess) -> ClientConnection:
    def attempt() -> ClientConnection | None:
        try:
            return connect(sandbox.endpoints["stream_url"], proxy=None)
        except InvalidStatus:
            return None

    entered: ClientConnection | None = eventually(attempt)
    assert entered is not None
    return entered


def _order(**changes: Any) -> dict[str, Any]:
    return {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"} | changes


def test_the_order_stream_sends_binary_frames(sandbox: SandboxProcess) -> None:
    where = sandbox.endpoints
    with _stream(sandbox) as stream:
        login = {"action": "authenticate", "data": {"key_id": where["key"], "secret_key": where["secret"]}}
        stream.send(json.dumps(login))
        assert stream.recv(2) == b'{"stream":"authorization","data":{"action":"authenticate","status":"authorized"}}'
        stream.send('{"action": "listen", "data": {"streams": ["trade_updates"]}}')
        assert stream.recv(2) == b'{"stream":"listening","data":{"streams":["trade_updates"]}}'
        with sandbox.client() as client:
            client.post("/v2/orders", json=_order(client_order_id="reported"))
        events = [json.loads(stream.recv(2)) for _ in range(3)]
    assert [event["data"]["event"] for event in events] == ["pending_new", "new", "fill"]
    assert [event["data"]["execution_id"] is None for event in events] == [True, False, False]
    assert set(events[0]["data"]) == {"event", "execution_id", "timestamp", "order"}
    assert set(events[2]["data"]) == {"event", "execution_id", "timestamp", "order", "price", "qty", "position_qty"}
    assert all(" ".join(event["data"]["order"]) == ORDER_KEYS for event in events)
    assert (events[2]["data"]["qty"], events[2]["data"]["order"]["filled_qty"]) == ("1", "1")


def test_the_order_stream_accepts_the_short_login(sandbox: SandboxProcess) -> None:
    with _stream(sandbox) as stream:
        stream.send(
            json.dumps({"action": "auth", "key": sandbox.endpoints["key"], "secret": sandbox.endpoints["secret"]})
        )
        assert b'"authorized"' in stream.recv(2)


@pytest.mark.parametrize(
    ("request_body", "action"),
    [
        ({"action": "authenticate", "data": {"key_id": "x", "secret_key": "y"}}, b"authenticate"),
        ({"action": "listen", "data": {"streams": ["trade_updates"]}}, b"listen"),
    ],
)
def test_an_unauthorized_client_of_the_order_stream_is_disconnected(
    sandbox: SandboxProcess, request_body: dict[str, Any], action: bytes
) -> None:
    with _stream(sandbox) as stream:
        stream.send(json.dumps(request_body))
        status = b'{"stream":"authorization","data":{"action":"' + action + b'","status":"unauthorized"}}'
        assert stream.recv(2) == status
        with pytest.raises(ConnectionClosed):
            stream.recv(2)


def test_a_second_order_stream_is_rejected_in_the_handshake(sandbox: SandboxProcess) -> None:
    with _stream(sandbox), pytest.raises(InvalidStatus) as rejected:
        connect(sandbox.endpoints["stream_url"], proxy=None)
    assert rejected.value.response.status_code == 429


def test_the_data_stream_sends_json_arrays(sandbox: SandboxProcess) -> None:
    with _data(sandbox, "sip") as data:
        assert data.recv(2) == '[{"T":"success","msg":"connected"}]'
        _authenticate(sandbox, data)
        assert data.recv(2) == '[{"T":"success","msg":"authenticated"}]'
        data.send('{"action":"subscribe","trades":["AAPL"],"quotes":["AAPL","MSFT"],"bars":["*"]}')
        assert data.recv(2) == (
            '[{"T":"subscription","trades":["AAPL"],"quotes":["AAPL","MSFT"],"bars":["*"],"updatedBars":[],'
            '"dailyBars":[],"statuses":[],"lulds":[],"corrections":["AAPL"],"cancelErrors":["AAPL"]}]'
        )
        sandbox.set_quote("MSFT", "419.5", "419.75")
        text = data.recv(2)
        (quote,) = json.loads(text)
        stamped = quote.pop("t")
        assert quote == {
            "T": "q", "S": "MSFT", "bx": "V", "bp": 419.5, "bs": 100,
            "ax": "V", "ap": 419.75, "as": 100, "c": ["R"], "z": "C",
        }  # fmt: skip
        assert len(stamped) == len("2026-11-20T14:31:24.700123456Z")
        data.send('{"action":"unsubscribe","quotes":["MSFT"]}')
        assert json.loads(data.recv(2))[0]["quotes"] == ["AAPL"]


def test_the_data_stream_sends_msgpack_and_accepts_fragments(sandbox: SandboxProcess) -> None:
    pack = msgspec.msgpack.encode
    with _data(sandbox, "test", additional_headers=PACKED) as data:
        assert data.recv(2) == bytes.fromhex("9182a154a773756363657373a36d7367a9636f6e6e6563746564")
        data.send(pack({"action": "auth", "key": sandbox.endpoints["key"], "secret": sandbox.endpoints["secret"]}))
        assert msgspec.msgpack.decode(data.recv(2)) == [{"T": "success", "msg": "authenticated"}]  # type: ignore[arg-type]
        # One fragment, then an empty last one, as the vendor's client sends it.
        data.send([pack({"trades": [], "quotes": ["FAKEPACA"], "bars": ["*"], "action": "subscribe"})])
        assert msgspec.msgpack.decode(data.recv(2))[0]["quotes"] == ["FAKEPACA"]  # type: ignore[arg-type]
        sandbox.set_quote("FAKEPACA", "126.54", "126.56")
        (quote,) = msgspec.msgpack.decode(data.recv(2))  # type: ignore[arg-type]
        assert (quote["bp"], quote["ap"]) == (126.54, 126.56)
        assert quote["t"].tzinfo is not None


def test_a_second_connection_gets_the_connection_limit_error(sandbox: SandboxProcess) -> None:
    with _logged_in(sandbox), _data(sandbox) as second:
        second.recv(2)
        _authenticate(sandbox, second)
        assert second.recv(2) == '[{"T":"error","code":406,"msg":"connection limit exceeded"}]'
        with pytest.raises(ConnectionClosed):
            second.recv(2)


@pytest.mark.parametrize(
    ("request_text", "code", "message"),
    [
        ("{not json", 400, "invalid syntax"),
        ('{"action":"dance"}', 400, "invalid syntax"),
        ('{"action":"subscribe","quotes":["no symbol"]}', 400, "invalid syntax"),
        ('{"action":"auth","key":"a","secret":"b"}', 403, "already authenticated"),
        (json.dumps({"action": "subscribe", "quotes": [f"A{n}" for n in range(31)]}), 405, "symbol limit exceeded"),
    ],
)
def test_an_invalid_request_on_the_data_stream_gets_an_error(
    sandbox: SandboxProcess, request_text: str, code: int, message: str
) -> None:
    with _logged_in(sandbox) as data:
        data.send(request_text)
        assert data.recv(2) == f'[{{"T":"error","code":{code},"msg":"{message}"}}]'


@pytest.mark.parametrize(
    ("request_text", "code"),
    [('{"action":"auth","key":"a","secret":"b"}', 402), ('{"action":"subscribe","quotes":["AAPL"]}', 401)],
)
def test_an_unauthorized_client_of_the_data_stream_gets_an_error(
    sandbox: SandboxProcess, request_text: str, code: int
) -> None:
    with _data(sandbox) as data:
        data.recv(2)
        data.send(request_text)
        assert json.loads(data.recv(2))[0]["code"] == code


def test_every_trading_response_has_the_rate_limit_headers(sandbox: SandboxProcess) -> None:
    with sandbox.client() as client:
        reply = client.get("/v2/clock")
    assert reply.headers["X-RateLimit-Limit"] == "200"
    assert {"x-ratelimit-remaining", "x-ratelimit-reset"} <= set(reply.headers)


@pytest.mark.parametrize("path", ["/v2/account", "/v2/orders", "/v2/nothing"])
def test_every_path_requires_authentication(sandbox: SandboxProcess, path: str) -> None:
    reply = httpx.get(sandbox.endpoints["trading_url"] + path, headers={"APCA-API-KEY-ID": "x"})
    assert (reply.status_code, reply.json()) == (401, {"message": "unauthorized."})


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/v2/nothing", 404, {"code": 40410000, "message": "endpoint not found"}),
        ("PUT", "/v2/orders", 404, {"code": 40410000, "message": "endpoint not found"}),
        ("GET", "/v2/orders/not-a-uuid", 422, {"code": 40010001, "message": "order_id is missing"}),
        ("GET", "/v2/positions/MSFT", 404, {"code": 40410000, "message": "position does not exist"}),
        ("GET", "/v2/assets/NOPE", 404, {"code": 40410000, "message": "symbol not found: NOPE"}),
        (
            "DELETE",
            "/v2/orders/61e69015-8549-4bfd-b9c3-01e75843f47d",
            404,
            {"code": 40410000, "message": "order not found for 61e69015-8549-4bfd-b9c3-01e75843f47d"},
        ),
        (
            "GET",
            "/v2/orders%3Aby_client_order_id?client_order_id=none",
            404,
            {"code": 40410000, "message": "order not found for none"},
        ),
    ],
)
def test_unknown_resources_are_rejected_with_the_venues_message(
    sandbox: SandboxProcess, method: str, path: str, status: int, answer: dict[str, Any]
) -> None:
    with sandbox.client() as client:
        reply = client.request(method, path)
    assert (reply.status_code, reply.json()) == (status, answer)


@pytest.mark.parametrize(
    "qty", ["2", "2.0", "2e0", '"2"', '"2.000"'], ids=["integer", "float", "exponent", "text", "text with zeros"]
)
def test_numbers_are_accepted_as_numbers_or_strings_and_returned_plain(sandbox: SandboxProcess, qty: str) -> None:
    text = f'{{"symbol":"AAPL","qty":{qty},"side":"buy","type":"limit","limit_price":1.50,"time_in_force":"day"}}'
    with sandbox.client() as client:
        order = client.post("/v2/orders", content=text).json()
    assert (order["qty"], order["limit_price"], order["filled_qty"]) == ("2", "1.5", "0")


def test_an_invalid_json_body_is_a_bad_request(sandbox: SandboxProcess) -> None:
    with sandbox.client() as client:
        assert client.post("/v2/orders", content="{").status_code == 400


def test_lists_are_filtered_and_paged(sandbox: SandboxProcess) -> None:
    with sandbox.client() as client:
        for number in range(4):
            rest = _order(type="limit", limit_price="1", client_order_id=f"page {number}&+", symbol="MSFT")
            client.post("/v2/orders", json=rest)
        first = client.get("/v2/orders?status=all&symbols=MSFT&direction=asc&limit=2").json()
        more = {"status": "all", "symbols": "MSFT", "direction": "asc", "after_order_id": first[-1]["id"]}
        second = client.get("/v2/orders", params=more).json()
        by_time = client.get("/v2/orders", params={"after": first[-1]["submitted_at"], "symbols": "MSFT"}).json()
        found = client.get("/v2/orders:by_client_order_id", params={"client_order_id": "page 2&+"}).json()
    assert [one["client_order_id"] for one in (*first, *second)] == [f"page {n}&+" for n in range(4)]
    assert [one["client_order_id"] for one in by_time] == ["page 3&+", "page 2&+"]
    assert found["id"] == second[0]["id"]


def test_a_second_cancel_succeeds_and_the_cancel_of_a_filled_order_fails(sandbox: SandboxProcess) -> None:
    with sandbox.client() as client:
        resting = client.post("/v2/orders", json=_order(type="limit", limit_price="1")).json()["id"]
        filled = client.post("/v2/orders", json=_order()).json()["id"]
        eventually(lambda: client.get(f"/v2/orders/{filled}").json()["status"] == "filled")
        assert client.delete(f"/v2/orders/{resting}").status_code == 204
        eventually(lambda: client.get(f"/v2/orders/{resting}").json()["status"] == "canceled")
        assert client.delete(f"/v2/orders/{resting}").status_code == 204
        rejected = client.delete(f"/v2/orders/{filled}")
    assert (rejected.status_code, rejected.json()) == (
        422,
        {"code": 42210000, "message": 'order is already in "filled" state'},
    )


def test_cancelling_all_orders_returns_one_result_each(sandbox: SandboxProcess) -> None:
    with sandbox.client() as client:
        client.post("/v2/orders", json=_order(type="limit", limit_price="1"))
        reply = client.delete("/v2/orders")
        eventually(lambda: client.get("/v2/orders").json() == [])
        assert client.delete("/v2/orders").json() == []
    assert reply.status_code == 207
    assert all(set(one) == {"id", "status"} and one["status"] == 200 for one in reply.json())
