"""Order requests: which are valid, and the exact error messages for the others."""

from decimal import Decimal
from typing import Any

import pytest

from components.sandbox.alpaca.core.errors import ApiError
from components.sandbox.alpaca.core.orders import OrderTerms, OrderType, Side, TimeInForce
from components.sandbox.alpaca.core.validation import check_client_order_id, parse_order_terms
from tests.support.sandbox_venue import order_body

MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"symbol": ""}, "symbol is required"),
    ({"qty": None}, "qty or notional is required"),
    ({"notional": 5}, "only one of qty or notional is accepted"),
    ({"qty": 0}, "qty must be > 0"),
    ({"qty": -1}, "qty must be > 0"),
    ({"qty": "NaN"}, "qty must be a number"),
    ({"qty": None, "notional": 0}, "notional must be > 0"),
    ({"side": "hold"}, "invalid side"),
    ({"type": "iceberg"}, "invalid order type"),
    ({"time_in_force": "week"}, "invalid time_in_force"),
    ({"order_class": "bracket"}, "invalid order class"),
    ({"limit_price": 1}, "market orders require no stop or limit price"),
    ({"type": "limit"}, "limit orders require a limit price"),
    ({"type": "stop"}, "stop orders require a stop price"),
    ({"type": "stop_limit", "stop_price": 1}, "stop limit orders require both stop and limit price"),
    ({"type": "trailing_stop"}, "trailing stop orders must specify one of trail_price or trail_percent"),
    (
        {"type": "trailing_stop", "trail_price": 1, "trail_percent": 1},
        "trailing stop orders must specify one of trail_price or trail_percent",
    ),
    ({"type": "trailing_stop", "trail_percent": "0.05"}, "trail_percent must be greater than or equal to 0.1"),
    ({"type": "trailing_stop", "trail_price": 0}, "trail price must be > 0"),
    ({"type": "limit", "limit_price": 0}, "limit price must be > 0"),
    ({"type": "stop", "stop_price": -1}, "stop price must be > 0"),
]


FORBIDDEN: list[tuple[dict[str, Any], str]] = [
    (
        {"type": "limit", "limit_price": "290.123"},
        "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    (
        {"type": "stop", "stop_price": "0.12345"},
        "invalid stop_price 0.12345. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    ({"type": "stop", "stop_price": 1, "time_in_force": "ioc"}, "time_in_force ioc is not valid for stop orders"),
    ({"time_in_force": "opg"}, "time_in_force opg is not enabled for this account"),
    ({"time_in_force": "cls"}, "time_in_force cls is not enabled for this account"),
    ({"qty": "1.5", "time_in_force": "gtc"}, "fractional orders must be DAY orders"),
    ({"qty": None, "notional": 10, "time_in_force": "gtc"}, "fractional orders must be DAY orders"),
    ({"qty": "0.0000000001"}, "qty must be limited to 9 decimal places"),
    (
        {"qty": "1.5", "type": "trailing_stop", "trail_price": 1},
        "fractional orders must be market, limit, stop or stop_limit orders",
    ),
    ({"extended_hours": True}, "extended hours order must be DAY or GTC limit orders"),
]


@pytest.mark.parametrize(("changes", "message"), MALFORMED)
def test_a_malformed_order_is_rejected_with_the_venues_message(changes: dict[str, Any], message: str) -> None:
    assert parse_order_terms(order_body(**changes)) == ApiError(422, 40010001, message)


@pytest.mark.parametrize(("changes", "message"), FORBIDDEN)
def test_an_order_against_the_rules_is_rejected_with_the_venues_message(changes: dict[str, Any], message: str) -> None:
    assert parse_order_terms(order_body(**changes)) == ApiError(422, 42210000, message)


@pytest.mark.parametrize("kind", ["market", "limit", "stop", "stop_limit", "trailing_stop"])
@pytest.mark.parametrize("time_in_force", ["day", "gtc"])
def test_every_order_type_is_accepted_as_day_and_gtc(kind: str, time_in_force: str) -> None:
    prices = {
        "limit": {"limit_price": 10},
        "stop": {"stop_price": 10},
        "stop_limit": {"limit_price": 10, "stop_price": 9},
        "trailing_stop": {"trail_percent": 1},
    }
    terms = parse_order_terms(order_body(type=kind, time_in_force=time_in_force, **prices.get(kind, {})))
    assert isinstance(terms, OrderTerms)
    assert (terms.type, terms.time_in_force) == (OrderType(kind), TimeInForce(time_in_force))


def test_parsed_terms_contain_the_requested_values() -> None:
    terms = parse_order_terms(order_body(symbol="aapl", qty="1.0", side="sell", type="limit", limit_price="150.10"))
    assert isinstance(terms, OrderTerms)
    assert (terms.symbol, terms.side, terms.qty, terms.limit_price) == (
        "AAPL",
        Side.SELL,
        Decimal(1),
        Decimal("150.10"),
    )


def test_a_price_below_a_dollar_may_have_four_decimals() -> None:
    assert isinstance(parse_order_terms(order_body(type="limit", limit_price="0.1234")), OrderTerms)


def test_a_client_order_id_may_have_at_most_128_characters() -> None:
    assert check_client_order_id("x" * 128) is None
    too_long = ApiError(422, 40010001, "client_order_id must be no more than 128 characters")
    assert check_client_order_id("x" * 129) == too_long
