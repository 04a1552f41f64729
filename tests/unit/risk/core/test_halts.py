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


def feed(world: RiskHarness, state: FeedState) -> None:
    world.market_message(FeedHealth(ALPACA, state, "", world.now_ns))
    world.tick()


def venue(world: RiskHarness, condition: VenueConnectivity) -> None:
    world.order_event(VenueConnectivityChanged(ALPACA, condition, "", world.now_ns))


def quiet(world: RiskHarness, span_ms: int) -> None:
    for _ in range(span_ms // 50):
        world.tick(50)


def rejoin_and_reconcile(world: RiskHarness) -> None:
    world.sync_orders()
    world.tick(1)
    world.reconcile()


def forged(world: RiskHarness) -> None:
    world.receive(
        CommandAcknowledged(COMMANDS, Rejected(CommandId(""), RejectReason.FORGED, "the seal does not match"))
    )


Do = Callable[[RiskHarness], object]


RAISES: dict[Cause, Do] = {
    Cause.UNRECONCILED: lambda world: world.wait(30_050),
    Cause.EXECUTION_DOWN: lambda world: world.lose_stream("orders"),
    Cause.BUS_GAP: lambda world: world.lose_stream("market"),
    Cause.DATA_STALE: lambda world: feed(world, FeedState.DOWN),
    Cause.VENUE_DEGRADED: lambda world: venue(world, VenueConnectivity.LOST),
    Cause.CLOCK_SUSPECT: lambda world: world.tick(-200),
    Cause.DIVERGENCE: lambda world: world.reconcile((AAPL, "1")),
    Cause.ID_COLLISION: lambda world: world.order_event(
        ClientOrderIdConflict(ClientOrderId("c"), "another order", world.now_ns)
    ),
}


CLEARS: dict[Cause, Do] = {
    Cause.UNRECONCILED: lambda world: world.reconcile(),
    Cause.EXECUTION_DOWN: rejoin_and_reconcile,
    Cause.BUS_GAP: lambda world: world.sync_market(),
    Cause.DATA_STALE: lambda world: feed(world, FeedState.LIVE),
    Cause.VENUE_DEGRADED: lambda world: venue(world, VenueConnectivity.HEALTHY),
    Cause.CLOCK_SUSPECT: lambda world: world.wait(3_050),
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
    world = RiskHarness().activate()
    assert world.state.trading_state is TradingState.ACTIVE
    before = len(world.log)
    RAISES[cause](world)
    raised = [one for one in world.log[before:] if isinstance(one, CauseRaised)]
    assert [one.cause for one in raised if one.cause is cause]
    assert raised[0].reason
    assert world.state.trading_state is CAUSE_EFFECTS[cause].state


@pytest.mark.parametrize("cause", CLEARS)
def test_an_unlatched_cause_clears_when_evidence_returns(cause: Cause) -> None:
    world = RiskHarness().activate()
    RAISES[cause](world)
    CLEARS[cause](world)
    assert world.state.causes == {}
    assert [one.cause for one in world.log if isinstance(one, CauseCleared)].count(cause) == 1


@pytest.mark.parametrize("cause", [cause for cause in RAISES if CAUSE_EFFECTS[cause].latched])
def test_a_latched_cause_survives_evidence_and_restart(cause: Cause) -> None:
    world = RiskHarness().activate()
    RAISES[cause](world)
    world.reconcile()
    assert cause in world.state.causes
    assert set(world.restarted().activate().state.causes) == {cause}


def test_a_change_is_recorded_then_published_then_sent() -> None:
    world = RiskHarness().activate()
    effects = world.lose_stream("orders")
    (record,) = appended(effects)
    assert record.cause is Cause.EXECUTION_DOWN
    assert [one.state for one in published(effects) if isinstance(one, TradingStatus)] == [TradingState.HALTED]
    assert [one.state for one in sent_controls(effects) if isinstance(one, SetTradingState)] == [TradingState.HALTED]


def test_a_fresh_log_holds_only_starting() -> None:
    world = RiskHarness()
    assert set(world.state.causes) == {Cause.STARTING}
    world.tick(50)
    assert set(world.state.causes) == {Cause.STARTING}


def test_starting_ends_with_both_streams_and_a_reconciliation_in_whatever_order() -> None:
    steps: tuple[Do, ...] = (RiskHarness.sync_market, RiskHarness.sync_orders, RiskHarness.reconcile)
    for order in ((0, 1, 2), (1, 2, 0), (2, 1, 0), (2, 0, 1)):
        world = RiskHarness()
        for step in order:
            assert set(world.state.causes) == {Cause.STARTING}
            steps[step](world)
        assert world.state.causes == {}


def test_other_causes_are_raised_before_starting_is_cleared() -> None:
    world = RiskHarness()
    world.sync_orders()
    world.reconcile()
    before = len(world.log)
    world.receive(bare_market())
    assert [type(one) for one in world.log[before:]] == [CauseRaised, CauseCleared]
    assert set(world.state.causes) == {Cause.DATA_STALE}


def bare_market() -> StreamSynced:
    return StreamSynced(MARKET, "market_data", StreamOffset("market", "e", 0), ())


def test_after_execution_was_lost_only_a_new_reconciliation_counts() -> None:
    world = RiskHarness().activate()
    world.lose_stream("orders")
    world.sync_orders()
    assert set(world.state.causes) == {Cause.UNRECONCILED}


def test_a_reconciliation_at_execution_start_counts_although_the_loss_was_detected_later() -> None:
    world = RiskHarness().activate()
    begun_ns = world.now_ns
    world.wait(3_500)
    world.lose_stream("orders")
    world.order_event(reconciliation(at_ns=begun_ns + 1_000 * MS))
    world.sync_orders()
    assert world.state.causes == {}


def test_an_old_reconciliation_received_in_a_replay_does_not_count() -> None:
    world = RiskHarness()
    world.reconcile()
    world.now_ns += 31_000 * MS
    world.sync_market()
    world.sync_orders()
    assert set(world.state.causes) == {Cause.STARTING}
    assert world.service.unmet(world.now_ns) == ("account: not reconciled within 30000 ms",)


def test_a_first_difference_halts_and_a_second_one_is_divergence() -> None:
    world = RiskHarness().activate()
    world.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    assert set(world.state.causes) == {Cause.UNRECONCILED}
    world.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    assert set(world.state.causes) == {Cause.UNRECONCILED, Cause.DIVERGENCE}


def test_a_fill_in_flight_is_not_a_divergence() -> None:
    world = RiskHarness().activate()
    world.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    world.reconcile()
    assert world.state.causes == {}


def test_a_divergence_names_the_unequal_positions_and_is_recorded_before_the_event() -> None:
    world = RiskHarness().activate()
    effects = world.reconcile((AAPL, "1"))
    raised, event, *_ = appended(effects)
    assert raised.reason == "AAPL: ours 0, venue 1"
    assert event.place.sequence == 2


def test_orders_from_another_journal_are_divergence_and_not_applied() -> None:
    world = RiskHarness().activate()
    place = world.state.orders_offset
    world.order_event(VenueConnectivityChanged(ALPACA, VenueConnectivity.LOST, "", world.now_ns), journal="another")
    assert Cause.DIVERGENCE in world.state.causes
    assert world.state.orders_offset == place
    assert world.state.venue_connectivity is None


def test_syncing_with_another_journal_is_divergence() -> None:
    world = RiskHarness().activate().restarted()
    world.receive(StreamSynced(ORDERS, "execution", StreamOffset("orders", "another", 1), ()))
    assert Cause.DIVERGENCE in world.state.causes
    assert world.service.unmet(world.now_ns)[0] == "orders: not heard yet"


def test_a_diverged_order_stream_is_divergence_once() -> None:
    world = RiskHarness().activate()
    for _ in range(3):
        world.lose_stream("orders", "the journal ends before what was heard", is_diverged=True)
    assert [one.cause for one in world.log if isinstance(one, CauseRaised)].count(Cause.DIVERGENCE) == 1


def test_a_log_without_order_events_accepts_any_journal() -> None:
    world = RiskHarness()
    world.order_event(VenueConnectivityChanged(ALPACA, VenueConnectivity.HEALTHY, "", world.now_ns), journal="whatever")
    assert set(world.state.causes) == {Cause.STARTING}


def test_our_own_frame_rejected_as_forged_is_divergence() -> None:
    world = RiskHarness().activate()
    forged(world)
    assert set(world.state.causes) == {Cause.DIVERGENCE}


@pytest.mark.parametrize("jump_ms", [2_001, -101])
def test_the_clock_is_suspect_for_a_while_after_a_jump(jump_ms: int) -> None:
    world = RiskHarness().activate()
    world.tick(jump_ms)
    assert Cause.CLOCK_SUSPECT in world.state.causes
    world.wait(2_950)
    assert Cause.CLOCK_SUSPECT in world.state.causes
    world.wait(100)
    assert Cause.CLOCK_SUSPECT not in world.state.causes


def test_prices_are_stale_without_quotes() -> None:
    world = RiskHarness().activate()
    quiet(world, 5_000)
    assert world.state.causes == {}
    quiet(world, 50)
    assert set(world.state.causes) == {Cause.DATA_STALE}
    world.quote()
    world.tick()
    assert world.state.causes == {}


def test_a_decision_uses_the_evidence_of_its_own_moment() -> None:
    world = RiskHarness().activate()
    world.now_ns += 30_001 * MS
    world.quote()
    verdict, effects = world.request_approval(fresh_intent(world))
    assert not verdict.allowed
    assert [type(one) for one in appended(effects)][-2:] == [CauseRaised, Decision]


def test_unmet_lists_everything_that_readiness_waits_for() -> None:
    world = RiskHarness()
    assert world.service.unmet(world.now_ns) == ("orders: not heard yet", "market: not heard yet")
    world.sync_orders()
    assert world.service.unmet(world.now_ns)[0].startswith("account: not reconciled")
    world.reconcile()
    world.receive(bare_market())
    assert world.service.unmet(world.now_ns) == ("prices: no live feed (none heard)",)
    world.sync_market()
    assert world.service.unmet(world.now_ns) == ()


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
