"""The vendor's own client, unmodified, trades here; the whole proof is tests/integration/test_alpaca_py_*.py."""

from collections.abc import Iterator

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order, Position
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest

from tests.support.alpaca_py import (
    Heard,
    Updates,
    by_client_id,
    data_stream,
    listening,
    only,
    running,
    submitted,
    trading_client,
)
from tests.support.eventually import eventually
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox("--symbols", "AAPL,MSFT", "--speed", "4", "--seed", "3") as own:
        yield own


@pytest.fixture(scope="module")
def client(sandbox: RunningSandbox) -> TradingClient:
    return trading_client(sandbox)


@pytest.fixture(scope="module")
def updates(sandbox: RunningSandbox) -> Iterator[Updates]:
    with listening(sandbox) as heard:
        yield heard


def test_the_market_is_heard(sandbox: RunningSandbox) -> None:
    stream, heard = data_stream(sandbox), Heard()
    stream.subscribe_quotes(heard.take, "AAPL", "MSFT")
    with running(stream):
        eventually(lambda: heard.of("AAPL") and heard.of("MSFT"))


def test_a_market_order_is_filled_and_told(client: TradingClient, updates: Updates) -> None:
    terms = {"symbol": "AAPL", "qty": 2, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    order = submitted(client, MarketOrderRequest(**terms, client_order_id="market"))
    eventually(lambda: "fill" in updates.told("market"))
    assert updates.told("market")[:2] == ["pending_new", "new"]
    filled = by_client_id(client, "market")
    assert (filled.status.value, filled.filled_qty, filled.id) == ("filled", "2", order.id)
    assert only(client.get_open_position("AAPL"), Position).qty == "2"


def test_a_limit_order_rests_is_replaced_and_cancelled(client: TradingClient, updates: Updates) -> None:
    terms = {"symbol": "MSFT", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC}
    order = submitted(client, LimitOrderRequest(**terms, limit_price=10, client_order_id="limit"))
    eventually(lambda: "new" in updates.told("limit"))
    asked = ReplaceOrderRequest(limit_price=11, client_order_id="replacement")
    new = only(client.replace_order_by_id(order.id, asked), Order)
    assert new.replaces == order.id
    eventually(lambda: "replaced" in updates.told("limit") and "new" in updates.told("replacement"))
    working = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
    assert [only(one, Order).client_order_id for one in working] == ["replacement"]
    client.cancel_order_by_id(new.id)
    eventually(lambda: updates.told("replacement")[-1] == "canceled")


def test_fills_are_activities(client: TradingClient, updates: Updates) -> None:
    eventually(lambda: "fill" in updates.told("market"))
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    last = [row for row in only(rows, list) if row["symbol"] == "AAPL"][-1]
    assert (last["cum_qty"], last["leaves_qty"], last["order_status"]) == ("2", "0", "filled")


def test_everything_can_be_closed_at_once(client: TradingClient) -> None:
    client.close_all_positions(cancel_orders=True)
    eventually(lambda: client.get_all_positions() == [])
    assert client.get_orders() == []
