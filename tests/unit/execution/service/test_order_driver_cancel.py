"""Cancels, withdrawals and halts."""

from typing import Any

import pytest

from components.contracts.commands import Cancel, CancelAll, Control, SetTradingState, Withdraw
from components.contracts.orders import OrderState
from components.contracts.signals import Purpose
from components.contracts.trading import TradingState
from components.contracts.values import CommandId, IntentId
from components.execution.core.venue_messages import (
    CancelAccepted,
    CancelAllAccepted,
    CancelAllOrders,
    CancelOrder,
    EventKind,
    Fence,
    FetchVenueSnapshot,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryOrder,
    RequestRejected,
    SubmitOrder,
    Throttled,
)
from tests.support.execution_harness import (
    ExecutionHarness,
    approval_frame,
    client_id,
    control_frame,
    filled_to,
    intent,
    status_event,
    terms,
    venue_order,
)

CANCELLED: dict[str, Any] = {"state": OrderState.CANCELLED, "venue_status": "canceled"}


def tell(scene: ExecutionHarness, control: Control) -> None:
    scene.send_command(control_frame(control, terms(scene.now_ns)))


def cancel(number: int = 1) -> Cancel:
    return Cancel(CommandId(f"cancel-{number}"), client_id(number), "drill")


def cancelling() -> ExecutionHarness:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    tell(scene, cancel())
    return scene


def test_a_cancel_goes_to_the_venue_and_waits_for_the_event() -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), CancelAccepted())
    assert scene.order_state() is OrderState.PENDING_CANCEL
    scene.venue_event(status_event(venue_order(**CANCELLED)))
    assert scene.order_state() is OrderState.CANCELLED


def test_a_fill_that_wins_the_race_is_a_fill() -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), RequestRejected(422, 'order is already in "filled" state'))
    scene.respond(scene.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert scene.order_state() is OrderState.FILLED
    assert not scene.requests(SubmitOrder)


def test_an_unconfirmed_cancel_is_queried_and_sent_again() -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), CancelAccepted())
    scene.advance_ms(2_000)
    scene.respond(
        scene.only_request(QueryOrder),
        OrderFound(venue_order(state=OrderState.PENDING_CANCEL, venue_status="pending_cancel")),
    )
    assert len(scene.requests(CancelOrder)) == 1
    assert scene.order_state() is OrderState.PENDING_CANCEL


@pytest.mark.parametrize("answer", [OutcomeUnknown("timeout"), Throttled(0, "slow down"), RequestRejected(500, "oops")])
def test_a_cancel_that_is_not_accepted_is_followed_up(answer: OutcomeUnknown) -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), answer)
    scene.advance_ms(500)
    scene.respond(scene.only_request(QueryOrder), OrderFound(venue_order()))
    assert len(scene.requests(CancelOrder)) == 1


def test_a_cancel_of_an_order_unknown_to_the_venue_causes_a_query() -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), OrderNotFound())
    assert len(scene.requests(QueryOrder)) == 1


def test_a_cancel_rejected_by_event_makes_the_order_working_again() -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), CancelAccepted())
    scene.venue_event(status_event(venue_order(), EventKind.CANCEL_REJECTED))
    assert scene.order_state() is OrderState.OPEN


def test_an_old_event_does_not_make_a_pending_cancel_working_again() -> None:
    scene = cancelling()
    scene.respond(scene.only_request(CancelOrder), CancelAccepted())
    scene.venue_event(status_event(venue_order()))
    assert scene.order_state() is OrderState.PENDING_CANCEL


def test_an_order_cancelled_while_its_outcome_is_unknown_is_fenced_not_resubmitted() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), OutcomeUnknown("timeout"))
    tell(scene, cancel())
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())
    assert scene.requests(Fence)
    assert not scene.requests(SubmitOrder)


def test_an_order_that_is_cancelled_before_the_reply_is_cancelled_after_it() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    tell(scene, cancel())
    assert not scene.requests(CancelOrder)
    scene.respond(request, OrderAccepted(venue_order()))
    assert scene.only_request(CancelOrder).venue_order_id == "v-1"


def test_a_pending_cancel_survives_a_restart() -> None:
    scene = cancelling().restart().start()
    assert scene.only_request(CancelOrder).client_order_id == client_id()


def test_cancel_all_cancels_our_orders_one_by_one_and_all_orders_of_the_account() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted(1)
    scene.submit_accepted(2)
    tell(scene, CancelAll(CommandId("all"), "halt"))
    assert {call.client_order_id for call in scene.requests(CancelOrder)} == {client_id(1), client_id(2)}
    scene.tick()
    scene.respond(scene.only_request(CancelAllOrders), CancelAllAccepted(()))
    scene.tick()
    assert scene.requests(FetchVenueSnapshot)


