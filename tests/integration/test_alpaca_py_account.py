"""Account, positions and error responses of the sandbox, tested with Alpaca's own client library."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetExchange, AssetStatus, OrderSide, PositionSide, TimeInForce
from alpaca.trading.models import (
    AccountConfiguration,
    Asset,
    Clock,
    ClosePositionResponse,
    FailedClosePositionDetails,
    Order,
    Position,
    TradeAccount,
)
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
)

from tests.support.alpaca_py import (
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
QUIET = ("--symbols", "AAPL,MSFT", "--speed", "0", "--rate-limit-per-minute", "100000")


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox(*QUIET) as running:
        running.set_quote("AAPL", "189.98", "190.02")
        running.set_quote("MSFT", "419.98", "420.02")
        yield running


@pytest.fixture
def client(sandbox: SandboxProcess) -> TradingClient:
    return trading_client(sandbox)


def hold(client: TradingClient, symbol: str, quantity: int) -> None:
    side = BUY if quantity > 0 else SELL
    # One share at a time: an order of one share never fills partially.
    for number in range(abs(quantity)):
        name = f"hold {symbol} {number}"
        requested = MarketOrderRequest(symbol=symbol, qty=1, side=side, time_in_force=DAY, client_order_id=name)
        submit_order(client, requested)
        wait_for_status(client, name, "filled")


def test_a_new_account_has_its_initial_balances(client: TradingClient) -> None:
    account = expect_type(client.get_account(), TradeAccount)
    assert (account.cash, account.equity, account.buying_power) == ("100000", "100000", "200000")
    assert (account.status.value, account.currency, account.multiplier) == ("ACTIVE", "USD", "2")
    assert (account.trading_blocked, account.account_blocked, account.shorting_enabled) == (False, False, True)


def test_cash_decreases_by_the_cost_of_a_position(client: TradingClient) -> None:
    hold(client, "AAPL", 2)
    account = expect_type(client.get_account(), TradeAccount)
    assert (account.cash, account.long_market_value, account.equity) == ("99619.96", "380", "99999.96")


def test_long_and_short_positions_are_reported(client: TradingClient) -> None:
    hold(client, "AAPL", 2)
    hold(client, "MSFT", -1)
    long, short = (expect_type(client.get_open_position(symbol), Position) for symbol in ("AAPL", "MSFT"))
    assert (long.qty, long.side, long.avg_entry_price, long.cost_basis) == ("2", PositionSide.LONG, "190.02", "380.04")
    assert (long.market_value, long.unrealized_pl, long.current_price) == ("380", "-0.04", "190")
    assert (short.qty, short.side, short.cost_basis) == ("-1", PositionSide.SHORT, "-419.98")
    assert [one.symbol for one in client.get_all_positions() if isinstance(one, Position)] == ["AAPL", "MSFT"]
    assert expect_type(client.get_open_position(str(long.asset_id)), Position).symbol == "AAPL"


def test_shares_reserved_by_an_order_are_not_available(client: TradingClient) -> None:
    hold(client, "AAPL", 2)
    terms = {"symbol": "AAPL", "qty": 1, "side": SELL, "time_in_force": GTC}
    submit_order(client, LimitOrderRequest(**terms, limit_price=300, client_order_id="offer"))
    wait_for_status(client, "offer", "new")
    assert expect_type(client.get_open_position("AAPL"), Position).qty_available == "1"


def test_a_position_is_closed_by_quantity_by_percentage_and_completely(client: TradingClient) -> None:
    hold(client, "AAPL", 4)
    by_quantity = expect_type(client.close_position("AAPL", ClosePositionRequest(qty="1")), Order)
    assert (by_quantity.side, by_quantity.qty) == (SELL, "1")
    wait_for_status(client, by_quantity.client_order_id, "filled")
    by_share = expect_type(client.close_position("AAPL", ClosePositionRequest(percentage="50")), Order)
    assert by_share.qty == "1.5"
    wait_for_status(client, by_share.client_order_id, "filled")
    whole = expect_type(client.close_position("AAPL"), Order)
    assert whole.qty == "1.5"
    wait_for_status(client, whole.client_order_id, "filled")
    with expect_api_error(404, 40410000, "position does not exist"):
        client.get_open_position("AAPL")


def test_all_positions_are_closed_with_one_result_each(client: TradingClient) -> None:
    hold(client, "AAPL", 1)
    hold(client, "MSFT", -1)
    answers = [expect_type(one, ClosePositionResponse) for one in client.close_all_positions()]
    assert [(one.symbol, one.status, expect_type(one.body, Order).side) for one in answers] == [
        ("AAPL", 200, SELL),
        ("MSFT", 200, BUY),
    ]
    eventually(lambda: client.get_all_positions() == [])


def test_shares_reserved_by_orders_are_closed_only_after_the_orders_are_cancelled(client: TradingClient) -> None:
    hold(client, "AAPL", 1)
    terms = {"symbol": "AAPL", "qty": 1, "side": SELL, "time_in_force": GTC}
    submit_order(client, LimitOrderRequest(**terms, limit_price=300, client_order_id="offer"))
    wait_for_status(client, "offer", "new")
    (rejected,) = [expect_type(one, ClosePositionResponse) for one in client.close_all_positions()]
    details = expect_type(rejected.body, FailedClosePositionDetails)
    assert (rejected.status, details.code, details.existing_qty, details.held_for_orders) == (403, 40310000, 1, 1)
    (closing,) = [expect_type(one, ClosePositionResponse) for one in client.close_all_positions(cancel_orders=True)]
    assert closing.status == 200
    eventually(lambda: client.get_all_positions() == [])
    assert order_by_client_id(client, "offer").status.value == "canceled"


def test_the_clock_reports_the_next_open_and_close(client: TradingClient) -> None:
    clock = expect_type(client.get_clock(), Clock)
    assert clock.is_open
    assert clock.timestamp < clock.next_close
    assert clock.timestamp.utcoffset() in {timedelta(hours=-5), timedelta(hours=-4)}


def test_the_calendar_lists_weekdays(client: TradingClient) -> None:
    requested = GetCalendarRequest(start=date(2026, 11, 20), end=date(2026, 11, 24))
    days: list[Any] = list(client.get_calendar(requested))
    assert [day.date.isoformat() for day in days] == ["2026-11-20", "2026-11-23", "2026-11-24"]
    assert (days[0].open.isoformat(), days[0].close.isoformat()) == ("2026-11-20T09:30:00", "2026-11-20T16:00:00")


def test_assets_are_listed_read_and_filtered(client: TradingClient) -> None:
    everything = [expect_type(one, Asset) for one in client.get_all_assets()]
    assert [one.symbol for one in everything] == ["AAPL", "MSFT"]
    assert expect_type(client.get_asset(str(everything[0].id)), Asset) == expect_type(client.get_asset("AAPL"), Asset)
    assert everything[0].tradable
    assert everything[0].fractionable
    assert client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO)) == []
    assert client.get_all_assets(GetAssetsRequest(exchange=AssetExchange.NYSE)) == []
    assert len(client.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE))) == 2
    with expect_api_error(404, 40410000, "symbol not found: NOPE"):
        client.get_asset("NOPE")


def test_a_suspended_account_accepts_no_orders_until_it_is_resumed(client: TradingClient) -> None:
    configuration = expect_type(client.get_account_configurations(), AccountConfiguration)
    configuration.suspend_trade = True
    client.set_account_configurations(configuration)
    order = MarketOrderRequest(symbol="AAPL", qty=1, side=BUY, time_in_force=DAY)
    with expect_api_error(403, 40310000, "new orders are rejected by user request"):
        client.submit_order(order)
    configuration.suspend_trade = False
    client.set_account_configurations(configuration)
    assert submit_order(client, order).symbol == "AAPL"


def _limit(**changes: Any) -> OrderRequest:
    return LimitOrderRequest(**{"symbol": "AAPL", "qty": 1, "side": BUY, "time_in_force": GTC} | changes)


def _market(**changes: Any) -> OrderRequest:
    return MarketOrderRequest(**{"symbol": "AAPL", "qty": 1, "side": BUY, "time_in_force": DAY} | changes)


@pytest.mark.parametrize(
    ("requested", "status", "code", "message"),
    [
        (_market(symbol="NOPE"), 422, 42210000, 'asset "NOPE" not found'),
        (_market(qty=-1), 422, 40010001, "qty must be > 0"),
        (_market(client_order_id="x" * 129), 422, 40010001, "client_order_id must be no more than 128 characters"),
        (_limit(limit_price=0), 422, 40010001, "limit price must be > 0"),
        (
            _limit(limit_price=190.123),
            422,
            42210000,
            "invalid limit_price 190.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (_limit(qty=0.5, limit_price=100), 422, 42210000, "fractional orders must be DAY orders"),
        (_market(qty=0.5, side=SELL), 422, 42210000, "fractional orders cannot be sold short"),
        (_market(extended_hours=True), 422, 42210000, "extended hours order must be DAY or GTC limit orders"),
        (_market(qty=None, notional=0.5), 403, 40310000, "cost basis must be >= minimal amount of order 1"),
        (_market(qty=10_000), 403, 40310000, "insufficient buying power"),
        (
            StopOrderRequest(symbol="AAPL", qty=1, side=BUY, time_in_force=GTC, stop_price=100),
            422,
            42210000,
            "stop price must be greater than current price",
        ),
        (
            StopLimitOrderRequest(symbol="AAPL", qty=1, side=SELL, time_in_force=GTC, stop_price=200, limit_price=199),
            422,
            42210000,
            "stop price must be less than current price",
        ),
    ],
)
def test_an_invalid_order_is_rejected_with_the_venues_message(
    rejecting_client: TradingClient, requested: OrderRequest, status: int, code: int, message: str
) -> None:
    with expect_api_error(status, code, message):
        rejecting_client.submit_order(requested)


@pytest.fixture(scope="module")
def rejecting_client() -> Iterator[TradingClient]:
    with running_sandbox(*QUIET) as running:
        running.set_quote("AAPL", "189.98", "190.02")
        yield trading_client(running)


def test_a_rejection_reports_buying_power_and_cost(client: TradingClient) -> None:
    with pytest.raises(APIError) as rejected:
        client.submit_order(_market(qty=2_000))
    assert json.loads(str(rejected.value)) == {
        "code": 40310000,
        "message": "insufficient buying power",
        "buying_power": "200000",
        "cost_basis": "391441.2",
    }


def test_more_than_the_position_cannot_be_sold(client: TradingClient) -> None:
    hold(client, "AAPL", 1)
    with expect_api_error(403, 40310000, "insufficient qty available for order (requested: 2, available: 1)"):
        client.submit_order(_market(side=SELL, qty=2))


def test_an_order_must_not_trade_with_another_of_the_same_account(client: TradingClient) -> None:
    hold(client, "AAPL", 1)
    offer = submit_order(client, _limit(side=SELL, limit_price=195, client_order_id="offer"))
    wait_for_status(client, "offer", "new")
    with pytest.raises(APIError) as rejected:
        client.submit_order(_limit(limit_price=196))
    assert json.loads(str(rejected.value))["existing_order_id"] == str(offer.id)
    assert rejected.value.message == "potential wash trade detected. use complex orders"


def test_a_client_order_id_stays_used_after_its_order_has_ended(client: TradingClient) -> None:
    order = submit_order(client, _limit(limit_price=100, client_order_id="once"))
    wait_for_status(client, "once", "new")
    client.cancel_order_by_id(order.id)
    wait_for_status(client, "once", "canceled")
    with expect_api_error(422, 40010001, "client_order_id must be unique"):
        client.submit_order(_limit(limit_price=100, client_order_id="once"))


def test_a_filled_order_cannot_be_cancelled(client: TradingClient) -> None:
    hold(client, "AAPL", 1)
    with expect_api_error(422, 42210000, 'order is already in "filled" state'):
        client.cancel_order_by_id(order_by_client_id(client, "hold AAPL 0").id)


def test_wrong_credentials_are_unauthorized_and_the_body_has_no_code(sandbox: SandboxProcess) -> None:
    unauthorized = trading_client(sandbox, secret="wrong")
    with pytest.raises(APIError) as rejected:
        unauthorized.get_account()
    assert (rejected.value.status_code, rejected.value.message) == (401, "unauthorized.")
    with pytest.raises(KeyError):
        _ = rejected.value.code


def test_credentials_may_be_sent_as_basic_authorization(sandbox: SandboxProcess) -> None:
    client = trading_client(sandbox)
    client._use_basic_auth = True  # noqa: SLF001 -- an option of the library's data client
    assert expect_type(client.get_account(), TradeAccount).currency == "USD"


def test_too_many_requests_are_rejected_until_the_next_minute() -> None:
    with running_sandbox("--symbols", "AAPL", "--speed", "0", "--rate-limit-per-minute", "3") as own:
        client = trading_client(own)
        client._retry_codes = []  # noqa: SLF001 -- by default the client waits three seconds, three times
        with expect_api_error(429, 42910000, "rate limit exceeded"):
            for _ in range(7):  # a new minute can start in between
                client.get_clock()
        own.step_clock(60_000)
        assert expect_type(client.get_clock(), Clock).is_open


def test_the_client_retries_a_gateway_timeout_with_the_same_id(sandbox: SandboxProcess) -> None:
    client = trading_client(sandbox)
    client._retry_wait = 0  # noqa: SLF001
    sandbox.arm("accept_then_504")
    # The first attempt was accepted, so the retry is rejected as a duplicate id: the order is live.
    with expect_api_error(422, 40010001, "client_order_id must be unique"):
        client.submit_order(_market(client_order_id="landed"))
    assert wait_for_status(client, "landed", "filled").filled_qty == "1"
