"""The account is a projection of the log: the same log gives the same bytes, and every sum agrees with its parts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from components.contracts.commands import RejectReason
from components.contracts.decisions import CommandRejected, DecisionMessage
from components.contracts.errors import CorruptData
from components.contracts.orders import (
    OpeningBalance,
    OrderMessage,
    OrderSending,
    OrderState,
    VenuePosition,
    client_order_id,
)
from components.contracts.signals import Intent, Purpose
from components.contracts.trading import Cause
from components.contracts.values import ZERO, AccountId, Quantity, Side, Symbol
from components.risk.core.account_state import RiskState, encode_state
from components.risk.core.checks.evaluation import decide
from components.risk.core.projection import apply, replay
from tests.support.risk_harness import (
    AAPL,
    ACCOUNT,
    JOURNAL,
    LIMITS,
    MSFT,
    NOW,
    RiskHarness,
    a_fill,
    a_state,
    an_intent,
    an_update,
    applied_events,
    approved_decision,
    decision_inputs,
    fresh_intent,
    intent_received,
    reconciliation,
    risk_started,
    with_orders,
)


def after_events(state: RiskState, *bodies: OrderMessage) -> RiskState:
    after = state.orders_offset.sequence if state.orders_offset else 0
    for record in applied_events(*bodies, after=after):
        state = apply(state, record)
    return state


def reserved(state: RiskState, side: Side, symbol: Symbol) -> Quantity:
    return sum((o.remaining for o in state.orders.values() if (o.side, o.symbol) == (side, symbol)), ZERO)


def test_an_approval_reserves_what_it_may_buy() -> None:
    exposure = with_orders(a_state(), an_intent()).exposure(AAPL)
    assert (exposure.working_buy, exposure.buy_orders, exposure.quantity) == (Decimal(10), 1, ZERO)


@pytest.mark.parametrize("state", [one for one in OrderState if not one.is_final])
def test_no_state_but_a_final_one_releases_what_is_reserved(state: OrderState) -> None:
    intent = an_intent()
    after = after_events(with_orders(a_state(), intent), an_update(intent, state))
    assert after.exposure(AAPL).working_buy == intent.quantity


@pytest.mark.parametrize("state", [one for one in OrderState if one.is_final and one is not OrderState.FILLED])
def test_a_final_state_releases_what_was_not_filled(state: OrderState) -> None:
    intent = an_intent()
    after = after_events(
        with_orders(a_state(), intent), a_fill(intent, "4", "100"), an_update(intent, state, filled="4")
    )
    exposure = after.exposure(AAPL)
    assert (exposure.quantity, exposure.working_buy, exposure.buy_orders, after.orders) == (Decimal(4), ZERO, 0, {})


def test_a_fill_changes_the_position_and_releases_its_reservation() -> None:
    intent = an_intent()
    exposure = after_events(with_orders(a_state(), intent), a_fill(intent, "4", "100")).exposure(AAPL)
    assert (exposure.quantity, exposure.working_buy) == (Decimal(4), Decimal(6))


def test_a_final_order_whose_fill_is_still_to_come_stays_reserved_by_that_much() -> None:
    intent = an_intent()
    early = after_events(with_orders(a_state(), intent), an_update(intent, OrderState.CANCELLED, filled="4"))
    assert early.exposure(AAPL).working_buy == Decimal(4)
    after = after_events(early, a_fill(intent, "4", "100"))
    assert (after.exposure(AAPL).quantity, after.orders) == (Decimal(4), {})


def test_a_fill_of_a_final_order_still_changes_the_position() -> None:
    intent = an_intent()
    after = after_events(
        with_orders(a_state(), intent), an_update(intent, OrderState.CANCELLED), a_fill(intent, "3", "100")
    )
    assert after.exposure(AAPL).quantity == Decimal(3)
    assert after.exposure(AAPL).working_buy == ZERO


def test_an_external_order_reserves_too_and_its_missed_fills_are_not_counted_twice() -> None:
    after = after_events(
        a_state(),
        an_update(None, OrderState.PARTIALLY_FILLED, filled="2"),
        a_fill(None, "2", "100", cumulative_quantity=Decimal(2)),
    )
    assert after.exposure(AAPL).working_buy == Decimal(3)
    assert after_events(after, an_update(None, OrderState.CANCELLED, filled="2")).orders == {}


def test_an_external_order_cannot_replace_ours_by_its_id() -> None:
    intent = an_intent()
    state = with_orders(a_state(), intent)
    after = after_events(state, an_update(None, OrderState.CANCELLED, client_order_id=intent.intent_id))
    assert after.orders == state.orders


def test_a_released_approval_that_arrives_after_all_is_reserved_again() -> None:
    intent = an_intent()
    state = with_orders(a_state(), intent)
    terms = state.orders[intent.intent_id].terms
    assert terms is not None
    released = apply(state, CommandRejected(intent.intent_id, RejectReason.FORGED, "", NOW))
    assert released.exposure(AAPL).working_buy == ZERO
    assert after_events(released, intent_received(intent, terms)).exposure(AAPL).working_buy == intent.quantity


def test_an_opening_balance_sets_positions_and_flattens_the_others() -> None:
    state = after_events(a_state(), a_fill(None, "7", "50", symbol=MSFT))
    opening = OpeningBalance(
        ACCOUNT, reconciliation().venue_account, (VenuePosition(AAPL, Decimal(3), Decimal(90)),), NOW
    )
    after = after_events(state, opening)
    assert after.positions() == {AAPL: Decimal(3)}
    assert after.exposure(AAPL).average_price == Decimal(90)


def test_a_clean_reconciliation_counts_and_a_differing_one_does_not() -> None:
    state = after_events(a_state(), a_fill(None, "5", "100"))
    clean = after_events(state, reconciliation((AAPL, "5")))
    assert (clean.reconciled_at_ns, clean.consecutive_mismatches) == (NOW, 0)
    for event in (reconciliation((AAPL, "4")), reconciliation((AAPL, "5"), differences=("order x",)), reconciliation()):
        assert after_events(state, event).reconciled_at_ns == 0
        assert after_events(state, event, event).consecutive_mismatches == 2
        assert after_events(state, event, reconciliation((AAPL, "5"))).consecutive_mismatches == 0


def test_a_flat_symbol_is_the_same_as_none() -> None:
    assert after_events(a_state(), reconciliation((AAPL, "0"))).reconciled_at_ns == NOW


def test_a_start_keeps_latched_causes_and_drops_the_others() -> None:
    state = replace(a_state(), causes={Cause.DATA_STALE: "", Cause.OPERATOR_HALT: "lunch"})
    assert apply(state, risk_started()).causes == {Cause.STARTING: "no evidence yet", Cause.OPERATOR_HALT: "lunch"}


def test_a_log_of_another_account_is_refused() -> None:
    with pytest.raises(CorruptData, match="record 1: the log of account sandbox"):
        apply(RiskState(account=AccountId("paper"), journal_id=JOURNAL), risk_started())


def test_a_record_out_of_order_is_corruption() -> None:
    with pytest.raises(CorruptData, match="record 3, expected 1"):
        replay(RiskState(account=ACCOUNT, journal_id=JOURNAL), [(3, risk_started())])


def test_a_whole_log_replays_to_the_same_bytes() -> None:
    harness = RiskHarness().activate()
    for number, intent in enumerate(fresh_intent(harness, f"n{n}", limit_price=f"100.{n:02}") for n in range(4)):
        harness.request_approval(intent)
        terms = harness.state.orders[intent.intent_id].terms
        assert terms is not None
        harness.order_event(intent_received(intent, terms))
        harness.order_event(a_fill(intent, "3", "100.3"))
        harness.order_event(an_update(intent, OrderState.UNKNOWN if number % 2 else OrderState.CANCELLED, filled="3"))
    harness.lose_stream("orders")
    empty = RiskState(account=ACCOUNT, journal_id=JOURNAL)
    again = replay(empty, enumerate(harness.log, 1))
    assert encode_state(again) == encode_state(harness.state)
    assert encode_state(again) != encode_state(replay(empty, enumerate(harness.log[:-1], 1)))


INTENTS = [an_intent(f"n{number}", purpose=Purpose.ENTRY, side=side) for number, side in enumerate([*Side] * 2)]
order_events = st.one_of(
    st.builds(an_update, st.sampled_from([*INTENTS, None]), st.sampled_from(OrderState), st.sampled_from(["0", "4"])),
    st.builds(a_fill, st.sampled_from([*INTENTS, None]), st.sampled_from(["1", "3", "12"]), st.just("100.5")),
    st.builds(lambda one: OrderSending(one.intent_id, client_order_id(one, 1), 1, NOW), st.sampled_from(INTENTS)),
)


@given(st.lists(st.one_of(st.sampled_from(INTENTS), order_events), max_size=25))
def test_the_reservation_is_always_the_sum_of_the_live_orders(steps: list[Intent | OrderMessage]) -> None:
    state = a_state()
    records: list[DecisionMessage] = [risk_started()]
    for step in steps:
        after = state.orders_offset.sequence if state.orders_offset else 0
        record = approved_decision(state, step) if isinstance(step, Intent) else applied_events(step, after=after)[0]
        records.append(record)
        state = apply(state, record)
    exposure = state.exposure(AAPL)
    assert exposure.working_buy == reserved(state, Side.BUY, AAPL)
    assert exposure.working_sell == reserved(state, Side.SELL, AAPL)
    assert (exposure.buy_orders + exposure.sell_orders) == len(state.orders)
    empty = RiskState(account=ACCOUNT, journal_id=JOURNAL)
    assert encode_state(replay(empty, enumerate(records, 1))) == encode_state(state)


@given(st.lists(st.sampled_from(INTENTS), max_size=10))
def test_a_state_is_never_changed_by_later_records(intents: list[Intent]) -> None:
    state = a_state()
    for intent in intents:
        before = encode_state(state)
        following = apply(state, decide(intent, decision_inputs(), LIMITS, state, 1))
        assert encode_state(state) == before
        state = following
