"""Orders at the sandbox, sent, read, listed, replaced and cancelled with Alpaca's own client library."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    CancelOrderResponse,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
    TrailingStopOrderRequest,
)

from components.sandbox.alpaca.core.matching import PARTIAL_ONE_IN
from components.sandbox.numerics import draws, is_drawn
from tests.support.alpaca_py import (
    TradeUpdateCollector,
    collected_trade_updates,
    expect_api_error,
    expect_type,
    order_by_client_id,
    submit_order,
    trading_client,
    wait_for_status,
)
from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration

BUY, SELL, DAY, GTC = OrderSide.BUY, OrderSide.SELL, TimeInForce.DAY, TimeInForce.GTC
WITHOUT_LIMIT = ("--speed", "0", "--rate-limit-per-minute", "100000")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--symbols", "AAPL,AMD,AMZN,GOOGL,META,MSFT,NVDA,QQQ,SPY,TSLA", *WITHOUT_LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> TradingClient:
    return trading_client(sandbox)


@pytest.fixture(scope="module")
def updates(sandbox: SandboxProcess) -> Iterator[TradeUpdateCollector]:
    with collected_trade_updates(sandbox) as collector:
        yield collector


def test_a_market_order_fills_at_the_quote(
    sandbox: SandboxProcess, client: TradingClient, updates: TradeUpdateCollector
) -> None:
    sandbox.set_quote("AAPL", "189.98", "190.02")
    order = submit_order(client, MarketOrderRequest(symbol="AAPL", qty=1, side=BUY, time_in_force=DAY))
    eventually(lambda: updates.event_names(order.client_order_id)[-1:] == ["fill"])
    assert updates.event_names(order.client_order_id) == ["pending_new", "new", "fill"]
    filled = expect_type(client.get_order_by_id(order.id), Order)
    assert (filled.status.value, filled.filled_qty, filled.filled_avg_price) == ("filled", "1", "190.02")
    assert filled.filled_at is not None


def test_a_notional_order_buys_a_fraction_of_a_share(sandbox: SandboxProcess, client: TradingClient) -> None:
    sandbox.set_quote("AMD", "159.98", "160")
    request = MarketOrderRequest(symbol="AMD", notional=40, side=BUY, time_in_force=DAY, client_order_id="dollars")
    assert submit_order(client, request).notional == "40"
    assert wait_for_status(client, "dollars", "filled").filled_qty == "0.25"


def test_a_limit_order_waits_for_its_price(sandbox: SandboxProcess, client: TradingClient) -> None:
    sandbox.set_quote("AMZN", "184.99", "185.01")
    request = LimitOrderRequest(
        symbol="AMZN", qty=1, side=BUY, time_in_force=GTC, limit_price=184.5, client_order_id="limit"
    )
    submit_order(client, request)
    assert wait_for_status(client, "limit", "new").limit_price == "184.5"
    sandbox.set_quote("AMZN", "184.3", "184.4")
    assert wait_for_status(client, "limit", "filled").filled_avg_price == "184.4"


def test_a_stop_order_waits_for_its_trigger(sandbox: SandboxProcess, client: TradingClient) -> None:
    sandbox.set_quote("GOOGL", "174.99", "175.01")
    request = StopOrderRequest(
        symbol="GOOGL", qty=1, side=BUY, time_in_force=GTC, stop_price=176, client_order_id="stop"
    )
    submit_order(client, request)
    wait_for_status(client, "stop", "new")
    sandbox.set_quote("GOOGL", "175.5", "175.99")
    assert order_by_client_id(client, "stop").status.value == "new"
    sandbox.set_quote("GOOGL", "176.1", "176.2")
    assert wait_for_status(client, "stop", "filled").filled_avg_price == "176.2"


def test_a_stop_limit_order_needs_its_trigger_and_then_its_price(
    sandbox: SandboxProcess, client: TradingClient
) -> None:
    sandbox.set_quote("META", "499.9", "500")
    terms = {"symbol": "META", "qty": 1, "side": BUY, "time_in_force": GTC}
    submit_order(client, StopLimitOrderRequest(**terms, stop_price=502, limit_price=502.5, client_order_id="both"))
    wait_for_status(client, "both", "new")
    sandbox.set_quote("META", "503", "503.1")  # triggered, but above the limit
    assert order_by_client_id(client, "both").status.value == "new"
    sandbox.set_quote("META", "501", "501.1")  # within the limit; the order stays triggered
    assert wait_for_status(client, "both", "filled").filled_avg_price == "501.1"


def test_a_trailing_stop_follows_the_price(sandbox: SandboxProcess, client: TradingClient) -> None:
    sandbox.set_quote("TSLA", "250", "250.1")
    submit_order(client, MarketOrderRequest(symbol="TSLA", qty=1, side=BUY, time_in_force=DAY, client_order_id="hold"))
    wait_for_status(client, "hold", "filled")
    terms = {"symbol": "TSLA", "qty": 1, "side": SELL, "time_in_force": GTC}
    submit_order(client, TrailingStopOrderRequest(**terms, trail_price=2, client_order_id="trail"))
    wait_for_status(client, "trail", "new")
    sandbox.set_quote("TSLA", "255", "255.1")
    eventually(lambda: order_by_client_id(client, "trail").hwm == "255")
    assert order_by_client_id(client, "trail").stop_price == "253"
    sandbox.set_quote("TSLA", "252.9", "253")
    assert wait_for_status(client, "trail", "filled").filled_avg_price == "252.9"


def test_a_partial_fill_is_completed_at_the_next_quote() -> None:
    seed = next(seed for seed in count() if is_drawn(draws(seed, "fill", 0)[0], PARTIAL_ONE_IN))
    with (
        running_sandbox("--symbols", "AAPL", "--seed", str(seed), *WITHOUT_LIMIT) as own,
        collected_trade_updates(own) as updates,
    ):
        client = trading_client(own)
        submit_order(
            client, MarketOrderRequest(symbol="AAPL", qty=10, side=BUY, time_in_force=DAY, client_order_id="ten")
        )
        wait_for_status(client, "ten", "partially_filled")
        own.set_quote("AAPL", "190", "190.1")
        wait_for_status(client, "ten", "filled")
        eventually(lambda: updates.event_names("ten")[-1:] == ["fill"])
    first, last = [one for one in updates.of_order("ten") if one.qty is not None]
    assert (first.event, last.event) == ("partial_fill", "fill")
    assert (first.qty or 0) + (last.qty or 0) == float(last.order.filled_qty or 0) == last.position_qty == 10
    assert first.execution_id != last.execution_id


def test_a_replacement_has_its_own_id(
    sandbox: SandboxProcess, client: TradingClient, updates: TradeUpdateCollector
) -> None:
    sandbox.set_quote("MSFT", "419.9", "420.1")
    terms = {"symbol": "MSFT", "qty": 2, "side": BUY, "time_in_force": GTC}
    old = submit_order(client, LimitOrderRequest(**terms, limit_price=400, client_order_id="old"))
    wait_for_status(client, "old", "new")
    change = ReplaceOrderRequest(qty=3, limit_price=401, client_order_id="young")
    new = expect_type(client.replace_order_by_id(old.id, change), Order)
    assert (new.id != old.id, new.replaces) == (True, old.id)
    eventually(lambda: updates.event_names("young")[-1:] == ["new"])
    assert updates.event_names("old") == ["pending_new", "new", "pending_replace", "replaced"]
    assert updates.of_order("old")[-1].order.replaced_by == new.id
    left, working = order_by_client_id(client, "old"), order_by_client_id(client, "young")
    assert (left.status.value, left.replaced_by, left.replaced_at is None) == ("replaced", new.id, False)
    assert (working.status.value, working.qty, working.limit_price, working.replaces) == ("new", "3", "401", old.id)


def test_either_an_order_or_its_replacement_is_filled_never_both(
    sandbox: SandboxProcess, client: TradingClient, updates: TradeUpdateCollector
) -> None:
    sandbox.set_quote("SPY", "559.9", "560.1")
    terms = {"symbol": "SPY", "qty": 1, "side": BUY, "time_in_force": GTC}
    old = submit_order(client, LimitOrderRequest(**terms, limit_price=550, client_order_id="raced"))
    wait_for_status(client, "raced", "new")
    with sandbox.admin() as admin:
        # The market moves while the replacement is pending: either the fill or the replacement wins, never both.
        client.replace_order_by_id(old.id, ReplaceOrderRequest(limit_price=551, client_order_id="too late"))
        admin.post("/quotes", json={"symbol": "SPY", "bid": "548", "ask": "549"})
    ended = {"raced": "filled", "too late": "rejected"}
    after = {"raced": "replaced", "too late": "filled"}
    found = eventually(lambda: _ends(client, *ended) if None not in _ends(client, *ended).values() else None)
    assert found in (ended, after)


def _ends(client: TradingClient, *client_order_ids: str) -> dict[str, str | None]:
    orders = {one: order_by_client_id(client, one) for one in client_order_ids}
    terminal = {"filled", "rejected", "replaced"}
    return {one: order.status.value if order.status.value in terminal else None for one, order in orders.items()}


def test_a_replacement_that_changes_nothing_is_rejected(sandbox: SandboxProcess, client: TradingClient) -> None:
    terms = {"symbol": "QQQ", "qty": 1, "side": BUY, "time_in_force": GTC}
    order = submit_order(client, LimitOrderRequest(**terms, limit_price=300, client_order_id="same"))
    wait_for_status(client, "same", "new")
    with expect_api_error(403, 40310000, "order parameters are not changed"):
        client.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=300))


def test_a_cancel_is_reported_and_final(client: TradingClient, updates: TradeUpdateCollector) -> None:
    terms = {"symbol": "QQQ", "qty": 1, "side": BUY, "time_in_force": GTC}
    order = submit_order(client, LimitOrderRequest(**terms, limit_price=310, client_order_id="unwanted"))
    wait_for_status(client, "unwanted", "new")
    client.cancel_order_by_id(order.id)
    assert wait_for_status(client, "unwanted", "canceled").canceled_at is not None
    eventually(lambda: updates.event_names("unwanted") == ["pending_new", "new", "pending_cancel", "canceled"])
    client.cancel_order_by_id(order.id)  # a second cancel succeeds too


def test_lists_are_filtered_ordered_and_limited() -> None:
    with running_sandbox("--symbols", "AAPL,MSFT", *WITHOUT_LIMIT) as own:
        client = trading_client(own)
        for number in range(6):
            symbol, side = ("AAPL", BUY) if number % 2 else ("MSFT", BUY)
            terms = {"symbol": symbol, "qty": 1, "side": side, "time_in_force": GTC}
            submit_order(client, LimitOrderRequest(**terms, limit_price=10 + number, client_order_id=f"rests {number}"))
        submit_order(
            client, MarketOrderRequest(symbol="AAPL", qty=1, side=BUY, time_in_force=DAY, client_order_id="done")
        )
        wait_for_status(client, "done", "filled")
        # Default: open orders, newest first.
        assert _listed(client) == [f"rests {number}" for number in reversed(range(6))]
        assert _listed(client, status=QueryOrderStatus.CLOSED) == ["done"]
        assert len(_listed(client, status=QueryOrderStatus.ALL)) == 7
        assert _listed(client, symbols=["AAPL"], limit=2) == ["rests 5", "rests 3"]
        assert _listed(client, side=SELL) == []
        assert _listed(client, direction="asc", limit=1, nested=True) == ["rests 0"]
        middle = order_by_client_id(client, "rests 2")
        # Both bounds are exclusive; Python truncates nanoseconds, so `after` can include the order again.
        assert _listed(client, until=middle.submitted_at) in (["rests 1", "rests 0"], ["rests 2", "rests 1", "rests 0"])
        assert _listed(client, after=middle.submitted_at)[:3] == ["rests 5", "rests 4", "rests 3"]


def test_pages_are_chained_by_the_last_order_id() -> None:
    with running_sandbox("--symbols", "AAPL", *WITHOUT_LIMIT) as own:
        client = trading_client(own)
        for number in range(7):
            terms = {"symbol": "AAPL", "qty": 1, "side": BUY, "time_in_force": GTC}
            submit_order(client, LimitOrderRequest(**terms, limit_price=10, client_order_id=str(number)))
        query: dict[str, object] = {"status": "all", "direction": "asc", "limit": 3}
        seen: list[str] = []
        while rows := client.get("/orders", dict(query)):
            seen += [row["client_order_id"] for row in rows]
            query["after_order_id"] = rows[-1]["id"]
        assert seen == [str(number) for number in range(7)]
        back = client.get("/orders", {"status": "all", "before_order_id": str(order_by_client_id(client, "2").id)})
        assert [row["client_order_id"] for row in back] == ["1", "0"]
        both = {"after_order_id": query["after_order_id"], "until": "2026-01-01"}
        with expect_api_error(
            422, 40010001, "after_order_id and before_order_id exclude each other, and after and until"
        ):
            client.get("/orders", both)


def test_all_orders_are_cancelled_with_one_result_each() -> None:
    with running_sandbox("--symbols", "AAPL", *WITHOUT_LIMIT) as own:
        client = trading_client(own)
        assert client.cancel_orders() == []
        for number in range(3):
            terms = {"symbol": "AAPL", "qty": 1, "side": BUY, "time_in_force": GTC}
            submit_order(client, LimitOrderRequest(**terms, limit_price=10, client_order_id=str(number)))
        answers = [expect_type(one, CancelOrderResponse) for one in client.cancel_orders()]
        assert [one.status for one in answers] == [200, 200, 200]
        assert {one.id for one in answers} == {order_by_client_id(client, str(number)).id for number in range(3)}
        eventually(lambda: client.get_orders() == [])
        assert {wait_for_status(client, str(number), "canceled").filled_qty for number in range(3)} == {"0"}


def test_an_unknown_order_is_not_found(client: TradingClient) -> None:
    unknown: UUID = uuid4()
    with expect_api_error(404, 40410000, f"order not found for {unknown}"):
        client.get_order_by_id(unknown)
    with expect_api_error(404, 40410000, "order not found for nobody's"):
        client.get_order_by_client_id("nobody's")
    with expect_api_error(404, 40410000, f"order not found for {unknown}"):
        client.cancel_order_by_id(unknown)


def _listed(client: TradingClient, **wanted: Any) -> list[str]:
    found = client.get_orders(GetOrdersRequest(**wanted)) if wanted else client.get_orders()
    return [expect_type(one, Order).client_order_id for one in found]
