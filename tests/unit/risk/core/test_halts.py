"""Every cause: what raises it, what it does, what clears it, and what survives a restart.

What each trading state permits, cell by cell of the table in docs/architecture.md.
"""

from collections.abc import Callable

import pytest

from components.contracts.commands import Rejected, RejectReason, SetTradingState
from components.contracts.decisions import CauseCleared, CauseRaised, Decision
from components.contracts.market import FeedHealth, FeedState
from components.contracts.orders import ClientOrderIdConflict, VenueConnectivity, VenueConnectivityChanged
from components.contracts.signals import Purpose
from components.contracts.streams import COMMANDS, MARKET, ORDERS
from components.contracts.trading import CAUSE_EFFECTS, Cause, TradingState, TradingStatus
from components.contracts.values import ClientOrderId, CommandId, StreamOffset
from components.risk.core.halts import POSITIONS_UNKNOWN, permits
from components.runtime.service import CommandAcknowledged, StreamSynced
from tests.support.risk_harness import (
    AAPL,
    ALPACA,
    MS,
    RiskHarness,
    appended,
    fresh_intent,
    published,
    reconciliation,
    sent_controls,
)


def feed(harness: RiskHarness, state: FeedState) -> None:
    harness.market_message(FeedHealth(ALPACA, state, "", harness.now_ns))
    harness.tick()


def venue(harness: RiskHarness, condition: VenueConnectivity) -> None:
    harness.order_event(VenueConnectivityChanged(ALPACA, condition, "", harness.now_ns))


