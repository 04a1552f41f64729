"""Checks of the order flow."""

from msgspec.structs import replace

from components.contracts.decisions import CheckName
from components.contracts.orders import OrderState
from components.contracts.values import Side
from components.risk.core.account_state import ReplyCache
from tests.support.risk_harness import (
    LONG,
    MS,
    NOW,
    CheckExample,
    a_state,
    an_exit,
    an_intent,
    an_update,
    applied_events,
    check_result,
    decision_inputs,
    with_orders,
)


def test_a_signal_from_the_future_is_refused() -> None:
    assert not check_result(CheckExample(an_intent(created_at_ns=NOW + 101 * MS)), CheckName.SIGNAL_AGE).passed
    assert check_result(CheckExample(an_intent(created_at_ns=NOW + 100 * MS)), CheckName.SIGNAL_AGE).passed


def test_an_expired_signal_is_refused_at_any_age() -> None:
    found = check_result(CheckExample(an_intent(expires_at_ns=NOW)), CheckName.SIGNAL_AGE)
    assert (found.observed, found.passed) == ("0.000 ms, expired", False)


def test_while_stopping_no_entry_passes_and_an_exit_does() -> None:
    stopping = decision_inputs(is_stopping=True)
    found = check_result(CheckExample(an_intent(), stopping), CheckName.TRADING_STATE)
    assert (found.observed, found.passed) == ("stopping", False)
    assert check_result(CheckExample(an_exit(), stopping, LONG), CheckName.TRADING_STATE).passed


def test_the_same_order_again_within_the_window_is_refused_and_later_allowed() -> None:
    state = with_orders(a_state(), an_intent("one"))
    again = an_intent("two")
    assert not check_result(
        CheckExample(again, decision_inputs(now_ns=NOW + 999 * MS), state), CheckName.DUPLICATE
    ).passed
    assert check_result(
        CheckExample(again, decision_inputs(now_ns=NOW + 1_000 * MS), state), CheckName.DUPLICATE
    ).passed
    assert check_result(
        CheckExample(an_intent("two", limit_price="100.03"), decision_inputs(), state), CheckName.DUPLICATE
    ).passed


def test_an_intent_that_may_have_been_approved_and_evicted_is_refused() -> None:
    state = replace(a_state(), reply_cache=ReplyCache(evicted_through_ns=NOW))
    found = check_result(CheckExample(an_intent(created_at_ns=NOW), state=state), CheckName.DUPLICATE)
    assert (found.observed, found.passed) == ("may have been approved and evicted", False)
    assert check_result(CheckExample(an_intent(created_at_ns=NOW + 1), state=state), CheckName.DUPLICATE).passed


def test_an_external_working_order_counts_as_opposite_too() -> None:
    state = a_state(*applied_events(an_update(None, OrderState.OPEN, side=Side.SELL)))
    assert not check_result(CheckExample(an_intent(), state=state), CheckName.SELF_CROSS).passed
