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


def approved_in(harness: RiskHarness, name: str = "s") -> tuple[Intent, bytes]:
    """Approve an intent, with everything else accepted."""
    harness.tick()
    accept_all(harness)
    intent = fresh_intent(harness, name)
    verdict, effects = harness.request_approval(intent)
    assert verdict.allowed
    (frame,) = sent_frames(effects)
    return intent, frame


def accept_all(harness: RiskHarness) -> None:
    for pending in list(harness.service._outbox._controls.values()):  # noqa: SLF001 -- as if execution had received them
        harness.receive(CommandAcknowledged(COMMANDS, Accepted(pending.control.command_id, 1)))


def refuse(harness: RiskHarness, name: str, fault: RejectReason) -> None:
    harness.receive(CommandAcknowledged(COMMANDS, Rejected(CommandId(name), fault, "because")))


def test_an_approval_is_sent_again_after_the_retry_interval_and_not_before() -> None:
    harness = RiskHarness().activate()
    _, frame = approved_in(harness)
    assert sent_frames(harness.wait(450)) == []
    assert sent_frames(harness.wait(50)) == [frame]
    assert sent_frames(harness.wait(1_000)) == [frame, frame]


def test_an_approval_that_execution_reported_is_not_sent_again() -> None:
    harness = RiskHarness().activate()
    intent, _ = approved_in(harness)
    terms = harness.state.orders[intent.intent_id].terms
    assert terms is not None
    harness.order_event(intent_received(intent, terms))
    assert sent_frames(harness.wait(1_000)) == []


def test_an_approval_never_sent_to_the_venue_is_released_and_not_sent_again() -> None:
    harness = RiskHarness().activate()
    intent, _ = approved_in(harness)
    harness.order_event(an_update(intent, OrderState.NEVER_SENT))
    assert sent_frames(harness.wait(1_000)) == []
    assert harness.state.exposure(AAPL).working_buy == ZERO


def test_after_a_restart_the_same_bytes_are_sent_once_there_is_evidence() -> None:
    harness = RiskHarness().activate()
    _, frame = approved_in(harness)
    again = harness.restarted()
    assert frame not in sent_frames(again.tick(50))
    again.activate()
    assert frame in sent_frames(again.tick(50))


def test_while_execution_is_down_nothing_is_sent_and_everything_at_once_when_it_is_back() -> None:
    harness = RiskHarness().activate()
    _, frame = approved_in(harness)
    harness.lose_stream("orders")
    assert sent_frames(harness.wait(1_000)) == []
    harness.sync_orders()
    harness.reconcile()
    assert frame in sent_frames(harness.tick(50))


def test_an_approval_no_longer_permitted_is_held_back_until_it_has_expired() -> None:
    harness = RiskHarness().activate()
    _, frame = approved_in(harness)
    harness.lose_stream("market")
    assert frame not in sent_frames(harness.wait(9_900))
    assert frame in sent_frames(harness.wait(600))


def test_not_accepting_is_retried_and_nothing_is_recorded() -> None:
    harness = RiskHarness().activate()
    intent, frame = approved_in(harness)
    length = len(harness.log)
    for fault in (RejectReason.NOT_ACCEPTING, RejectReason.EXPIRED):
        refuse(harness, intent.intent_id, fault)
    assert sent_frames(harness.wait(500)) == [frame]
    assert len(harness.log) == length


@pytest.mark.parametrize(
    "fault", [RejectReason.FORGED, RejectReason.MALFORMED, RejectReason.WRONG_ACCOUNT, RejectReason.VERSION]
)
def test_our_own_frame_rejected_for_good_is_released_and_halts(fault: RejectReason) -> None:
    harness = RiskHarness().activate()
    intent, _ = approved_in(harness)
    refuse(harness, intent.intent_id, fault)
    assert any(isinstance(one, CommandRejected) and one.reject_reason is fault for one in harness.log)
    assert harness.state.orders == {}
    assert Cause.DIVERGENCE in harness.state.causes