def quiet(harness: RiskHarness, span_ms: int) -> None:
    for _ in range(span_ms // 50):
        harness.tick(50)


def rejoin_and_reconcile(harness: RiskHarness) -> None:
    harness.sync_orders()
    harness.tick(1)
    harness.reconcile()


def forged(harness: RiskHarness) -> None:
    harness.receive(
        CommandAcknowledged(COMMANDS, Rejected(CommandId(""), RejectReason.FORGED, "the seal does not match"))
    )


Do = Callable[[RiskHarness], object]
RAISES: dict[Cause, Do] = {
    Cause.UNRECONCILED: lambda harness: harness.wait(30_050),
    Cause.EXECUTION_DOWN: lambda harness: harness.lose_stream("orders"),
    Cause.BUS_GAP: lambda harness: harness.lose_stream("market"),
    Cause.DATA_STALE: lambda harness: feed(harness, FeedState.DOWN),
    Cause.VENUE_DEGRADED: lambda harness: venue(harness, VenueConnectivity.LOST),
    Cause.CLOCK_SUSPECT: lambda harness: harness.tick(-200),
    Cause.DIVERGENCE: lambda harness: harness.reconcile((AAPL, "1")),
    Cause.ID_COLLISION: lambda harness: harness.order_event(
        ClientOrderIdConflict(ClientOrderId("c"), "another order", harness.now_ns)
    ),
}
CLEARS: dict[Cause, Do] = {
    Cause.UNRECONCILED: lambda harness: harness.reconcile(),
    Cause.EXECUTION_DOWN: rejoin_and_reconcile,
    Cause.BUS_GAP: lambda harness: harness.sync_market(),
    Cause.DATA_STALE: lambda harness: feed(harness, FeedState.LIVE),
    Cause.VENUE_DEGRADED: lambda harness: venue(harness, VenueConnectivity.HEALTHY),
    Cause.CLOCK_SUSPECT: lambda harness: harness.wait(3_050),
}
ELSEWHERE = {
    Cause.STARTING: "raised by each start, below",
    Cause.OPERATOR_HALT: "raised by an operator: test_operating",
    Cause.LOSS_DAY: "for the breaker to raise",
    Cause.DRAWDOWN: "for the breaker to raise",
    Cause.REJECT_RATIO: "for the breaker to raise",
    Cause.ERROR_BUDGET: "for the breaker to raise",
}


def test_every_cause_has_a_case_and_every_unlatched_one_a_way_to_clear() -> None:
    assert set(RAISES) | set(ELSEWHERE) == set(Cause)
    assert set(CLEARS) == {cause for cause in RAISES if not CAUSE_EFFECTS[cause].latched}


@pytest.mark.parametrize("cause", RAISES)
def test_a_raised_cause_is_recorded_published_and_sent_to_execution(cause: Cause) -> None:
    harness = RiskHarness().activate()
    assert harness.state.trading_state is TradingState.ACTIVE
    before = len(harness.log)
    RAISES[cause](harness)
    raised = [one for one in harness.log[before:] if isinstance(one, CauseRaised)]
    assert [one.cause for one in raised if one.cause is cause]
    assert raised[0].reason
    assert harness.state.trading_state is CAUSE_EFFECTS[cause].state


@pytest.mark.parametrize("cause", CLEARS)
def test_an_unlatched_cause_clears_when_evidence_returns(cause: Cause) -> None:
    harness = RiskHarness().activate()
    RAISES[cause](harness)
    CLEARS[cause](harness)
    assert harness.state.causes == {}
    assert [one.cause for one in harness.log if isinstance(one, CauseCleared)].count(cause) == 1


@pytest.mark.parametrize("cause", [cause for cause in RAISES if CAUSE_EFFECTS[cause].latched])
def test_a_latched_cause_survives_evidence_and_restart(cause: Cause) -> None:
    harness = RiskHarness().activate()
    RAISES[cause](harness)
    harness.reconcile()
    assert cause in harness.state.causes
    assert set(harness.restarted().activate().state.causes) == {cause}


def test_a_change_is_recorded_then_published_then_sent() -> None:
    harness = RiskHarness().activate()
    effects = harness.lose_stream("orders")
    (record,) = appended(effects)
    assert record.cause is Cause.EXECUTION_DOWN
    assert [one.state for one in published(effects) if isinstance(one, TradingStatus)] == [TradingState.HALTED]
    assert [one.state for one in sent_controls(effects) if isinstance(one, SetTradingState)] == [TradingState.HALTED]


def test_a_fresh_log_holds_only_starting() -> None:
    harness = RiskHarness()
    assert set(harness.state.causes) == {Cause.STARTING}
    harness.tick(50)
    assert set(harness.state.causes) == {Cause.STARTING}


def test_starting_ends_with_both_streams_and_a_reconciliation_in_whatever_order() -> None:
    steps: tuple[Do, ...] = (RiskHarness.sync_market, RiskHarness.sync_orders, RiskHarness.reconcile)
    for order in ((0, 1, 2), (1, 2, 0), (2, 1, 0), (2, 0, 1)):
        harness = RiskHarness()
        for step in order:
            assert set(harness.state.causes) == {Cause.STARTING}
            steps[step](harness)
        assert harness.state.causes == {}


def test_other_causes_are_raised_before_starting_is_cleared() -> None:
    harness = RiskHarness()
    harness.sync_orders()
    harness.reconcile()
    before = len(harness.log)
    harness.receive(bare_market())
    assert [type(one) for one in harness.log[before:]] == [CauseRaised, CauseCleared]
    assert set(harness.state.causes) == {Cause.DATA_STALE}


def bare_market() -> StreamSynced:
    return StreamSynced(MARKET, "market_data", StreamOffset("market", "e", 0), ())


def test_after_execution_was_lost_only_a_new_reconciliation_counts() -> None:
    harness = RiskHarness().activate()
    harness.lose_stream("orders")
    harness.sync_orders()
    assert set(harness.state.causes) == {Cause.UNRECONCILED}


def test_a_reconciliation_at_execution_start_counts_although_the_loss_was_detected_later() -> None:
    harness = RiskHarness().activate()
    started_at_ns = harness.now_ns
    harness.wait(3_500)
    harness.lose_stream("orders")
    harness.order_event(reconciliation(at_ns=started_at_ns + 1_000 * MS))
    harness.sync_orders()
    assert harness.state.causes == {}


def test_an_old_reconciliation_received_in_a_replay_does_not_count() -> None:
    harness = RiskHarness()
    harness.reconcile()
    harness.now_ns += 31_000 * MS
    harness.sync_market()
    harness.sync_orders()
    assert set(harness.state.causes) == {Cause.STARTING}
    assert harness.service.unmet(harness.now_ns) == ("account: not reconciled within 30000 ms",)


def test_a_first_difference_halts_and_a_second_one_is_divergence() -> None:
    harness = RiskHarness().activate()
    harness.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    assert set(harness.state.causes) == {Cause.UNRECONCILED}
    harness.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    assert set(harness.state.causes) == {Cause.UNRECONCILED, Cause.DIVERGENCE}


def test_a_fill_in_flight_is_not_a_divergence() -> None:
    harness = RiskHarness().activate()
    harness.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    harness.reconcile()
    assert harness.state.causes == {}


def test_a_divergence_names_the_unequal_positions_and_is_recorded_before_the_event() -> None:
    harness = RiskHarness().activate()
    effects = harness.reconcile((AAPL, "1"))
    raised, event, *_ = appended(effects)
    assert raised.reason == "AAPL: ours 0, venue 1"
    assert event.offset.sequence == 2


def test_orders_from_another_journal_are_divergence_and_not_applied() -> None:
    harness = RiskHarness().activate()
    offset = harness.state.orders_offset
    harness.order_event(VenueConnectivityChanged(ALPACA, VenueConnectivity.LOST, "", harness.now_ns), journal="another")
    assert Cause.DIVERGENCE in harness.state.causes
    assert harness.state.orders_offset == offset
    assert harness.state.venue_connectivity is None


def test_syncing_with_another_journal_is_divergence() -> None:
    harness = RiskHarness().activate().restarted()
    harness.receive(StreamSynced(ORDERS, "execution", StreamOffset("orders", "another", 1), ()))
    assert Cause.DIVERGENCE in harness.state.causes
    assert harness.service.unmet(harness.now_ns)[0] == "orders: not received yet"


def test_a_diverged_order_stream_is_divergence_once() -> None:
    harness = RiskHarness().activate()
    for _ in range(3):
        harness.lose_stream("orders", "the journal ends before what was heard", is_diverged=True)
    assert [one.cause for one in harness.log if isinstance(one, CauseRaised)].count(Cause.DIVERGENCE) == 1


def test_a_log_without_order_events_accepts_any_journal() -> None:
    harness = RiskHarness()
    harness.order_event(
        VenueConnectivityChanged(ALPACA, VenueConnectivity.HEALTHY, "", harness.now_ns), journal="whatever"
    )
    assert set(harness.state.causes) == {Cause.STARTING}


def test_our_own_frame_rejected_as_forged_is_divergence() -> None:
    harness = RiskHarness().activate()
    forged(harness)
    assert set(harness.state.causes) == {Cause.DIVERGENCE}


@pytest.mark.parametrize("jump_ms", [2_001, -101])
def test_the_clock_is_suspect_for_a_while_after_a_jump(jump_ms: int) -> None:
    harness = RiskHarness().activate()
    harness.tick(jump_ms)
    assert Cause.CLOCK_SUSPECT in harness.state.causes
    harness.wait(2_950)
    assert Cause.CLOCK_SUSPECT in harness.state.causes
    harness.wait(100)
    assert Cause.CLOCK_SUSPECT not in harness.state.causes


def test_prices_are_stale_without_quotes() -> None:
    harness = RiskHarness().activate()
    quiet(harness, 5_000)
    assert harness.state.causes == {}
    quiet(harness, 50)
    assert set(harness.state.causes) == {Cause.DATA_STALE}
    harness.quote()
    harness.tick()
    assert harness.state.causes == {}


def test_a_decision_uses_the_evidence_of_its_own_moment() -> None:
    harness = RiskHarness().activate()
    harness.now_ns += 30_001 * MS
    harness.quote()
    verdict, effects = harness.request_approval(fresh_intent(harness))
    assert not verdict.allowed
    assert [type(one) for one in appended(effects)][-2:] == [CauseRaised, Decision]


def test_unmet_lists_everything_that_readiness_waits_for() -> None:
    harness = RiskHarness()
    assert harness.service.unmet(harness.now_ns) == ("orders: not received yet", "market: not received yet")
    harness.sync_orders()
    assert harness.service.unmet(harness.now_ns)[0].startswith("account: not reconciled")
    harness.reconcile()
    harness.receive(bare_market())
    assert harness.service.unmet(harness.now_ns) == ("prices: no live feed (none received)",)
    harness.sync_market()
    assert harness.service.unmet(harness.now_ns) == ()


TABLE = {
    (TradingState.ACTIVE, Purpose.ENTRY): True,
    (TradingState.ACTIVE, Purpose.EXIT): True,
    (TradingState.ACTIVE, Purpose.STOP): True,
    (TradingState.ACTIVE, Purpose.FLATTEN): True,
    (TradingState.REDUCING, Purpose.ENTRY): False,
    (TradingState.REDUCING, Purpose.EXIT): True,
    (TradingState.REDUCING, Purpose.STOP): True,
    (TradingState.REDUCING, Purpose.FLATTEN): True,
    (TradingState.HALTED, Purpose.ENTRY): False,
    (TradingState.HALTED, Purpose.EXIT): False,
    (TradingState.HALTED, Purpose.STOP): True,
    (TradingState.HALTED, Purpose.FLATTEN): True,
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(state, purpose) for state in TradingState for purpose in Purpose}


@pytest.mark.parametrize(("state", "purpose"), TABLE)
def test_purposes_permitted_while_positions_are_known(state: TradingState, purpose: Purpose) -> None:
    assert permits(state, purpose, (Cause.OPERATOR_HALT,)) is TABLE[state, purpose]


@pytest.mark.parametrize("cause", POSITIONS_UNKNOWN)
@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_is_permitted_in_a_halt_while_positions_are_unknown(cause: Cause, purpose: Purpose) -> None:
    assert not permits(TradingState.HALTED, purpose, (Cause.OPERATOR_HALT, cause))


def test_every_cause_of_unknown_positions_halts() -> None:
    assert {CAUSE_EFFECTS[cause].state for cause in POSITIONS_UNKNOWN} == {TradingState.HALTED}
