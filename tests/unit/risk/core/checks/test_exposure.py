"""Checks of the position that an order could lead to."""

import pytest

from components.contracts.decisions import CheckName
from components.contracts.values import Side
from components.risk.core.account_state import RiskState
from components.risk.core.checks.evaluation import evaluate
from tests.support.risk_harness import (
    LIMITS,
    LONG,
    CheckExample,
    a_state,
    an_exit,
    an_intent,
    check_result,
    decision_inputs,
    holding,
)


def test_a_short_sale_may_be_allowed() -> None:
    limits = LIMITS.model_copy(update={"short_selling": True})
    found = evaluate(an_intent(side=Side.SELL), decision_inputs(), limits, a_state(limits=limits))
    assert all(one.passed for one in found)


def test_a_fill_of_an_external_order_is_a_position_like_any_other() -> None:
    assert check_result(CheckExample(an_exit(quantity="20"), state=LONG), CheckName.REDUCE_ONLY).passed


@pytest.mark.parametrize("state", [a_state(), a_state(holding("-20"))])
def test_an_exit_without_a_position_to_reduce_is_refused(state: RiskState) -> None:
    assert not check_result(CheckExample(an_exit(quantity="1"), state=state), CheckName.REDUCE_ONLY).passed


def test_an_exit_may_buy_back_a_short_position() -> None:
    cover = an_exit(side=Side.BUY, quantity="20")
    state = a_state(holding("-20"))
    assert check_result(CheckExample(cover, state=state), CheckName.REDUCE_ONLY).passed
    assert not check_result(
        CheckExample(an_exit(side=Side.BUY, quantity="21"), state=state), CheckName.REDUCE_ONLY
    ).passed
