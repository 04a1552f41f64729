"""An approval is sent until execution reports that it has it: the same bytes each time, across restarts."""

import pytest

from components.contracts.commands import Accepted, Cancel, Rejected, RejectReason, SetTradingState
from components.contracts.decisions import CommandRejected
from components.contracts.orders import OrderState
from components.contracts.signals import Intent
from components.contracts.streams import COMMANDS
from components.contracts.trading import Cause
from components.contracts.values import ZERO, CommandId
from components.runtime.service import CommandAcknowledged
from tests.support.risk_harness import (
    AAPL,
    RiskHarness,
    an_update,
    fresh_intent,
    intent_received,
    sent_controls,
    sent_frames,
)


def approved_in(world: RiskHarness, name: str = "s") -> tuple[Intent, bytes]:
    """Approve an intent, with everything else accepted."""
    world.tick()
    accept_all(world)
    intent = fresh_intent(world, name)
    verdict, effects = world.request_approval(intent)
    assert verdict.allowed
    (frame,) = sent_frames(effects)
    return intent, frame


def accept_all(world: RiskHarness) -> None:
    for pending in list(world.service._outbox._controls.values()):  # noqa: SLF001 -- execution would have heard them
        world.receive(CommandAcknowledged(COMMANDS, Accepted(pending.control.command_id, 1)))


def refuse(world: RiskHarness, name: str, fault: RejectReason) -> None:
    world.receive(CommandAcknowledged(COMMANDS, Rejected(CommandId(name), fault, "because")))


def test_an_approval_is_sent_again_after_the_retry_interval_and_not_before() -> None:
    world = RiskHarness().activate()
    _, frame = approved_in(world)
    assert sent_frames(world.wait(450)) == []
    assert sent_frames(world.wait(50)) == [frame]
    assert sent_frames(world.wait(1_000)) == [frame, frame]


def test_an_approval_that_execution_reported_is_not_sent_again() -> None:
    world = RiskHarness().activate()
    intent, _ = approved_in(world)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    world.order_event(intent_received(intent, terms))
    assert sent_frames(world.wait(1_000)) == []


def test_an_approval_never_sent_to_the_venue_is_released_and_not_sent_again() -> None:
    world = RiskHarness().activate()
    intent, _ = approved_in(world)
    world.order_event(an_update(intent, OrderState.NEVER_SENT))
    assert sent_frames(world.wait(1_000)) == []
    assert world.state.exposure(AAPL).working_buy == ZERO


def test_after_a_restart_the_same_bytes_are_sent_once_there_is_evidence() -> None:
    world = RiskHarness().activate()
    _, frame = approved_in(world)
    again = world.restarted()
    assert frame not in sent_frames(again.tick(50))
    again.activate()
    assert frame in sent_frames(again.tick(50))


def test_while_execution_is_down_nothing_is_sent_and_everything_at_once_when_it_is_back() -> None:
    world = RiskHarness().activate()
    _, frame = approved_in(world)
    world.lose_stream("orders")
    assert sent_frames(world.wait(1_000)) == []
    world.sync_orders()
    world.reconcile()
    assert frame in sent_frames(world.tick(50))


def test_an_approval_no_longer_permitted_is_held_back_until_it_has_expired() -> None:
    world = RiskHarness().activate()
    _, frame = approved_in(world)
    world.lose_stream("market")
    assert frame not in sent_frames(world.wait(9_900))
    assert frame in sent_frames(world.wait(600))


def test_not_accepting_is_retried_and_nothing_is_recorded() -> None:
    world = RiskHarness().activate()
    intent, frame = approved_in(world)
    length = len(world.log)
    for fault in (RejectReason.NOT_ACCEPTING, RejectReason.EXPIRED):
        refuse(world, intent.intent_id, fault)
    assert sent_frames(world.wait(500)) == [frame]
    assert len(world.log) == length


@pytest.mark.parametrize(
    "fault", [RejectReason.FORGED, RejectReason.MALFORMED, RejectReason.WRONG_ACCOUNT, RejectReason.VERSION]
)
def test_our_own_frame_rejected_for_good_is_released_and_halts(fault: RejectReason) -> None:
    world = RiskHarness().activate()
    intent, _ = approved_in(world)
    refuse(world, intent.intent_id, fault)
    assert any(isinstance(one, CommandRejected) and one.reject_reason is fault for one in world.log)
    assert world.state.orders == {}
    assert Cause.DIVERGENCE in world.state.causes


