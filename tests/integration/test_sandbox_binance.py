"""The simulated Binance venues over real sockets: streams agree with books, and faults do not change the order flow."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.crypto_sandbox import CryptoSandbox, crypto_sandbox
from tests.support.eventually import eventually
from tests.support.machine import scaled

pytestmark = pytest.mark.integration

SPOT, FUTURES = "binance", "binanceum"
REST = {SPOT: "/api/v3", FUTURES: "/fapi/v1"}
ROUTE = {SPOT: "", FUTURES: "/public"}
FRAMES = 25
WITHIN_S = 5.0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[CryptoSandbox]:
    with crypto_sandbox(venues="binance,binanceum") as running:
        yield running


@pytest.fixture(autouse=True)
def _without_faults(sandbox: CryptoSandbox) -> Iterator[None]:
    yield
    sandbox.clear()


@contextmanager
def _open(sandbox: CryptoSandbox, venue: str, *streams: str, route: str | None = None) -> Iterator[ClientConnection]:
    path = f"{ROUTE[venue] if route is None else route}/ws"
    with connect(sandbox.stream_url(venue, path), proxy=None, close_timeout=1) as socket:
        socket.send(json.dumps({"method": "SUBSCRIBE", "params": streams, "id": 1}))
        yield socket


def _receive(socket: ClientConnection, within_s: float = WITHIN_S) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socket.recv(within_s))
    return found


def _previous(event: dict[str, Any]) -> int:
    return int(event["pu"] if "pu" in event else event["U"] - 1)


class _Book:
    """A minimal order book of a client."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.at_id = snapshot["lastUpdateId"]
        self.sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}
        self._put({"b": snapshot["bids"], "a": snapshot["asks"]})

    def apply(self, event: dict[str, Any]) -> bool:
        if event["u"] <= self.at_id:
            return False
        assert _previous(event) <= self.at_id, "a gap"
        self._put(event)
        self.at_id = event["u"]
        return True

    def top(self, count: int = 10) -> dict[str, Any]:
        bids = sorted(self.sides["b"].items(), reverse=True)[:count]
        return {"id": self.at_id, "bids": bids, "asks": sorted(self.sides["a"].items())[:count]}

    def _put(self, levels: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            for price, quantity in levels[name]:
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)


def _exact(expected: dict[str, Any] | None) -> dict[str, Any]:
    assert expected is not None
    sides = {name: [(Decimal(p), Decimal(q)) for p, q in expected[name]] for name in ("bids", "asks")}
    return {"id": expected["id"], **sides}


@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_a_book_kept_by_the_venues_rule_equals_the_venues_own_at_every_id(sandbox: CryptoSandbox, venue: str) -> None:
    with _open(sandbox, venue, "btcusdt@depth@100ms") as socket:
        assert _receive(socket) == {"result": None, "id": 1}
        buffered = [_receive(socket)]
        while True:
            book = _Book(sandbox.rest(venue, f"{REST[venue]}/depth", symbol="BTCUSDT", limit=1000).json())
            if book.at_id >= _previous(buffered[0]):
                break
        events = [*buffered, *(_receive(socket) for _ in range(FRAMES))]
    tops = [book.top() for event in events if book.apply(event)]
    expected_books = sandbox.venue_books(venue, "BTCUSDT", [top["id"] for top in tops])
    assert tops
    assert tops == list(map(_exact, expected_books))


@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_the_best_quote_is_that_of_the_book_with_its_id(sandbox: CryptoSandbox, venue: str) -> None:
    with _open(sandbox, venue, "ethusdt@bookTicker") as socket:
        assert _receive(socket)["id"] == 1
        messages = [_receive(socket) for _ in range(5)]
    expected_books = map(_exact, sandbox.venue_books(venue, "ETHUSDT", [one["u"] for one in messages], depth=1))
    best = [
        {"bids": [(Decimal(x["b"]), Decimal(x["B"]))], "asks": [(Decimal(x["a"]), Decimal(x["A"]))]} for x in messages
    ]
    assert best == [{name: expected[name] for name in ("bids", "asks")} for expected in expected_books]


def test_two_connections_cut_one_stream_differently(sandbox: CryptoSandbox) -> None:
    with _open(sandbox, SPOT, "btcusdt@depth@100ms") as one, _open(sandbox, SPOT, "btcusdt@depth@100ms") as other:
        ends = [{_receive(socket).get("u") for _ in range(8)} for socket in (one, other)]
    assert ends[0] != ends[1]


