"""Every check refuses and allows what it should, and no approved order exceeds a limit."""

from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from components.contracts.decisions import CheckName, CheckResult, DecisionInputs
from components.contracts.market import BookState
from components.contracts.orders import OrderState
from components.contracts.signals import Intent, Purpose
from components.contracts.trading import Cause
from components.contracts.values import OrderType, Side, Symbol
from components.risk.core.account_state import RATE_STEP_NS, ReplyCache, RiskState
from components.risk.core.checks.evaluation import PRE_TRADE_CHECKS, decide, evaluate
from components.risk.core.projection import apply
from tests.support.risk_harness import (
    AAPL,
    LIMITS,
    MS,
    MSFT,
    NOW,
    a_state,
    an_exit,
    an_intent,
    an_update,
    applied_events,
    decision_inputs,
    holding,
    with_orders,
)


class Example(NamedTuple):
    """An intent, the inputs of its decision, and the account state."""

    intent: Intent
    facts: DecisionInputs = decision_inputs()
    state: RiskState = a_state()


LONG = a_state(holding("20"))
BUYING = with_orders(a_state(), an_intent("b", quantity="140"))
SELLING = with_orders(LONG, an_exit("w", quantity="15"))
FIVE = with_orders(a_state(), *(an_intent(f"o{n}", symbol=MSFT, limit_price=f"10{n}") for n in range(5)))
DECIDED = apply(a_state(), decide(an_intent("same"), decision_inputs(), LIMITS, a_state(), 10_000 * MS))
PACED = replace(a_state(), approvals_by_step=((NOW // RATE_STEP_NS, 10),))
UNTRADABLE: dict[str, Any] = {"bid_price": None, "ask_price": None}
REFUSES: dict[CheckName, Example] = {
    CheckName.TRADING_STATE: Example(an_intent(), decision_inputs(causes=(Cause.DATA_STALE,))),
    CheckName.SYMBOL_ALLOWED: Example(an_intent(symbol=Symbol("GME"))),
    CheckName.SIGNAL_AGE: Example(an_intent(created_at_ns=NOW - 2_001 * MS)),
    CheckName.DUPLICATE: Example(an_intent("same", quantity="11"), state=DECIDED),
    CheckName.BOOK_STATE: Example(an_intent(), decision_inputs(book_state=BookState.GAP)),
    CheckName.QUOTE_AGE: Example(an_intent(), decision_inputs(quote_received_at_ns=NOW - 1_001 * MS)),
    CheckName.SPREAD: Example(an_intent(), decision_inputs(bid_price=Decimal("99.79"))),
    CheckName.PRICE_COLLAR: Example(an_intent(limit_price="100.51")),
    CheckName.PRICE_TICK: Example(an_intent(limit_price="100.005")),
    CheckName.ORDER_QUANTITY: Example(an_intent(quantity="101", limit_price="10")),
    CheckName.ORDER_NOTIONAL: Example(an_intent(quantity="100", limit_price="100.01")),
    CheckName.POSITION: Example(an_intent(quantity="11"), state=BUYING),
    CheckName.SHORT_SALE: Example(an_intent(side=Side.SELL, quantity="6"), state=SELLING),
    CheckName.REDUCE_ONLY: Example(an_exit(quantity="6"), state=SELLING),
    CheckName.SELF_CROSS: Example(an_intent(), state=SELLING),
    CheckName.OPEN_ORDERS: Example(an_intent(), state=FIVE),
    CheckName.ORDER_RATE: Example(an_intent(), state=PACED),
}
HOLDS: dict[CheckName, Example] = {
    CheckName.TRADING_STATE: Example(an_exit(), decision_inputs(causes=(Cause.DATA_STALE,)), LONG),
    CheckName.SYMBOL_ALLOWED: Example(an_intent(symbol=MSFT)),
    CheckName.SIGNAL_AGE: Example(an_intent(created_at_ns=NOW - 2_000 * MS, expires_at_ns=NOW + 1)),
    CheckName.DUPLICATE: Example(an_intent("other", quantity="11"), state=DECIDED),
    CheckName.BOOK_STATE: Example(an_intent()),
    CheckName.QUOTE_AGE: Example(an_intent(), decision_inputs(quote_received_at_ns=NOW - 1_000 * MS)),
    CheckName.SPREAD: Example(an_intent(), decision_inputs(bid_price=Decimal("99.83"))),
    CheckName.PRICE_COLLAR: Example(an_intent(limit_price="100.50")),
    CheckName.PRICE_TICK: Example(an_intent(limit_price="0.0001")),
    CheckName.ORDER_QUANTITY: Example(an_intent(quantity="100")),
    CheckName.ORDER_NOTIONAL: Example(an_intent(quantity="100", limit_price="100")),
    CheckName.POSITION: Example(an_intent(quantity="10"), state=BUYING),
    CheckName.SHORT_SALE: Example(an_intent(side=Side.SELL, quantity="5"), state=SELLING),
    CheckName.REDUCE_ONLY: Example(an_exit(quantity="5"), state=SELLING),
    CheckName.SELF_CROSS: Example(an_intent(), state=BUYING),
    CheckName.OPEN_ORDERS: Example(an_intent(), state=with_orders(a_state(), an_intent("o"))),
    CheckName.ORDER_RATE: Example(an_intent(), decision_inputs(now_ns=NOW + 65_000 * MS), PACED),
}


def checked(example: Example, code: CheckName) -> CheckResult:
    found = evaluate(example.intent, example.facts, LIMITS, example.state)
    return next(one for one in found if one.name is code)


def test_every_check_name_has_an_example_that_fails_and_one_that_passes() -> None:
    assert set(REFUSES) == set(HOLDS) == set(CheckName)


def test_every_check_always_runs_and_each_has_its_own_name() -> None:
    found = evaluate(an_intent(), decision_inputs(causes=(Cause.OPERATOR_HALT,), **UNTRADABLE), LIMITS, a_state())
    assert [one.name for one in found] == list(dict.fromkeys(one.name for one in found))
    assert {one.name for one in found} == set(CheckName)
    assert len(PRE_TRADE_CHECKS) == len(CheckName)


@pytest.mark.parametrize("code", CheckName)
def test_a_check_fails(code: CheckName) -> None:
    assert not checked(REFUSES[code], code).passed


@pytest.mark.parametrize("code", CheckName)
def test_a_check_passes(code: CheckName) -> None:
    assert checked(HOLDS[code], code).passed


def test_an_ordinary_intent_is_allowed() -> None:
    assert all(one.passed for one in evaluate(an_intent(), decision_inputs(), LIMITS, a_state()))


@pytest.mark.parametrize("code", [CheckName.QUOTE_AGE, CheckName.SPREAD, CheckName.PRICE_COLLAR])
def test_without_a_quote_no_price_check_passes(code: CheckName) -> None:
    assert not checked(Example(an_intent(), decision_inputs(**UNTRADABLE)), code).passed


@pytest.mark.parametrize("facts", [decision_inputs(bid_price=Decimal("100.03")), decision_inputs(ask_price=None)])
def test_a_crossed_or_one_sided_quote_is_no_quote(facts: DecisionInputs) -> None:
    assert checked(Example(an_intent(), facts), CheckName.QUOTE_AGE).observed == "no quote"


def test_a_market_order_without_a_quote_has_no_price() -> None:
    intent = an_intent(order_type=OrderType.MARKET, limit_price=None)
    assert not checked(Example(intent, decision_inputs(**UNTRADABLE)), CheckName.ORDER_NOTIONAL).passed


def test_a_market_order_is_priced_at_the_opposite_side_of_the_quote() -> None:
    intent = an_intent(order_type=OrderType.MARKET, limit_price=None)
    assert checked(Example(intent), CheckName.ORDER_NOTIONAL).observed == "1000.20"


def test_a_lost_market_stream_fails_the_book_check() -> None:
    found = checked(Example(an_intent(), decision_inputs(bus_intact=False)), CheckName.BOOK_STATE)
    assert (found.observed, found.passed) == ("bus gap", False)


def test_a_signal_from_the_future_is_refused() -> None:
    assert not checked(Example(an_intent(created_at_ns=NOW + 101 * MS)), CheckName.SIGNAL_AGE).passed
    assert checked(Example(an_intent(created_at_ns=NOW + 100 * MS)), CheckName.SIGNAL_AGE).passed


def test_an_expired_signal_is_refused_at_any_age() -> None:
    found = checked(Example(an_intent(expires_at_ns=NOW)), CheckName.SIGNAL_AGE)
    assert (found.observed, found.passed) == ("0.000 ms, expired", False)


def test_a_quote_from_the_future_is_not_fresh() -> None:
    assert not checked(
        Example(an_intent(), decision_inputs(quote_received_at_ns=NOW + 101 * MS)), CheckName.QUOTE_AGE
    ).passed


def test_while_stopping_no_entry_passes_and_an_exit_does() -> None:
    stopping = decision_inputs(is_stopping=True)
    found = checked(Example(an_intent(), stopping), CheckName.TRADING_STATE)
    assert (found.observed, found.passed) == ("stopping", False)
    assert checked(Example(an_exit(), stopping, LONG), CheckName.TRADING_STATE).passed


def test_the_same_order_again_within_the_window_is_refused_and_later_allowed() -> None:
    state = with_orders(a_state(), an_intent("one"))
    again = an_intent("two")
    assert not checked(Example(again, decision_inputs(now_ns=NOW + 999 * MS), state), CheckName.DUPLICATE).passed
    assert checked(Example(again, decision_inputs(now_ns=NOW + 1_000 * MS), state), CheckName.DUPLICATE).passed
    assert checked(
        Example(an_intent("two", limit_price="100.03"), decision_inputs(), state), CheckName.DUPLICATE
    ).passed


def test_an_intent_that_may_have_been_approved_and_evicted_is_refused() -> None:
    state = replace(a_state(), reply_cache=ReplyCache(evicted_through_ns=NOW))
    found = checked(Example(an_intent(created_at_ns=NOW), state=state), CheckName.DUPLICATE)
    assert (found.observed, found.passed) == ("may have been approved and evicted", False)
    assert checked(Example(an_intent(created_at_ns=NOW + 1), state=state), CheckName.DUPLICATE).passed


def test_a_quantity_between_increments_is_refused() -> None:
    assert not checked(Example(an_intent(quantity="1.5")), CheckName.ORDER_QUANTITY).passed


def test_a_short_sale_may_be_allowed() -> None:
    limits = LIMITS.model_copy(update={"short_selling": True})
    found = evaluate(an_intent(side=Side.SELL), decision_inputs(), limits, a_state(limits=limits))
    assert all(one.passed for one in found)


def test_a_fill_of_an_external_order_is_a_position_like_any_other() -> None:
    assert checked(Example(an_exit(quantity="20"), state=LONG), CheckName.REDUCE_ONLY).passed


@pytest.mark.parametrize("state", [a_state(), a_state(holding("-20"))])
def test_an_exit_without_a_position_to_reduce_is_refused(state: RiskState) -> None:
    assert not checked(Example(an_exit(quantity="1"), state=state), CheckName.REDUCE_ONLY).passed


def test_an_exit_may_buy_back_a_short_position() -> None:
    cover = an_exit(side=Side.BUY, quantity="20")
    state = a_state(holding("-20"))
    assert checked(Example(cover, state=state), CheckName.REDUCE_ONLY).passed
    assert not checked(Example(an_exit(side=Side.BUY, quantity="21"), state=state), CheckName.REDUCE_ONLY).passed


def test_an_exit_passes_where_prices_rates_and_lists_would_stop_an_entry() -> None:
    blind = decision_inputs(book_state=BookState.STALE, bus_intact=False, causes=(Cause.BUS_GAP,), **UNTRADABLE)
    unlisted = Symbol("GME")
    state = replace(a_state(holding("500.5", unlisted)), approvals_by_step=PACED.approvals_by_step)
    exit_all = an_exit(symbol=unlisted, quantity="500.5", order_type=OrderType.MARKET, limit_price=None)
    assert all(one.passed for one in evaluate(exit_all, blind, LIMITS, state))


def test_an_external_working_order_counts_as_opposite_too() -> None:
    state = a_state(*applied_events(an_update(None, OrderState.OPEN, side=Side.SELL)))
    assert not checked(Example(an_intent(), state=state), CheckName.SELF_CROSS).passed


intents = st.builds(
    an_intent,
    name=st.sampled_from(["s", "t", "b"]),
    purpose=st.sampled_from(Purpose),
    symbol=st.sampled_from([AAPL, MSFT, Symbol("GME")]),
    side=st.sampled_from(Side),
    quantity=st.decimals(min_value="0.000000001", max_value=200, places=9) | st.integers(1, 200),
    limit_price=st.decimals(min_value="0.0001", max_value=200, places=4) | st.sampled_from(["100.02", "99.98"]),
)


@given(st.lists(intents, max_size=8), intents)
def test_what_is_allowed_never_exceeds_a_limit(before: list[Intent], intent: Intent) -> None:
    state = LONG
    for one in before:
        state = apply(state, decide(one, decision_inputs(), LIMITS, state, 1))
    decision = decide(intent, decision_inputs(), LIMITS, state, 1)
    if not decision.allowed:
        return
    after = apply(state, decision).exposure(intent.symbol)
    bought, sold = after.quantity + after.working_buy, after.quantity - after.working_sell
    assert intent.symbol in LIMITS.allowed_symbols or intent.purpose.is_reduce_only
    assert sold >= 0
    assert bought <= max(LIMITS.position_quantity_max, after.quantity)
    assert not (after.buy_orders and after.sell_orders)
    assert intent.limit_price is not None
    if intent.purpose is Purpose.ENTRY:
        assert intent.quantity * intent.limit_price <= LIMITS.order_notional_max
        assert intent.quantity <= LIMITS.order_quantity_max


@given(st.lists(intents, min_size=1, max_size=12))
def test_an_exit_never_grows_or_flips_a_position(proposed: list[Intent]) -> None:
    state = LONG
    for one in proposed:
        decision = decide(one, decision_inputs(), LIMITS, state, 1)
        exposure = state.exposure(one.symbol)
        state = apply(state, decision)
        if decision.allowed and one.purpose.is_reduce_only:
            assert one.side is (Side.SELL if exposure.quantity > 0 else Side.BUY)
            assert exposure.working_quantity(one.side) + one.quantity <= abs(exposure.quantity)
