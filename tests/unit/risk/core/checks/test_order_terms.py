"""Checks of the order's own terms."""

from components.contracts.decisions import CheckName
from components.contracts.values import OrderType
from tests.support.risk_harness import (
    NO_QUOTE,
    CheckExample,
    an_intent,
    check_result,
    decision_inputs,
)


def test_a_market_order_without_a_quote_has_no_price() -> None:
    intent = an_intent(order_type=OrderType.MARKET, limit_price=None)
    assert not check_result(CheckExample(intent, decision_inputs(**NO_QUOTE)), CheckName.ORDER_NOTIONAL).passed


def test_a_market_order_is_priced_at_the_opposite_side_of_the_quote() -> None:
    intent = an_intent(order_type=OrderType.MARKET, limit_price=None)
    assert check_result(CheckExample(intent), CheckName.ORDER_NOTIONAL).observed == "1000.20"


def test_a_quantity_between_increments_is_refused() -> None:
    assert not check_result(CheckExample(an_intent(quantity="1.5")), CheckName.ORDER_QUANTITY).passed