def test_the_route_without_a_name_confirms_all_and_carries_only_what_is_public(sandbox: CryptoSandbox) -> None:
    with _open(sandbox, FUTURES, "btcusdt@aggTrade", "btcusdt@bookTicker", route="") as socket:
        assert _receive(socket) == {"result": None, "id": 1}
        assert {_receive(socket)["e"] for _ in range(20)} == {"bookTicker"}
    with _open(sandbox, FUTURES, "btcusdt@aggTrade", "btcusdt@bookTicker", route="/market") as socket:
        assert _receive(socket) == {"result": None, "id": 1}
        assert {_receive(socket)["e"] for _ in range(2)} == {"aggTrade"}


def test_a_combined_socket_names_its_streams(sandbox: CryptoSandbox) -> None:
    url = sandbox.stream_url(SPOT, "/stream?streams=btcusdt@trade/btcusdt@depth5@100ms")
    with connect(url, proxy=None) as socket:
        messages = [_receive(socket) for _ in range(12)]
        socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": "x"}))
        listed = eventually(lambda: next((one for one in [_receive(socket)] if "id" in one), None))
    assert {one["stream"] for one in messages} <= {"btcusdt@trade", "btcusdt@depth5@100ms"}
    assert listed == {"result": ["btcusdt@trade", "btcusdt@depth5@100ms"], "id": "x"}


def test_a_client_that_exceeds_the_message_limit_is_closed(sandbox: CryptoSandbox) -> None:
    with connect(sandbox.stream_url(SPOT, "/ws"), proxy=None) as socket:
        for number in range(6):
            socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        with pytest.raises(ConnectionClosed) as closed:
            eventually(lambda: _receive(socket).get("never"))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_lost_frame_is_a_gap_and_leaves_the_flow_unchanged(sandbox: CryptoSandbox) -> None:
    sandbox.arm("drop", venue=SPOT, symbol="BTCUSDT", topic="book", skip=2)
    with _open(sandbox, SPOT, "btcusdt@depth@100ms") as socket:
        assert _receive(socket)["id"] == 1
        events = [_receive(socket) for _ in range(4)]
    chained = [later["U"] == earlier["u"] + 1 for earlier, later in pairwise(events)]
    assert chained == [True, False, True]
    assert sandbox.fault_count("drop") == 1
    assert sandbox.venue_book(SPOT, "BTCUSDT", events[1]["u"] + 1)["id"] == events[1]["u"] + 1


@pytest.mark.parametrize("kind", ["duplicate", "swap", "ids_back"])
def test_frames_can_come_twice_or_out_of_order_or_with_old_ids(sandbox: CryptoSandbox, kind: str) -> None:
    sandbox.arm(kind, venue=FUTURES, symbol="BTCUSDT", topic="book", skip=1, count=100_000)
    with _open(sandbox, FUTURES, "btcusdt@depth@100ms") as socket:
        assert _receive(socket)["id"] == 1
        ids = [_receive(socket)["u"] for _ in range(4)]
    expected = {"duplicate": ids[1] == ids[2], "swap": ids[1] > ids[2], "ids_back": ids[1] < ids[0] - 50_000}
    assert expected[kind]


def test_frames_can_be_crossed_corrupt_or_carry_unknown_fields(sandbox: CryptoSandbox) -> None:
    for kind, skip in (("crossed", 0), ("corrupt_json", 1), ("unknown_fields", 1)):
        sandbox.arm(kind, venue=SPOT, symbol="BTCUSDT", topic="book", skip=skip)
    with _open(sandbox, SPOT, "btcusdt@depth@100ms") as socket:
        assert _receive(socket)["id"] == 1
        crossed = _receive(socket)
        with pytest.raises(json.JSONDecodeError):
            _receive(socket)
        unknown = _receive(socket)
    best_ask = sandbox.venue_book(SPOT, "BTCUSDT", crossed["u"])["asks"][0][0]
    assert max(Decimal(price) for price, _ in crossed["b"]) > Decimal(best_ask)
    assert "zzNew" in unknown


