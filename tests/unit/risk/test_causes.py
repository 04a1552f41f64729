"""Every cause: what raises it, what it does, what clears it, and what survives a restart."""

from collections.abc import Callable

import pytest

from components.contracts.commands import Fault, Refused, SetTradingState
from components.contracts.decisions import CauseCleared, CauseRaised, Decision
from components.contracts.market import FeedHealth, FeedState
from components.contracts.orders import Collided, VenueChanged, VenueCondition
from components.contracts.positions import TradingStatus
from components.contracts.topics import COMMANDS, MARKET, ORDERS
from components.contracts.trading import EFFECTS, Cause, TradingState
from components.contracts.values import ClientOrderId, CommandId, Place
from components.runtime.service import Acked, Joined
from tests.unit.risk.world import AAPL, ALPACA, MS, World, appended, controls, fresh_intent, reconciled, said


def feed(world: World, state: FeedState) -> None:
    world.say(FeedHealth(ALPACA, state, "", world.now_ns))
    world.tick()


def venue(world: World, condition: VenueCondition) -> None:
    world.event(VenueChanged(ALPACA, condition, "", world.now_ns))


def quiet(world: World, span_ms: int) -> None:
    for _ in range(span_ms // 50):
        world.tick(50)


def rejoin_and_reconcile(world: World) -> None:
    world.join_orders()
    world.tick(1)
    world.reconcile()


def forged(world: World) -> None:
    world.hear(Acked(COMMANDS, Refused(CommandId(""), Fault.FORGED, "the seal does not match")))


Do = Callable[[World], object]

RAISES: dict[Cause, Do] = {
    Cause.UNRECONCILED: lambda world: world.wait(30_050),
    Cause.EXECUTION_DOWN: lambda world: world.lose("orders"),
    Cause.BUS_GAP: lambda world: world.lose("market"),
    Cause.DATA_STALE: lambda world: feed(world, FeedState.DOWN),
    Cause.VENUE_DEGRADED: lambda world: venue(world, VenueCondition.LOST),
    Cause.CLOCK_SUSPECT: lambda world: world.tick(-200),
    Cause.DIVERGENCE: lambda world: world.reconcile((AAPL, "1")),
    Cause.ID_COLLISION: lambda world: world.event(Collided(ClientOrderId("c"), "another order", world.now_ns)),
}
CLEARS: dict[Cause, Do] = {
    Cause.UNRECONCILED: lambda world: world.reconcile(),
    Cause.EXECUTION_DOWN: rejoin_and_reconcile,
    Cause.BUS_GAP: lambda world: world.join_market(),
    Cause.DATA_STALE: lambda world: feed(world, FeedState.LIVE),
    Cause.VENUE_DEGRADED: lambda world: venue(world, VenueCondition.REACHED),
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


def test_every_cause_has_a_case_and_every_one_that_leaves_by_itself_a_way_out() -> None:
    assert set(RAISES) | set(ELSEWHERE) == set(Cause)
    assert set(CLEARS) == {cause for cause in RAISES if not EFFECTS[cause].latched}


@pytest.mark.parametrize("cause", RAISES)
def test_a_cause_is_raised_logged_told_and_put_to_execution(cause: Cause) -> None:
    world = World().active()
    assert world.state.trading_state is TradingState.ACTIVE
    before = len(world.log)
    RAISES[cause](world)
    raised = [one for one in world.log[before:] if isinstance(one, CauseRaised)]
    assert [one.cause for one in raised if one.cause is cause]
    assert raised[0].reason
    assert world.state.trading_state is EFFECTS[cause].state


@pytest.mark.parametrize("cause", CLEARS)
def test_a_cause_that_leaves_by_itself_leaves_when_evidence_returns(cause: Cause) -> None:
    world = World().active()
    RAISES[cause](world)
    CLEARS[cause](world)
    assert world.state.causes == {}
    assert [one.cause for one in world.log if isinstance(one, CauseCleared)].count(cause) == 1


@pytest.mark.parametrize("cause", [cause for cause in RAISES if EFFECTS[cause].latched])
def test_a_latched_cause_survives_evidence_and_restart(cause: Cause) -> None:
    world = World().active()
    RAISES[cause](world)
    world.reconcile()
    assert cause in world.state.causes
    assert set(world.restarted().active().state.causes) == {cause}


def test_a_change_is_told_in_order_record_status_command() -> None:
    world = World().active()
    effects = world.lose("orders")
    (record,) = appended(effects)
    assert record.cause is Cause.EXECUTION_DOWN
    assert [one.state for one in said(effects) if isinstance(one, TradingStatus)] == [TradingState.HALTED]
    assert [one.state for one in controls(effects) if isinstance(one, SetTradingState)] == [TradingState.HALTED]


def test_a_fresh_log_holds_only_starting() -> None:
    world = World()
    assert set(world.state.causes) == {Cause.STARTING}
    world.tick(50)
    assert set(world.state.causes) == {Cause.STARTING}


def test_starting_ends_with_both_streams_and_a_reconciliation_in_whatever_order() -> None:
    steps: tuple[Do, ...] = (World.join_market, World.join_orders, World.reconcile)
    for order in ((0, 1, 2), (1, 2, 0), (2, 1, 0), (2, 0, 1)):
        world = World()
        for step in order:
            assert set(world.state.causes) == {Cause.STARTING}
            steps[step](world)
        assert world.state.causes == {}


def test_what_is_wrong_besides_is_raised_before_starting_is_cleared() -> None:
    world = World()
    world.join_orders()
    world.reconcile()
    before = len(world.log)
    world.hear(bare_market())
    assert [type(one) for one in world.log[before:]] == [CauseRaised, CauseCleared]
    assert set(world.state.causes) == {Cause.DATA_STALE}


def bare_market() -> Joined:
    return Joined(MARKET, "market_data", Place("market", "e", 0), ())


def test_after_execution_was_lost_only_a_new_reconciliation_counts() -> None:
    world = World().active()
    world.lose("orders")
    world.join_orders()
    assert set(world.state.causes) == {Cause.UNRECONCILED}


def test_what_execution_reconciled_at_its_start_counts_although_its_loss_was_seen_later() -> None:
    world = World().active()
    begun_ns = world.now_ns
    world.wait(3_500)
    world.lose("orders")
    world.event(reconciled(at_ns=begun_ns + 1_000 * MS))
    world.join_orders()
    assert world.state.causes == {}


def test_an_old_reconciliation_heard_in_a_replay_does_not_count() -> None:
    world = World()
    world.reconcile()
    world.now_ns += 31_000 * MS
    world.join_market()
    world.join_orders()
    assert set(world.state.causes) == {Cause.STARTING}
    assert world.service.unmet(world.now_ns) == ("account: not reconciled within 30000 ms",)


def test_a_first_difference_halts_and_a_second_one_is_divergence() -> None:
    world = World().active()
    world.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    assert set(world.state.causes) == {Cause.UNRECONCILED}
    world.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    assert set(world.state.causes) == {Cause.UNRECONCILED, Cause.DIVERGENCE}


def test_a_fill_in_flight_is_no_divergence() -> None:
    world = World().active()
    world.reconcile((AAPL, "1"), differences=("AAPL: ours 0, venue 1",))
    world.reconcile()
    assert world.state.causes == {}


def test_divergence_names_what_is_unequal_and_is_written_before_the_event_that_showed_it() -> None:
    world = World().active()
    effects = world.reconcile((AAPL, "1"))
    raised, event, *_ = appended(effects)
    assert raised.reason == "AAPL: ours 0, venue 1"
    assert event.place.sequence == 2


def test_orders_from_another_journal_are_divergence_and_not_applied() -> None:
    world = World().active()
    place = world.state.orders_place
    world.event(VenueChanged(ALPACA, VenueCondition.LOST, "", world.now_ns), journal="another")
    assert Cause.DIVERGENCE in world.state.causes
    assert world.state.orders_place == place
    assert world.state.venue_condition is None


def test_joining_another_journal_is_divergence() -> None:
    world = World().active().restarted()
    world.hear(Joined(ORDERS, "execution", Place("orders", "another", 1), ()))
    assert Cause.DIVERGENCE in world.state.causes
    assert world.service.unmet(world.now_ns)[0] == "orders: not heard yet"


def test_a_journal_that_does_not_go_on_is_divergence_once() -> None:
    world = World().active()
    for _ in range(3):
        world.lose("orders", "the journal ends before what was heard", is_foreign=True)
    assert [one.cause for one in world.log if isinstance(one, CauseRaised)].count(Cause.DIVERGENCE) == 1


def test_a_log_without_order_events_takes_any_journal() -> None:
    world = World()
    world.event(VenueChanged(ALPACA, VenueCondition.REACHED, "", world.now_ns), journal="whatever")
    assert set(world.state.causes) == {Cause.STARTING}


def test_our_own_frame_called_forged_is_divergence() -> None:
    world = World().active()
    forged(world)
    assert set(world.state.causes) == {Cause.DIVERGENCE}


@pytest.mark.parametrize("jump_ms", [2_001, -101])
def test_a_jump_of_the_clock_is_suspect_for_a_while(jump_ms: int) -> None:
    world = World().active()
    world.tick(jump_ms)
    assert Cause.CLOCK_SUSPECT in world.state.causes
    world.wait(2_950)
    assert Cause.CLOCK_SUSPECT in world.state.causes
    world.wait(100)
    assert Cause.CLOCK_SUSPECT not in world.state.causes


def test_prices_are_stale_when_nobody_quotes() -> None:
    world = World().active()
    quiet(world, 5_000)
    assert world.state.causes == {}
    quiet(world, 50)
    assert set(world.state.causes) == {Cause.DATA_STALE}
    world.quote()
    world.tick()
    assert world.state.causes == {}


def test_a_judgement_weighs_the_evidence_of_its_own_moment() -> None:
    world = World().active()
    world.now_ns += 30_001 * MS
    world.quote()
    verdict, effects = world.judge(fresh_intent(world))
    assert not verdict.allowed
    assert [type(one) for one in appended(effects)][-2:] == [CauseRaised, Decision]


def test_unmet_names_everything_that_readiness_waits_for() -> None:
    world = World()
    assert world.service.unmet(world.now_ns) == ("orders: not heard yet", "market: not heard yet")
    world.join_orders()
    assert world.service.unmet(world.now_ns)[0].startswith("account: not reconciled")
    world.reconcile()
    world.hear(bare_market())
    assert world.service.unmet(world.now_ns) == ("prices: no live feed (none heard)",)
    world.join_market()
    assert world.service.unmet(world.now_ns) == ()
