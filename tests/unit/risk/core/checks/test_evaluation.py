"""Every check refuses and allows what it should, and no approved order exceeds a limit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from components.contracts.decisions import CheckName
from components.contracts.market import BookState
from components.contracts.signals import Intent, Purpose
from components.contracts.trading import Cause
from components.contracts.values import OrderType, Side, Symbol
from components.risk.core.account_state import RATE_STEP_NS
from components.risk.core.checks.evaluation import PRE_TRADE_CHECKS, decide, evaluate
from components.risk.core.projection import apply
from tests.support.risk_harness import (
    AAPL,
    LIMITS,
    LONG,
    MS,
    MSFT,
    NO_QUOTE,
    NOW,
    CheckExample,
    a_state,
    an_exit,
    an_intent,
    check_result,
    decision_inputs,
    holding,
    with_orders,
)

BUYING = with_orders(a_state(), an_intent("b", quantity="140"))
SELLING = with_orders(LONG, an_exit("w", quantity="15"))
FIVE = with_orders(a_state(), *(an_intent(f"o{n}", symbol=MSFT, limit_price=f"10{n}") for n in range(5)))
DECIDED = apply(a_state(), decide(an_intent("same"), decision_inputs(), LIMITS, a_state(), 10_000 * MS))
PACED = replace(a_state(), approvals_by_step=((NOW // RATE_STEP_NS, 10),))
FAILS: dict[CheckName, CheckExample] = {
    CheckName.TRADING_STATE: CheckExample(an_intent(), decision_inputs(causes=(Cause.DATA_STALE,))),
    CheckName.SYMBOL_ALLOWED: CheckExample(an_intent(symbol=Symbol("GME"))),
    CheckName.SIGNAL_AGE: CheckExample(an_intent(created_at_ns=NOW - 2_001 * MS)),
    CheckName.DUPLICATE: CheckExample(an_intent("same", quantity="11"), state=DECIDED),
    CheckName.BOOK_STATE: CheckExample(an_intent(), decision_inputs(book_state=BookState.GAP)),
    CheckName.QUOTE_AGE: CheckExample(an_intent(), decision_inputs(quote_received_at_ns=NOW - 1_001 * MS)),
    CheckName.SPREAD: CheckExample(an_intent(), decision_inputs(bid_price=Decimal("99.79"))),
    CheckName.PRICE_COLLAR: CheckExample(an_intent(limit_price="100.51")),
    CheckName.PRICE_TICK: CheckExample(an_intent(limit_price="100.005")),
    CheckName.ORDER_QUANTITY: CheckExample(an_intent(quantity="101", limit_price="10")),
    CheckName.ORDER_NOTIONAL: CheckExample(an_intent(quantity="100", limit_price="100.01")),
    CheckName.POSITION: CheckExample(an_intent(quantity="11"), state=BUYING),
    CheckName.SHORT_SALE: CheckExample(an_intent(side=Side.SELL, quantity="6"), state=SELLING),
    CheckName.REDUCE_ONLY: CheckExample(an_exit(quantity="6"), state=SELLING),
    CheckName.SELF_CROSS: CheckExample(an_intent(), state=SELLING),
    CheckName.OPEN_ORDERS: CheckExample(an_intent(), state=FIVE),
    CheckName.ORDER_RATE: CheckExample(an_intent(), state=PACED),
}
PASSES: dict[CheckName, CheckExample] = {
    CheckName.TRADING_STATE: CheckExample(an_exit(), decision_inputs(causes=(Cause.DATA_STALE,)), LONG),
    CheckName.SYMBOL_ALLOWED: CheckExample(an_intent(symbol=MSFT)),
    CheckName.SIGNAL_AGE: CheckExample(an_intent(created_at_ns=NOW - 2_000 * MS, expires_at_ns=NOW + 1)),
    CheckName.DUPLICATE: CheckExample(an_intent("other", quantity="11"), state=DECIDED),
    CheckName.BOOK_STATE: CheckExample(an_intent()),
    CheckName.QUOTE_AGE: CheckExample(an_intent(), decision_inputs(quote_received_at_ns=NOW - 1_000 * MS)),
    CheckName.SPREAD: CheckExample(an_intent(), decision_inputs(bid_price=Decimal("99.83"))),
    CheckName.PRICE_COLLAR: CheckExample(an_intent(limit_price="100.50")),
    CheckName.PRICE_TICK: CheckExample(an_intent(limit_price="0.0001")),
    CheckName.ORDER_QUANTITY: CheckExample(an_intent(quantity="100")),
    CheckName.ORDER_NOTIONAL: CheckExample(an_intent(quantity="100", limit_price="100")),
    CheckName.POSITION: CheckExample(an_intent(quantity="10"), state=BUYING),
    CheckName.SHORT_SALE: CheckExample(an_intent(side=Side.SELL, quantity="5"), state=SELLING),
    CheckName.REDUCE_ONLY: CheckExample(an_exit(quantity="5"), state=SELLING),
    CheckName.SELF_CROSS: CheckExample(an_intent(), state=BUYING),
    CheckName.OPEN_ORDERS: CheckExample(an_intent(), state=with_orders(a_state(), an_intent("o"))),
    CheckName.ORDER_RATE: CheckExample(an_intent(), decision_inputs(now_ns=NOW + 65_000 * MS), PACED),
}


def test_every_check_name_has_an_example_that_fails_and_one_that_passes() -> None:
    assert set(FAILS) == set(PASSES) == set(CheckName)


def test_every_check_always_runs_and_each_has_its_own_name() -> None:
    found = evaluate(an_intent(), decision_inputs(causes=(Cause.OPERATOR_HALT,), **NO_QUOTE), LIMITS, a_state())
    assert [one.name for one in found] == list(dict.fromkeys(one.name for one in found))
    assert {one.name for one in found} == set(CheckName)
    assert len(PRE_TRADE_CHECKS) == len(CheckName)


@pytest.mark.parametrize("name", CheckName)
def test_a_check_fails(name: CheckName) -> None:
    assert not check_result(FAILS[name], name).passed


@pytest.mark.parametrize("name", CheckName)
def test_a_check_passes(name: CheckName) -> None:
    assert check_result(PASSES[name], name).passed


def test_an_ordinary_intent_is_allowed() -> None:
    assert all(one.passed for one in evaluate(an_intent(), decision_inputs(), LIMITS, a_state()))


def test_an_exit_passes_where_prices_rates_and_lists_would_stop_an_entry() -> None:
    blind = decision_inputs(book_state=BookState.STALE, bus_intact=False, causes=(Cause.BUS_GAP,), **NO_QUOTE)
    unlisted = Symbol("GME")
    state = replace(a_state(holding("500.5", unlisted)), approvals_by_step=PACED.approvals_by_step)
    exit_all = an_exit(symbol=unlisted, quantity="500.5", order_type=OrderType.MARKET, limit_price=None)
    assert all(one.passed for one in evaluate(exit_all, blind, LIMITS, state))


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
