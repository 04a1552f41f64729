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


def send_control(harness: ExecutionHarness, control: Control) -> None:
    harness.send_command(control_frame(control, terms(harness.now_ns)))


def cancel(number: int = 1) -> Cancel:
    return Cancel(CommandId(f"cancel-{number}"), client_id(number), "drill")


def cancelling() -> ExecutionHarness:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    send_control(harness, cancel())
    return harness


def test_a_cancel_goes_to_the_venue_and_waits_for_the_event() -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), CancelAccepted())
    assert harness.order_state() is OrderState.PENDING_CANCEL
    harness.venue_event(status_event(venue_order(**CANCELLED)))
    assert harness.order_state() is OrderState.CANCELLED


def test_a_fill_that_wins_the_race_is_a_fill() -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), RequestRejected(422, 'order is already in "filled" state'))
    harness.respond(harness.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert harness.order_state() is OrderState.FILLED
    assert not harness.requests(SubmitOrder)


def test_an_unconfirmed_cancel_is_queried_and_sent_again() -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), CancelAccepted())
    harness.advance_ms(2_000)
    harness.respond(
        harness.only_request(QueryOrder),
        OrderFound(venue_order(state=OrderState.PENDING_CANCEL, venue_status="pending_cancel")),
    )
    assert len(harness.requests(CancelOrder)) == 1
    assert harness.order_state() is OrderState.PENDING_CANCEL


@pytest.mark.parametrize("answer", [OutcomeUnknown("timeout"), Throttled(0, "slow down"), RequestRejected(500, "oops")])
def test_a_cancel_that_is_not_accepted_is_followed_up(answer: OutcomeUnknown) -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), answer)
    harness.advance_ms(500)
    harness.respond(harness.only_request(QueryOrder), OrderFound(venue_order()))
    assert len(harness.requests(CancelOrder)) == 1


def test_a_cancel_of_an_order_unknown_to_the_venue_causes_a_query() -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), OrderNotFound())
    assert len(harness.requests(QueryOrder)) == 1


def test_a_cancel_rejected_by_event_makes_the_order_working_again() -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), CancelAccepted())
    harness.venue_event(status_event(venue_order(), EventKind.CANCEL_REJECTED))
    assert harness.order_state() is OrderState.OPEN


def test_an_old_event_does_not_make_a_pending_cancel_working_again() -> None:
    harness = cancelling()
    harness.respond(harness.only_request(CancelOrder), CancelAccepted())
    harness.venue_event(status_event(venue_order()))
    assert harness.order_state() is OrderState.PENDING_CANCEL


def test_an_order_cancelled_while_its_outcome_is_unknown_is_fenced_not_resubmitted() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), OutcomeUnknown("timeout"))
    send_control(harness, cancel())
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())
    assert harness.requests(Fence)
    assert not harness.requests(SubmitOrder)


def test_an_order_that_is_cancelled_before_the_reply_is_cancelled_after_it() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    send_control(harness, cancel())
    assert not harness.requests(CancelOrder)
    harness.respond(request, OrderAccepted(venue_order()))
    assert harness.only_request(CancelOrder).venue_order_id == "v-1"


def test_a_pending_cancel_survives_a_restart() -> None:
    harness = cancelling().restart().start()
    assert harness.only_request(CancelOrder).client_order_id == client_id()


def test_cancel_all_cancels_our_orders_one_by_one_and_all_orders_of_the_account() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted(1)
    harness.submit_accepted(2)
    send_control(harness, CancelAll(CommandId("all"), "halt"))
    assert {call.client_order_id for call in harness.requests(CancelOrder)} == {client_id(1), client_id(2)}
    harness.tick()
    harness.respond(harness.only_request(CancelAllOrders), CancelAllAccepted(()))
    harness.tick()
    assert harness.requests(FetchVenueSnapshot)


def test_many_cancel_all_commands_make_one_request_a_second() -> None:
    harness = ExecutionHarness().open_journal()
    for number in range(5):
        send_control(harness, CancelAll(CommandId(f"all-{number}"), "settling"))
        harness.advance_ms(100)
        for call in harness.requests(CancelAllOrders):
            harness.respond(call, CancelAllAccepted(()))
    assert (
        sum(isinstance(effect.request, CancelAllOrders) for effect in harness.effects if hasattr(effect, "request"))
        == 1
    )


def test_a_failed_cancel_all_request_is_repeated() -> None:
    harness = ExecutionHarness().open_journal()
    send_control(harness, CancelAll(CommandId("all"), "halt"))
    harness.tick()
    harness.respond(harness.only_request(CancelAllOrders), OutcomeUnknown("timeout"))
    assert not harness.service.is_drained()
    harness.advance_ms(1_000)
    assert len(harness.requests(CancelAllOrders)) == 1


def test_a_cancel_for_an_order_we_do_not_know_finds_it_first() -> None:
    harness = ExecutionHarness().open_journal()
    send_control(harness, cancel(5))
    question = harness.only_request(QueryOrder)
    harness.respond(question, OrderFound(venue_order(5)))
    assert harness.only_request(CancelOrder).venue_order_id == "v-5"


def queued() -> ExecutionHarness:
    """Use up the limit of orders in flight, so that the ninth intent waits."""
    harness = ExecutionHarness().open_journal()
    for number in range(1, 10):
        harness.send_command(approval_frame(intent(number), terms(harness.now_ns)))
    assert harness.order_state(9) is OrderState.RECEIVED
    return harness


def test_a_waiting_intent_is_sent_when_the_budget_allows() -> None:
    harness = queued()
    harness.respond(harness.requests(SubmitOrder)[0], OrderAccepted(venue_order(1)))
    assert harness.order_state(9) is OrderState.SENDING


def test_a_withdrawn_intent_is_never_sent() -> None:
    harness = queued()
    send_control(harness, Withdraw(CommandId("w"), IntentId("demo-e1-9-0"), "halt"))
    assert harness.order_state(9) is OrderState.NEVER_SENT


def test_a_withdrawal_before_its_intent_holds() -> None:
    harness = ExecutionHarness().open_journal()
    send_control(harness, Withdraw(CommandId("w"), IntentId("demo-e1-1-0"), "halt"))
    harness.send_command(approval_frame())
    assert harness.order_state() is OrderState.NEVER_SENT
    assert not harness.requests(SubmitOrder)


def test_a_withdrawal_does_not_affect_a_sent_order() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    send_control(harness, Withdraw(CommandId("w"), IntentId("demo-e1-1-0"), "halt"))
    assert not harness.requests(CancelOrder)
    assert harness.order_state() is OrderState.OPEN


def test_a_cancelled_waiting_intent_is_never_sent() -> None:
    harness = queued()
    send_control(harness, cancel(9))
    assert harness.order_state(9) is OrderState.NEVER_SENT


def test_a_waiting_intent_whose_approval_ends_is_never_sent() -> None:
    harness = queued()
    harness.advance_ms(6_000)
    assert harness.order_state(9) is OrderState.NEVER_SENT


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
    harness = ExecutionHarness().open_journal()
    send_control(harness, SetTradingState(CommandId("s"), trading, "drill"))
    harness.send_command(approval_frame(intent(purpose=purpose), terms(harness.now_ns)))
    assert harness.order_state() is (OrderState.SENDING if leaves else OrderState.NEVER_SENT)


def test_a_waiting_order_is_never_sent_after_a_stop() -> None:
    harness = queued()
    harness.stop()
    assert harness.order_state(9) is OrderState.NEVER_SENT