def test_an_approval_that_execution_has_is_never_released_by_a_rejection() -> None:
    harness = RiskHarness().activate()
    intent, _ = approved_in(harness)
    terms = harness.state.orders[intent.intent_id].terms
    assert terms is not None
    harness.order_event(intent_received(intent, terms))
    refuse(harness, intent.intent_id, RejectReason.FORGED)
    assert harness.state.exposure(AAPL).working_buy == intent.quantity


def test_a_replayed_rejection_is_not_a_divergence_and_releases_nothing() -> None:
    harness = RiskHarness().activate()
    intent, _ = approved_in(harness)
    refuse(harness, intent.intent_id, RejectReason.REPLAYED)
    assert harness.state.causes == {}
    assert intent.intent_id in harness.state.orders


def test_the_trading_state_is_sent_until_it_is_accepted_under_one_id() -> None:
    harness = RiskHarness().activate()
    again = sent_controls(harness.wait(1_000))
    assert len(again) == 2
    assert len({one.command_id for one in again}) == 1
    assert isinstance(again[0], SetTradingState)
    harness.receive(CommandAcknowledged(COMMANDS, Accepted(again[0].command_id, 1)))
    assert sent_controls(harness.wait(1_000)) == []


def test_the_trading_state_is_sent_whenever_execution_comes_back() -> None:
    harness = RiskHarness().activate()
    harness.lose_stream("orders")
    assert [type(one) for one in sent_controls(harness.sync_orders())] == [SetTradingState]


def test_no_two_controls_share_an_id_even_across_restarts() -> None:
    harness = RiskHarness().activate()
    seen = [one.command_id for one in sent_controls(harness.lose_stream("orders"))]
    for _ in range(3):
        harness = harness.restarted().activate()
        seen += [one.command_id for one in sent_controls(harness.lose_stream("orders"))]
    assert len(set(seen)) == len(seen) == 4
    assert all(one.startswith("c-01234567-") for one in seen)


def working_for(harness: RiskHarness, span_ms: int) -> Intent:
    intent, _ = approved_in(harness)
    terms = harness.state.orders[intent.intent_id].terms
    assert terms is not None
    harness.order_event(intent_received(intent, terms))
    harness.order_event(an_update(intent, OrderState.OPEN, at_ns=harness.now_ns))
    for _ in range(span_ms // 10_000):
        assert not [one for one in sent_controls(harness.wait(10_000)) if isinstance(one, Cancel)]
        harness.reconcile()
    return intent


def test_an_order_that_works_for_too_long_is_cancelled_again_until_it_is_final() -> None:
    harness = RiskHarness().activate()
    intent = working_for(harness, 60_000)
    (cancel,) = [one for one in sent_controls(harness.wait(50)) if isinstance(one, Cancel)]
    assert cancel.client_order_id == f"{intent.intent_id}-1"
    harness.receive(CommandAcknowledged(COMMANDS, Accepted(cancel.command_id, 1)))
    assert sent_controls(harness.wait(4_950)) == []
    (second,) = sent_controls(harness.wait(50))
    assert second.command_id != cancel.command_id
    harness.order_event(an_update(intent, OrderState.CANCELLED))
    harness.receive(CommandAcknowledged(COMMANDS, Accepted(second.command_id, 1)))
    assert sent_controls(harness.wait(6_000)) == []


def test_an_external_order_is_never_cancelled_by_age() -> None:
    harness = RiskHarness().activate()
    accept_all(harness)
    harness.order_event(an_update(None, OrderState.OPEN, at_ns=1))
    assert sent_controls(harness.wait(1_000)) == []


def test_draining_waits_for_approvals_that_may_still_be_sent() -> None:
    harness = RiskHarness().activate()
    intent, _ = approved_in(harness)
    harness.service.on_stop(harness.now_ns)
    assert not harness.service.is_drained()
    harness.order_event(an_update(intent, OrderState.NEVER_SENT))
    assert harness.service.is_drained()


def test_draining_does_not_wait_for_an_execution_that_is_down() -> None:
    harness = RiskHarness().activate()
    approved_in(harness)
    harness.lose_stream("orders")
    assert harness.service.is_drained()
