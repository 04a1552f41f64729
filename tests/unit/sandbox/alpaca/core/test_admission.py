"""Orders rejected on entry: buying power, free shares, wash trades, account settings."""

from typing import Any

import pytest
from msgspec.structs import replace

from components.sandbox.alpaca.core.errors import ApiError
from components.sandbox.alpaca.venue import AlpacaVenue
from tests.support.sandbox_venue import NOON_NS, make_venue, open_position, order_body, place_order


def _rejection(venue: AlpacaVenue, **changes: Any) -> ApiError:
    error = venue.submit(order_body(**changes), NOON_NS).error
    assert error is not None
    return error


def test_an_order_above_the_buying_power_is_rejected_with_its_cost() -> None:
    error = _rejection(make_venue(), type="limit", limit_price=150, qty=2_000)
    assert (error.status, error.body()) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient buying power",
            "buying_power": "200000",
            "cost_basis": "300000",
        },
    )


def test_an_open_buy_reserves_its_cost() -> None:
    venue = make_venue()
    place_order(venue, type="limit", limit_price=90, qty=2_000)
    error = _rejection(venue, symbol="MSFT", type="limit", limit_price=90, qty=300)
    assert error.body()["buying_power"] == "20000"


def test_a_market_order_must_be_payable_above_the_ask() -> None:
    assert _rejection(make_venue(), qty=1_950).body()["cost_basis"] == "200870.085"


def test_shares_reserved_by_a_sell_cannot_be_sold_again() -> None:
    venue = make_venue()
    open_position(venue, 23)
    (held, *_) = place_order(venue, side="sell", type="limit", limit_price=200, qty=23)
    error = _rejection(venue, side="sell", qty=23)
    assert (error.status, error.body()) == (
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
def test_no_order_can_reverse_a_position(quantity: int, side: str) -> None:
    venue = make_venue()
    open_position(venue, quantity)
    message = "insufficient qty available for order (requested: 15, available: 10)"
    assert _rejection(venue, side=side, qty=15).message == message


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
    venue = make_venue()
    open_position(venue, 10)
    (first, *_) = place_order(venue, side="buy", qty=1, **resting)
    error = _rejection(venue, side="sell", qty=1, **entering)
    assert (error.status, error.body()) == (
        403,
        {
            "code": 40310000,
            "message": "potential wash trade detected. use complex orders",
            "existing_order_id": first.order.order_id,
            "reject_reason": reason,
        },
    )


def test_limit_orders_that_do_not_cross_can_both_rest() -> None:
    venue = make_venue()
    open_position(venue, 10)
    place_order(venue, side="buy", type="limit", limit_price=90)
    assert venue.submit(order_body(side="sell", type="limit", limit_price=110), NOON_NS).order is not None


def test_an_account_without_shorting_cannot_open_with_a_sell() -> None:
    venue = make_venue()
    venue.account.configuration = replace(venue.account.configuration, no_shorting=True)
    assert _rejection(venue, side="sell") == ApiError(403, 40310000, "account is not allowed to short")


def test_a_fractional_quantity_cannot_be_sold_short() -> None:
    message = "fractional orders cannot be sold short"
    assert _rejection(make_venue(), side="sell", qty="0.5") == ApiError(422, 42210000, message)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("sell", "buy", "cannot open a long buy while a short sell order is open"),
        ("buy", "sell", "cannot open a short sell while a long buy order is open"),
    ],
)
def test_long_and_short_cannot_both_be_opened(first: str, second: str, message: str) -> None:
    venue = make_venue()
    prices = {"sell": 110, "buy": 90}
    place_order(venue, side=first, type="limit", limit_price=prices[first])
    assert _rejection(venue, side=second, type="limit", limit_price=prices[second]).message == message


@pytest.mark.parametrize(
    ("side", "price", "message"),
    [
        ("buy", 100, "stop price must be greater than current price"),
        ("sell", 100, "stop price must be less than current price"),
    ],
)
def test_a_stop_that_is_already_reached_is_rejected(side: str, price: int, message: str) -> None:
    assert _rejection(make_venue(), side=side, type="stop", stop_price=price) == ApiError(422, 42210000, message)


def test_a_suspended_account_accepts_no_orders() -> None:
    venue = make_venue()
    venue.account.configuration = replace(venue.account.configuration, suspend_trade=True)
    assert _rejection(venue).status == 403


def test_a_notional_below_one_dollar_is_rejected() -> None:
    message = "cost basis must be >= minimal amount of order 1"
    assert _rejection(make_venue(), qty=None, notional="0.5") == ApiError(403, 40310000, message)


def test_an_unknown_symbol_is_unprocessable() -> None:
    assert _rejection(make_venue(), symbol="NOPE") == ApiError(422, 42210000, 'asset "NOPE" not found')


def test_a_position_intent_that_does_not_match_is_rejected() -> None:
    message = "position intent mismatch, inferred: buy_to_open, specified: buy_to_close"
    assert _rejection(make_venue(), position_intent="buy_to_close") == ApiError(422, 42210000, message)
