"""What was approved is handed over until execution is heard to have it, byte for byte the same, across restarts."""

import pytest

from components.contracts.commands import Accepted, Cancel, Fault, Refused, SetTradingState
from components.contracts.decisions import HandoverRefused
from components.contracts.orders import OrderState
from components.contracts.signals import Intent
from components.contracts.topics import COMMANDS
from components.contracts.trading import Cause
from components.contracts.values import ZERO, CommandId
from components.runtime.service import Acked
from tests.unit.risk.world import AAPL, World, an_update, controls, frames, fresh_intent, received


def approved_in(world: World, name: str = "s") -> tuple[Intent, bytes]:
    """Approve an intent, with everything else accepted."""
    world.tick()
    accept_all(world)
    intent = fresh_intent(world, name)
    verdict, effects = world.judge(intent)
    assert verdict.allowed
    (frame,) = frames(effects)
    return intent, frame


def accept_all(world: World) -> None:
    for pending in list(world.service._outbox._controls.values()):  # noqa: SLF001 -- execution would have heard them
        world.hear(Acked(COMMANDS, Accepted(pending.control.command_id, 1)))


def refuse(world: World, name: str, fault: Fault) -> None:
    world.hear(Acked(COMMANDS, Refused(CommandId(name), fault, "because")))


def test_an_approval_is_handed_over_again_after_the_retry_and_not_before() -> None:
    world = World().active()
    _, frame = approved_in(world)
    assert frames(world.wait(450)) == []
    assert frames(world.wait(50)) == [frame]
    assert frames(world.wait(1_000)) == [frame, frame]


def test_what_execution_is_heard_to_have_is_not_handed_over_again() -> None:
    world = World().active()
    intent, _ = approved_in(world)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    world.event(received(intent, terms))
    assert frames(world.wait(1_000)) == []


def test_what_was_never_sent_is_released_and_not_handed_over_again() -> None:
    world = World().active()
    intent, _ = approved_in(world)
    world.event(an_update(intent, OrderState.NEVER_SENT))
    assert frames(world.wait(1_000)) == []
    assert world.state.exposure(AAPL).working_buy == ZERO


def test_after_a_restart_the_same_bytes_are_handed_over_once_there_is_evidence() -> None:
    world = World().active()
    _, frame = approved_in(world)
    again = world.restarted()
    assert frame not in frames(again.tick(50))
    again.active()
    assert frame in frames(again.tick(50))


def test_while_execution_is_away_nothing_is_handed_over_and_at_once_when_it_is_back() -> None:
    world = World().active()
    _, frame = approved_in(world)
    world.lose("orders")
    assert frames(world.wait(1_000)) == []
    world.join_orders()
    world.reconcile()
    assert frame in frames(world.tick(50))


def test_what_may_not_pass_any_more_is_held_back_until_it_has_expired() -> None:
    world = World().active()
    _, frame = approved_in(world)
    world.lose("market")
    assert frame not in frames(world.wait(9_900))
    assert frame in frames(world.wait(600))


def test_not_accepting_is_tried_again_and_nothing_is_written() -> None:
    world = World().active()
    intent, frame = approved_in(world)
    length = len(world.log)
    for fault in (Fault.NOT_ACCEPTING, Fault.EXPIRED):
        refuse(world, intent.intent_id, fault)
    assert frames(world.wait(500)) == [frame]
    assert len(world.log) == length


@pytest.mark.parametrize("fault", [Fault.FORGED, Fault.MALFORMED, Fault.WRONG_ACCOUNT, Fault.VERSION])
def test_our_own_frame_refused_for_good_is_released_and_halts(fault: Fault) -> None:
    world = World().active()
    intent, _ = approved_in(world)
    refuse(world, intent.intent_id, fault)
    assert any(isinstance(one, HandoverRefused) and one.fault is fault for one in world.log)
    assert world.state.orders == {}
    assert Cause.DIVERGENCE in world.state.causes


def test_an_approval_that_execution_has_is_never_released_by_a_refusal() -> None:
    world = World().active()
    intent, _ = approved_in(world)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    world.event(received(intent, terms))
    refuse(world, intent.intent_id, Fault.FORGED)
    assert world.state.exposure(AAPL).working_buy == intent.quantity


def test_a_replay_is_no_divergence_and_releases_nothing() -> None:
    world = World().active()
    intent, _ = approved_in(world)
    refuse(world, intent.intent_id, Fault.REPLAYED)
    assert world.state.causes == {}
    assert intent.intent_id in world.state.orders


def test_the_trading_state_is_told_until_it_is_accepted_under_one_id() -> None:
    world = World().active()
    again = controls(world.wait(1_000))
    assert len(again) == 2
    assert len({one.command_id for one in again}) == 1
    assert isinstance(again[0], SetTradingState)
    world.hear(Acked(COMMANDS, Accepted(again[0].command_id, 1)))
    assert controls(world.wait(1_000)) == []


def test_execution_is_told_the_trading_state_whenever_it_comes_back() -> None:
    world = World().active()
    world.lose("orders")
    assert [type(one) for one in controls(world.join_orders())] == [SetTradingState]


def test_no_two_controls_share_an_id_even_across_restarts() -> None:
    world = World().active()
    seen = [one.command_id for one in controls(world.lose("orders"))]
    for _ in range(3):
        world = world.restarted().active()
        seen += [one.command_id for one in controls(world.lose("orders"))]
    assert len(set(seen)) == len(seen) == 4
    assert all(one.startswith("c-01234567-") for one in seen)


def working_for(world: World, span_ms: int) -> Intent:
    intent, _ = approved_in(world)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    world.event(received(intent, terms))
    world.event(an_update(intent, OrderState.OPEN, at_ns=world.now_ns))
    for _ in range(span_ms // 10_000):
        assert not [one for one in controls(world.wait(10_000)) if isinstance(one, Cancel)]
        world.reconcile()
    return intent


def test_an_order_that_works_for_too_long_is_cancelled_and_again_until_it_is_over() -> None:
    world = World().active()
    intent = working_for(world, 60_000)
    (cancel,) = [one for one in controls(world.wait(50)) if isinstance(one, Cancel)]
    assert cancel.client_order_id == f"{intent.intent_id}-1"
    world.hear(Acked(COMMANDS, Accepted(cancel.command_id, 1)))
    assert controls(world.wait(4_950)) == []
    (second,) = controls(world.wait(50))
    assert second.command_id != cancel.command_id
    world.event(an_update(intent, OrderState.CANCELLED))
    world.hear(Acked(COMMANDS, Accepted(second.command_id, 1)))
    assert controls(world.wait(6_000)) == []


def test_a_strangers_order_is_left_alone() -> None:
    world = World().active()
    accept_all(world)
    world.event(an_update(None, OrderState.OPEN, at_ns=1))
    assert controls(world.wait(1_000)) == []


def test_draining_waits_for_what_may_still_be_handed_over() -> None:
    world = World().active()
    intent, _ = approved_in(world)
    world.service.on_stop(world.now_ns)
    assert not world.service.is_drained()
    world.event(an_update(intent, OrderState.NEVER_SENT))
    assert world.service.is_drained()


def test_draining_does_not_wait_for_an_execution_that_is_away() -> None:
    world = World().active()
    approved_in(world)
    world.lose("orders")
    assert world.service.is_drained()
