"""Who may not enter: no funds, no free shares, trades with oneself."""

from typing import Any

import pytest
from msgspec.structs import replace

from components.sandbox.alpaca.core.errors import ApiError
from components.sandbox.alpaca.venue import AlpacaVenue
from tests.support.sandbox_venue import NOON_NS, make_venue, open_position, order_body, place_order


def _refusal(made: AlpacaVenue, **changes: Any) -> ApiError:
    refusal = made.submit(order_body(**changes), NOON_NS).error
    assert refusal is not None
    return refusal


def test_what_cannot_be_paid_is_refused_with_its_cost() -> None:
    refusal = _refusal(make_venue(), type="limit", limit_price=150, qty=2_000)
    assert (refusal.status, refusal.body()) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient buying power",
            "buying_power": "200000",
            "cost_basis": "300000",
        },
    )


def test_an_open_buy_holds_its_cost_back() -> None:
    made = make_venue()
    place_order(made, type="limit", limit_price=90, qty=2_000)
    refusal = _refusal(made, symbol="MSFT", type="limit", limit_price=90, qty=300)
    assert refusal.body()["buying_power"] == "20000"


def test_a_market_order_must_be_payable_above_the_ask() -> None:
    assert _refusal(make_venue(), qty=1_950).body()["cost_basis"] == "200870.085"


def test_shares_that_a_sell_holds_cannot_be_sold_again() -> None:
    made = make_venue()
    open_position(made, 23)
    (held, *_) = place_order(made, side="sell", type="limit", limit_price=200, qty=23)
    refusal = _refusal(made, side="sell", qty=23)
    assert (refusal.status, refusal.body()) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient qty available for order (requested: 23, available: 0)",
            "symbol": "AAPL",
            "existing_qty": "23",
            "held_for_orders": "23",
            "available": "0",
            "related_orders": [held.order.order_id],
        },
    )


@pytest.mark.parametrize(("quantity", "side"), [(10, "sell"), (-10, "buy")])
def test_no_order_takes_a_position_through_zero(quantity: int, side: str) -> None:
    made = make_venue()
    open_position(made, quantity)
    message = "insufficient qty available for order (requested: 15, available: 10)"
    assert _refusal(made, side=side, qty=15).message == message


@pytest.mark.parametrize(
    ("resting", "entering", "reason"),
    [
        ({"type": "limit", "limit_price": 99}, {}, "opposite side limit order exists"),
        (
            {"type": "limit", "limit_price": 99},
            {"type": "limit", "limit_price": 99},
            "opposite side limit order exists",
        ),
        (
            {"type": "stop", "stop_price": 120},
            {"type": "limit", "limit_price": 130},
            "opposite side market/stop order exists",
        ),
    ],
)
def test_an_order_that_could_trade_with_another_is_a_wash_trade(
    resting: dict[str, Any], entering: dict[str, Any], reason: str
) -> None:
    made = make_venue()
    open_position(made, 10)
    (first, *_) = place_order(made, side="buy", qty=1, **resting)
    refusal = _refusal(made, side="sell", qty=1, **entering)
    assert (refusal.status, refusal.body()) == (
        403,
        {
            "code": 40310000,
            "message": "potential wash trade detected. use complex orders",
            "existing_order_id": first.order.order_id,
            "reject_reason": reason,
        },
    )


def test_limits_that_do_not_cross_may_both_rest() -> None:
    made = make_venue()
    open_position(made, 10)
    place_order(made, side="buy", type="limit", limit_price=90)
    assert made.submit(order_body(side="sell", type="limit", limit_price=110), NOON_NS).order is not None


def test_a_flat_account_that_may_not_short_cannot_sell() -> None:
    made = make_venue()
    made.account.configuration = replace(made.account.configuration, no_shorting=True)
    assert _refusal(made, side="sell") == ApiError(403, 40310000, "account is not allowed to short")


def test_a_part_of_a_share_cannot_be_sold_short() -> None:
    message = "fractional orders cannot be sold short"
    assert _refusal(make_venue(), side="sell", qty="0.5") == ApiError(422, 42210000, message)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("sell", "buy", "cannot open a long buy while a short sell order is open"),
        ("buy", "sell", "cannot open a short sell while a long buy order is open"),
    ],
)
def test_long_and_short_cannot_both_be_opened(first: str, second: str, message: str) -> None:
    made = make_venue()
    prices = {"sell": 110, "buy": 90}
    place_order(made, side=first, type="limit", limit_price=prices[first])
    assert _refusal(made, side=second, type="limit", limit_price=prices[second]).message == message


@pytest.mark.parametrize(
    ("side", "price", "message"),
    [
        ("buy", 100, "stop price must be greater than current price"),
        ("sell", 100, "stop price must be less than current price"),
    ],
)
def test_a_stop_that_is_already_reached_is_refused(side: str, price: int, message: str) -> None:
    assert _refusal(make_venue(), side=side, type="stop", stop_price=price) == ApiError(422, 42210000, message)


def test_a_suspended_account_takes_no_orders() -> None:
    made = make_venue()
    made.account.configuration = replace(made.account.configuration, suspend_trade=True)
    assert _refusal(made).status == 403


def test_less_than_a_dollar_is_too_little() -> None:
    message = "cost basis must be >= minimal amount of order 1"
    assert _refusal(make_venue(), qty=None, notional="0.5") == ApiError(403, 40310000, message)


def test_an_unknown_symbol_is_unprocessable() -> None:
    assert _refusal(make_venue(), symbol="NOPE") == ApiError(422, 42210000, 'asset "NOPE" not found')


def test_a_stated_intent_must_be_the_true_one() -> None:
    message = "position intent mismatch, inferred: buy_to_open, specified: buy_to_close"
    assert _refusal(make_venue(), position_intent="buy_to_close") == ApiError(422, 42210000, message)