def test_an_approval_that_execution_has_is_never_released_by_a_rejection() -> None:
    world = RiskHarness().activate()
    intent, _ = approved_in(world)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    world.order_event(intent_received(intent, terms))
    refuse(world, intent.intent_id, RejectReason.FORGED)
    assert world.state.exposure(AAPL).working_buy == intent.quantity


def test_a_replayed_rejection_is_not_a_divergence_and_releases_nothing() -> None:
    world = RiskHarness().activate()
    intent, _ = approved_in(world)
    refuse(world, intent.intent_id, RejectReason.REPLAYED)
    assert world.state.causes == {}
    assert intent.intent_id in world.state.orders


def test_the_trading_state_is_sent_until_it_is_accepted_under_one_id() -> None:
    world = RiskHarness().activate()
    again = sent_controls(world.wait(1_000))
    assert len(again) == 2
    assert len({one.command_id for one in again}) == 1
    assert isinstance(again[0], SetTradingState)
    world.receive(CommandAcknowledged(COMMANDS, Accepted(again[0].command_id, 1)))
    assert sent_controls(world.wait(1_000)) == []


def test_the_trading_state_is_sent_whenever_execution_comes_back() -> None:
    world = RiskHarness().activate()
    world.lose_stream("orders")
    assert [type(one) for one in sent_controls(world.sync_orders())] == [SetTradingState]


def test_no_two_controls_share_an_id_even_across_restarts() -> None:
    world = RiskHarness().activate()
    seen = [one.command_id for one in sent_controls(world.lose_stream("orders"))]
    for _ in range(3):
        world = world.restarted().activate()
        seen += [one.command_id for one in sent_controls(world.lose_stream("orders"))]
    assert len(set(seen)) == len(seen) == 4
    assert all(one.startswith("c-01234567-") for one in seen)


def working_for(world: RiskHarness, span_ms: int) -> Intent:
    intent, _ = approved_in(world)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    world.order_event(intent_received(intent, terms))
    world.order_event(an_update(intent, OrderState.OPEN, at_ns=world.now_ns))
    for _ in range(span_ms // 10_000):
        assert not [one for one in sent_controls(world.wait(10_000)) if isinstance(one, Cancel)]
        world.reconcile()
    return intent


def test_an_order_that_works_for_too_long_is_cancelled_again_until_it_is_final() -> None:
    world = RiskHarness().activate()
    intent = working_for(world, 60_000)
    (cancel,) = [one for one in sent_controls(world.wait(50)) if isinstance(one, Cancel)]
    assert cancel.client_order_id == f"{intent.intent_id}-1"
    world.receive(CommandAcknowledged(COMMANDS, Accepted(cancel.command_id, 1)))
    assert sent_controls(world.wait(4_950)) == []
    (second,) = sent_controls(world.wait(50))
    assert second.command_id != cancel.command_id
    world.order_event(an_update(intent, OrderState.CANCELLED))
    world.receive(CommandAcknowledged(COMMANDS, Accepted(second.command_id, 1)))
    assert sent_controls(world.wait(6_000)) == []


def test_an_external_order_is_never_cancelled_by_age() -> None:
    world = RiskHarness().activate()
    accept_all(world)
    world.order_event(an_update(None, OrderState.OPEN, at_ns=1))
    assert sent_controls(world.wait(1_000)) == []


def test_draining_waits_for_approvals_that_may_still_be_sent() -> None:
    world = RiskHarness().activate()
    intent, _ = approved_in(world)
    world.service.on_stop(world.now_ns)
    assert not world.service.is_drained()
    world.order_event(an_update(intent, OrderState.NEVER_SENT))
    assert world.service.is_drained()


def test_draining_does_not_wait_for_an_execution_that_is_down() -> None:
    world = RiskHarness().activate()
    approved_in(world)
    world.lose_stream("orders")
    assert world.service.is_drained()