def test_a_connection_without_data_still_answers_pings_and_a_half_open_one_does_not(sandbox: CryptoSandbox) -> None:
    sandbox.arm("mute", venue=SPOT)
    with _open(sandbox, SPOT, "btcusdt@bookTicker") as socket:
        assert _receive(socket)["id"] == 1
        eventually(lambda: sandbox.fault_count("mute"))
        assert socket.ping().wait(scaled(WITHIN_S))
    sandbox.arm("half_open", venue=SPOT)
    with connect(sandbox.stream_url(SPOT, "/ws"), proxy=None, close_timeout=0.1) as socket:
        assert not socket.ping().wait(0.2)


def test_a_subscription_can_be_rejected_or_confirmed_and_never_served(sandbox: CryptoSandbox) -> None:
    sandbox.arm("reject_subscribe", venue=SPOT, symbol="BTCUSDT")
    with _open(sandbox, SPOT, "btcusdt@bookTicker") as socket:
        assert _receive(socket)["code"] == 2
        sandbox.arm("ack_then_silence", venue=SPOT, symbol="BTCUSDT")
        socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "ethusdt@trade"], "id": 2}))
        assert _receive(socket) == {"result": None, "id": 2}
        assert _receive(socket)["s"] == "ETHUSDT"


def test_a_connection_can_be_rejected_closed_cut_or_warned(sandbox: CryptoSandbox) -> None:
    sandbox.arm("refuse_connect", venue=SPOT, status=429, retry_after_s=3)
    with pytest.raises(InvalidStatus) as refused, _open(sandbox, SPOT, "btcusdt@bookTicker"):
        pass
    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "3")
    with _open(sandbox, SPOT, "btcusdt@aggTrade") as socket:
        assert _receive(socket)["id"] == 1
        sandbox.arm("serve_shutdown", venue=SPOT)
        assert eventually(lambda: _receive(socket)["e"] == "serverShutdown")
        with pytest.raises(ConnectionClosed) as closed:
            eventually(lambda: _receive(socket).get("never"))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    with _open(sandbox, SPOT, "btcusdt@depth@100ms") as socket:
        assert _receive(socket)["id"] == 1
        sandbox.arm("cut", venue=SPOT)
        with pytest.raises(ConnectionClosed):
            eventually(lambda: _receive(socket).get("never"))


def test_rest_answers_can_be_stale_fail_and_weigh(sandbox: CryptoSandbox) -> None:
    last_id = sandbox.venue_book(SPOT, "SOLUSDC")["id"]
    sandbox.arm("rest_stale", venue=SPOT, count=500)
    stale = sandbox.rest(SPOT, "/api/v3/depth", symbol="SOLUSDC", limit=100)
    assert stale.json()["lastUpdateId"] < last_id
    sandbox.arm("rest_fail", venue=SPOT, status=418, retry_after_s=7)
    banned = sandbox.rest(SPOT, "/api/v3/depth", symbol="SOLUSDC")
    assert (banned.status_code, banned.headers["Retry-After"]) == (418, "7")
    weights = [int(sandbox.rest(SPOT, "/api/v3/ping").headers["X-MBX-USED-WEIGHT-1M"]) for _ in range(2)]
    assert weights[1] in {weights[0] + 1, 1}


@pytest.mark.parametrize(
    ("query", "code"),
    [({"symbol": "NOPE"}, -1121), ({}, -1102), ({"symbol": "BTCUSDT", "limit": 7}, -1130)],
)
def test_an_invalid_depth_is_rejected_as_the_venue_does(
    sandbox: CryptoSandbox, query: dict[str, Any], code: int
) -> None:
    reply = sandbox.rest(FUTURES, "/fapi/v1/depth", **query)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


def test_who_does_not_reply_the_venues_pings_is_shown_out() -> None:
    async def scenario(url: str) -> tuple[set[WSMsgType], int | None]:
        async with ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
            kinds = {message.type async for message in socket}
            return kinds, socket.close_code

    # A ping each 0.1 s, with 0.3 s to answer it.
    with crypto_sandbox("--heartbeat-scale", "0.005", "--speed", "0") as running:
        assert asyncio.run(scenario(running.stream_url(SPOT, "/ws"))) == ({WSMsgType.PING}, 1008)


def test_at_speed_nought_only_an_operator_moves_the_market() -> None:
    with crypto_sandbox("--speed", "0") as running, _open(running, SPOT, "btcusdt@depth@100ms") as socket:
        assert _receive(socket)["id"] == 1
        before = running.venue_book(SPOT, "BTCUSDT")["id"]
        assert running.step(SPOT, "BTCUSDT", 3) == before + 3
        assert (_receive(socket))["u"] == before + 3
