"""A client of the simulated Binance venues, without sockets: requests, routes and messages."""

import json
from decimal import Decimal
from typing import Any

import pytest

from components.sandbox.binance.instruments import SPOT_INSTRUMENTS, USD_M_INSTRUMENTS
from components.sandbox.binance.rules import SPOT_RULES, USD_M_RULES, VenueRules
from components.sandbox.binance.session import ClientSession
from components.sandbox.numerics import SECOND_NS
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.faults import CryptoFault, CryptoFaultKind, CryptoFaultSwitches
from components.sandbox.transport.websocket import ClientConnection


class _SessionHarness:
    """A client session, its venue's order flow, and a clock."""

    def __init__(self, rules: VenueRules = SPOT_RULES, route: str = "") -> None:
        listings = USD_M_INSTRUMENTS if rules.is_futures else SPOT_INSTRUMENTS
        self.flow = OrderFlow(listings, 7, rules.id_space)
        self.faults = CryptoFaultSwitches()
        self.now_ns = 1_795_000_000 * SECOND_NS
        connection = ClientConnection(rules.name, self.faults, rules.limits, 1, lambda: self.now_ns)
        self.client = ClientSession(connection, self.flow, rules, route)

    def request(self, **request: Any) -> list[dict[str, Any]]:
        return self.send_text(json.dumps(request))

    def send_text(self, text: str) -> list[dict[str, Any]]:
        self.client.on_message(text, self.now_ns)
        return self.received()

    def received(self) -> list[dict[str, Any]]:
        return [json.loads(item) for item in self.client.connection.drain_queue() if isinstance(item, str)]

    def advance(self, ms: int, steps: int = 0, symbol: str = "BTCUSDT") -> list[dict[str, Any]]:
        for _ in range(steps):
            self.flow.step(symbol, self.now_ns)
        self.now_ns += ms * 1_000_000
        self.client.tick(self.now_ns)
        return self.received()


@pytest.mark.parametrize("name", ["BTCUSDT@depth", "btcusdt@depth@500ms", "nope@depth", "btcusdt@depth7", "btcusdt"])
def test_a_stream_that_does_not_exist_is_confirmed_and_silent(name: str) -> None:
    harness = _SessionHarness()
    assert harness.request(method="SUBSCRIBE", params=[name], id=1) == [{"result": None, "id": 1}]
    assert harness.advance(2000, steps=5) == []
    assert harness.request(method="LIST_SUBSCRIPTIONS", id=2) == [{"result": [name], "id": 2}]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method":"SHOUT","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
        ('{"method":"SET_PROPERTY","params":["loud",true],"id":1}', 0),
    ],
)
def test_an_invalid_request_is_rejected_with_its_code(text: str, code: int) -> None:
    assert [one["code"] for one in _SessionHarness().send_text(text)] == [code]


def test_a_socket_can_be_made_to_name_its_streams() -> None:
    harness = _SessionHarness()
    harness.request(method="SUBSCRIBE", params=["btcusdt@bookTicker"], id=1)
    assert harness.request(method="SET_PROPERTY", params=["combined", True], id="p") == [{"result": None, "id": "p"}]
    assert [one["stream"] for one in harness.advance(10)] == ["btcusdt@bookTicker"]


def test_an_unsubscribed_stream_sends_nothing() -> None:
    harness = _SessionHarness()
    harness.request(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
    assert len(harness.advance(100, steps=1)) == 1
    harness.request(method="UNSUBSCRIBE", params=["btcusdt@depth@100ms"], id=2)
    assert harness.advance(100, steps=1) == []


def test_spot_depth_continues_where_it_ended_and_sends_nothing_without_changes() -> None:
    harness = _SessionHarness()
    begin = harness.flow.last_id("BTCUSDT")
    harness.request(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
    (first,), silence, (second,) = harness.advance(100, 3), harness.advance(100), harness.advance(100, 2)
    assert (first["U"], first["u"], second["U"], second["u"]) == (begin + 1, begin + 3, begin + 4, begin + 5)
    assert silence == []
    assert "pu" not in first


def test_futures_depth_chains_by_the_previous_id_only() -> None:
    harness = _SessionHarness(USD_M_RULES, "/public")
    harness.request(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
    first, second = (harness.advance(100, 3)[0] for _ in range(2))
    assert second["pu"] == first["u"]
    assert second["U"] > first["u"]
    assert {"T", "ps", "st"} <= set(first)


def test_the_quote_is_sent_before_the_book_that_agrees_with_it() -> None:
    harness = _SessionHarness()
    harness.request(method="SUBSCRIBE", params=["btcusdt@depth@100ms", "btcusdt@bookTicker"], id=1)
    received = harness.advance(100, 40)
    assert ["e" in one for one in received] == [False, True]
    assert received[0]["u"] == received[1]["u"]


@pytest.mark.parametrize(
    ("route", "carried"), [("", {"bookTicker"}), ("/public", {"bookTicker"}), ("/market", {"markPriceUpdate"})]
)
def test_a_route_carries_its_own_class_and_confirms_the_others(route: str, carried: set[str]) -> None:
    harness = _SessionHarness(USD_M_RULES, route)
    names = ["btcusdt@bookTicker", "btcusdt@markPrice@1s"]
    assert harness.request(method="SUBSCRIBE", params=names, id=1) == [{"result": None, "id": 1}]
    assert {one["e"] for one in harness.advance(1000, 1)} == carried


def test_trades_are_sent_once_with_the_makers_side() -> None:
    harness = _SessionHarness()
    harness.request(method="SUBSCRIBE", params=["btcusdt@trade", "btcusdt@aggTrade"], id=1)
    received = harness.advance(10, 60)
    trades, prints = [one for one in received if one["e"] == "trade"], harness.flow.trades_after("BTCUSDT", 0)
    assert [(one["t"], Decimal(one["p"]), one["m"]) for one in trades] == [
        (one.id, one.price, not one.is_buy) for one in prints
    ]
    assert [one["a"] for one in received if one["e"] == "aggTrade"] == [one.id for one in prints]
    assert harness.advance(10) == []


def test_faults_shift_ids_and_cross_books_without_changing_the_flow() -> None:
    harness = _SessionHarness()
    for kind in (CryptoFaultKind.IDS_BACK, CryptoFaultKind.CROSSED):
        harness.faults.arm(CryptoFault(kind=kind, count=500))
    harness.request(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
    (event,) = harness.advance(100, 3)
    book = harness.flow.book("BTCUSDT")
    assert event["u"] == book.id - 500
    assert Decimal(event["b"][0][0]) > book.price(0, is_bid=False) > book.price(0, is_bid=True)


def test_two_connections_of_one_venue_have_different_phases() -> None:
    one, other = _SessionHarness(), _SessionHarness()
    other.client.connection.number = 2
    received = []
    for harness in (one, other):
        harness.request(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
        received.append([bool(harness.advance(10, 1)) for _ in range(10)])
    assert received[0] != received[1]
