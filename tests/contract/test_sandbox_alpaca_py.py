"""The vendor's own client, unmodified, trades here; more of it in tests/integration/test_alpaca_py_*.py."""

from collections.abc import Iterator

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order, Position
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest

from tests.support.alpaca_py import (
    MarketDataCollector,
    TradeUpdateCollector,
    collected_trade_updates,
    data_stream,
    expect_type,
    order_by_client_id,
    running_stream,
    submit_order,
    trading_client,
)
from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--symbols", "AAPL,MSFT", "--speed", "4", "--seed", "3") as own:
        yield own


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> TradingClient:
    return trading_client(sandbox)


@pytest.fixture(scope="module")
def updates(sandbox: SandboxProcess) -> Iterator[TradeUpdateCollector]:
    with collected_trade_updates(sandbox) as received:
        yield received


def test_quotes_are_received(sandbox: SandboxProcess) -> None:
    stream, received = data_stream(sandbox), MarketDataCollector()
    stream.subscribe_quotes(received.on_data, "AAPL", "MSFT")
    with running_stream(stream):
        eventually(lambda: received.of_symbol("AAPL") and received.of_symbol("MSFT"))


def test_a_market_order_is_filled_and_reported(client: TradingClient, updates: TradeUpdateCollector) -> None:
    terms = {"symbol": "AAPL", "qty": 2, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    order = submit_order(client, MarketOrderRequest(**terms, client_order_id="market"))
    eventually(lambda: "fill" in updates.event_names("market"))
    assert updates.event_names("market")[:2] == ["pending_new", "new"]
    filled = order_by_client_id(client, "market")
    assert (filled.status.value, filled.filled_qty, filled.id) == ("filled", "2", order.id)
    assert expect_type(client.get_open_position("AAPL"), Position).qty == "2"


def test_a_limit_order_rests_is_replaced_and_cancelled(client: TradingClient, updates: TradeUpdateCollector) -> None:
    terms = {"symbol": "MSFT", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC}
    order = submit_order(client, LimitOrderRequest(**terms, limit_price=10, client_order_id="limit"))
    eventually(lambda: "new" in updates.event_names("limit"))
    request = ReplaceOrderRequest(limit_price=11, client_order_id="replacement")
    new = expect_type(client.replace_order_by_id(order.id, request), Order)
    assert new.replaces == order.id
    eventually(lambda: "replaced" in updates.event_names("limit") and "new" in updates.event_names("replacement"))
    working = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
    assert [expect_type(one, Order).client_order_id for one in working] == ["replacement"]
    client.cancel_order_by_id(new.id)
    eventually(lambda: updates.event_names("replacement")[-1] == "canceled")


def test_fills_are_activities(client: TradingClient, updates: TradeUpdateCollector) -> None:
    eventually(lambda: "fill" in updates.event_names("market"))
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    last = [row for row in expect_type(rows, list) if row["symbol"] == "AAPL"][-1]
    assert (last["cum_qty"], last["leaves_qty"], last["order_status"]) == ("2", "0", "filled")


def test_everything_can_be_closed_at_once(client: TradingClient) -> None:
    client.close_all_positions(cancel_orders=True)
    eventually(lambda: client.get_all_positions() == [])
    assert client.get_orders() == []
