"""Checks of the market data behind an order."""

from decimal import Decimal

import pytest

from components.contracts.decisions import CheckName, DecisionInputs
from tests.support.risk_harness import (
    MS,
    NO_QUOTE,
    NOW,
    CheckExample,
    an_intent,
    check_result,
    decision_inputs,
)


@pytest.mark.parametrize("name", [CheckName.QUOTE_AGE, CheckName.SPREAD, CheckName.PRICE_COLLAR])
def test_without_a_quote_no_price_check_passes(name: CheckName) -> None:
    assert not check_result(CheckExample(an_intent(), decision_inputs(**NO_QUOTE)), name).passed


@pytest.mark.parametrize("inputs", [decision_inputs(bid_price=Decimal("100.03")), decision_inputs(ask_price=None)])
def test_a_crossed_or_one_sided_quote_is_no_quote(inputs: DecisionInputs) -> None:
    assert check_result(CheckExample(an_intent(), inputs), CheckName.QUOTE_AGE).observed == "no quote"


def test_a_lost_market_stream_fails_the_book_check() -> None:
    found = check_result(CheckExample(an_intent(), decision_inputs(bus_intact=False)), CheckName.BOOK_STATE)
    assert (found.observed, found.passed) == ("bus gap", False)


def test_a_quote_from_the_future_is_not_fresh() -> None:
    assert not check_result(
        CheckExample(an_intent(), decision_inputs(quote_received_at_ns=NOW + 101 * MS)), CheckName.QUOTE_AGE
    ).passed