def test_many_cancel_all_commands_make_one_request_a_second() -> None:
    scene = ExecutionHarness().open_journal()
    for number in range(5):
        tell(scene, CancelAll(CommandId(f"all-{number}"), "settling"))
        scene.advance_ms(100)
        for call in scene.requests(CancelAllOrders):
            scene.respond(call, CancelAllAccepted(()))
    assert (
        sum(isinstance(effect.request, CancelAllOrders) for effect in scene.effects if hasattr(effect, "request")) == 1
    )


def test_a_failed_cancel_all_request_is_repeated() -> None:
    scene = ExecutionHarness().open_journal()
    tell(scene, CancelAll(CommandId("all"), "halt"))
    scene.tick()
    scene.respond(scene.only_request(CancelAllOrders), OutcomeUnknown("timeout"))
    assert not scene.service.is_drained()
    scene.advance_ms(1_000)
    assert len(scene.requests(CancelAllOrders)) == 1


def test_a_cancel_for_an_order_we_do_not_know_finds_it_first() -> None:
    scene = ExecutionHarness().open_journal()
    tell(scene, cancel(5))
    question = scene.only_request(QueryOrder)
    scene.respond(question, OrderFound(venue_order(5)))
    assert scene.only_request(CancelOrder).venue_order_id == "v-5"


def queued() -> ExecutionHarness:
    """Use up the limit of orders in flight, so that the ninth intent waits."""
    scene = ExecutionHarness().open_journal()
    for number in range(1, 10):
        scene.send_command(approval_frame(intent(number), terms(scene.now_ns)))
    assert scene.order_state(9) is OrderState.RECEIVED
    return scene


def test_a_waiting_intent_is_sent_when_the_budget_allows() -> None:
    scene = queued()
    scene.respond(scene.requests(SubmitOrder)[0], OrderAccepted(venue_order(1)))
    assert scene.order_state(9) is OrderState.SENDING


def test_a_withdrawn_intent_is_never_sent() -> None:
    scene = queued()
    tell(scene, Withdraw(CommandId("w"), IntentId("demo-e1-9-0"), "halt"))
    assert scene.order_state(9) is OrderState.NEVER_SENT


def test_a_withdrawal_before_its_intent_holds() -> None:
    scene = ExecutionHarness().open_journal()
    tell(scene, Withdraw(CommandId("w"), IntentId("demo-e1-1-0"), "halt"))
    scene.send_command(approval_frame())
    assert scene.order_state() is OrderState.NEVER_SENT
    assert not scene.requests(SubmitOrder)


def test_a_withdrawal_does_not_affect_a_sent_order() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    tell(scene, Withdraw(CommandId("w"), IntentId("demo-e1-1-0"), "halt"))
    assert not scene.requests(CancelOrder)
    assert scene.order_state() is OrderState.OPEN


def test_a_cancelled_waiting_intent_is_never_sent() -> None:
    scene = queued()
    tell(scene, cancel(9))
    assert scene.order_state(9) is OrderState.NEVER_SENT


def test_a_waiting_intent_whose_approval_ends_is_never_sent() -> None:
    scene = queued()
    scene.advance_ms(6_000)
    assert scene.order_state(9) is OrderState.NEVER_SENT


@pytest.mark.parametrize(
    ("trading", "purpose", "leaves"),
    [
        (TradingState.ACTIVE, Purpose.ENTRY, True),
        (TradingState.REDUCING, Purpose.ENTRY, False),
        (TradingState.REDUCING, Purpose.EXIT, True),
        (TradingState.HALTED, Purpose.ENTRY, False),
        (TradingState.HALTED, Purpose.EXIT, False),
        (TradingState.HALTED, Purpose.STOP, True),
        (TradingState.HALTED, Purpose.FLATTEN, True),
    ],
)
def test_the_trading_state_decides_what_may_still_be_sent(
    trading: TradingState, purpose: Purpose, *, leaves: bool
) -> None:
    scene = ExecutionHarness().open_journal()
    tell(scene, SetTradingState(CommandId("s"), trading, "drill"))
    scene.send_command(approval_frame(intent(purpose=purpose), terms(scene.now_ns)))
    assert scene.order_state() is (OrderState.SENDING if leaves else OrderState.NEVER_SENT)


def test_a_waiting_order_is_never_sent_after_a_stop() -> None:
    scene = queued()
    scene.stop()
    assert scene.order_state(9) is OrderState.NEVER_SENT
