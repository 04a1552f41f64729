"""Claims about cancels, withdrawals and halts."""

from typing import Any

import pytest

from components.contracts.commands import Cancel, CancelAll, Control, SetTradingState, Withdraw
from components.contracts.orders import OrderState
from components.contracts.signals import Purpose
from components.contracts.trading import TradingState
from components.contracts.values import CommandId, IntentId
from components.execution.core.venue import (
    AllCancelled,
    CancelAccepted,
    CancelAllOrders,
    CancelOrder,
    EventKind,
    Fence,
    NotProcessed,
    OrderAccepted,
    OrderFound,
    OrderMissing,
    OrderRefused,
    OutcomeUnknown,
    QueryOrder,
    ReadVenue,
    SubmitOrder,
)
from tests.unit.execution.scene import (
    Scene,
    control_frame,
    filled_to,
    frame,
    intent,
    name_of,
    seen,
    status_event,
    terms,
)

CANCELLED: dict[str, Any] = {"state": OrderState.CANCELLED, "word": "canceled"}


def tell(scene: Scene, control: Control) -> None:
    scene.ask(control_frame(control, terms(scene.now_ns)))


def cancel(number: int = 1) -> Cancel:
    return Cancel(CommandId(f"cancel-{number}"), name_of(number), "drill")


def cancelling() -> Scene:
    scene = Scene().open()
    scene.work()
    tell(scene, cancel())
    return scene


def test_a_cancel_goes_to_the_venue_and_waits_for_the_event() -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), CancelAccepted())
    assert scene.order_state() is OrderState.CANCELLING
    scene.feed(status_event(seen(**CANCELLED)))
    assert scene.order_state() is OrderState.CANCELLED


def test_a_fill_that_wins_the_race_is_a_fill() -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), OrderRefused(422, 'order is already in "filled" state'))
    scene.answer(scene.call(QueryOrder), OrderFound(filled_to(10)))
    assert scene.order_state() is OrderState.FILLED
    assert not scene.calls(SubmitOrder)


def test_a_cancel_that_hangs_is_asked_about_and_sent_again() -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), CancelAccepted())
    scene.pass_ms(2_000)
    scene.answer(scene.call(QueryOrder), OrderFound(seen(state=OrderState.CANCELLING, word="pending_cancel")))
    assert len(scene.calls(CancelOrder)) == 1
    assert scene.order_state() is OrderState.CANCELLING


@pytest.mark.parametrize("answer", [OutcomeUnknown("timeout"), NotProcessed(0, "slow down"), OrderRefused(500, "oops")])
def test_a_cancel_without_a_yes_is_followed_up(answer: OutcomeUnknown) -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), answer)
    scene.pass_ms(500)
    scene.answer(scene.call(QueryOrder), OrderFound(seen()))
    assert len(scene.calls(CancelOrder)) == 1


def test_a_cancel_of_an_order_the_venue_does_not_know_is_asked_about() -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), OrderMissing())
    assert len(scene.calls(QueryOrder)) == 1


def test_a_cancel_that_the_venue_refuses_by_event_puts_the_order_back_to_work() -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), CancelAccepted())
    scene.feed(status_event(seen(), EventKind.CANCEL_REFUSED))
    assert scene.order_state() is OrderState.OPEN


def test_an_old_event_does_not_put_a_cancelling_order_back_to_work() -> None:
    scene = cancelling()
    scene.answer(scene.call(CancelOrder), CancelAccepted())
    scene.feed(status_event(seen()))
    assert scene.order_state() is OrderState.CANCELLING


def test_an_order_that_is_cancelled_while_its_outcome_is_unknown_is_fenced_not_repeated() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), OutcomeUnknown("timeout"))
    tell(scene, cancel())
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderMissing())
    assert scene.calls(Fence)
    assert not scene.calls(SubmitOrder)


def test_an_order_that_is_cancelled_before_the_reply_is_cancelled_after_it() -> None:
    scene = Scene().open()
    request = scene.accept()
    tell(scene, cancel())
    assert not scene.calls(CancelOrder)
    scene.answer(request, OrderAccepted(seen()))
    assert scene.call(CancelOrder).venue_order_id == "v-1"


def test_a_cancel_wish_survives_a_restart() -> None:
    scene = cancelling().restart().start()
    assert scene.call(CancelOrder).client_order_id == name_of()


def test_cancel_all_cancels_ours_one_by_one_and_sweeps_the_account() -> None:
    scene = Scene().open()
    scene.work(1)
    scene.work(2)
    tell(scene, CancelAll(CommandId("all"), "halt"))
    assert {call.client_order_id for call in scene.calls(CancelOrder)} == {name_of(1), name_of(2)}
    scene.tick()
    scene.answer(scene.call(CancelAllOrders), AllCancelled(()))
    scene.tick()
    assert scene.calls(ReadVenue)


def test_many_cancel_alls_make_one_sweep_a_second() -> None:
    scene = Scene().open()
    for number in range(5):
        tell(scene, CancelAll(CommandId(f"all-{number}"), "settling"))
        scene.pass_ms(100)
        for call in scene.calls(CancelAllOrders):
            scene.answer(call, AllCancelled(()))
    assert (
        sum(isinstance(effect.request, CancelAllOrders) for effect in scene.effects if hasattr(effect, "request")) == 1
    )


def test_a_sweep_that_failed_is_repeated() -> None:
    scene = Scene().open()
    tell(scene, CancelAll(CommandId("all"), "halt"))
    scene.tick()
    scene.answer(scene.call(CancelAllOrders), OutcomeUnknown("timeout"))
    assert not scene.service.is_drained()
    scene.pass_ms(1_000)
    assert len(scene.calls(CancelAllOrders)) == 1


def test_a_cancel_for_an_order_we_do_not_know_finds_it_first() -> None:
    scene = Scene().open()
    tell(scene, cancel(5))
    question = scene.call(QueryOrder)
    scene.answer(question, OrderFound(seen(5)))
    assert scene.call(CancelOrder).venue_order_id == "v-5"


def queued() -> Scene:
    """Fill every place for orders in flight, so that the ninth intent waits."""
    scene = Scene().open()
    for number in range(1, 10):
        scene.ask(frame(intent(number), terms(scene.now_ns)))
    assert scene.order_state(9) is OrderState.RECEIVED
    return scene


def test_a_waiting_intent_leaves_when_there_is_a_place() -> None:
    scene = queued()
    scene.answer(scene.calls(SubmitOrder)[0], OrderAccepted(seen(1)))
    assert scene.order_state(9) is OrderState.SENDING


def test_a_withdrawn_intent_is_never_sent() -> None:
    scene = queued()
    tell(scene, Withdraw(CommandId("w"), IntentId("demo-e1-9-0"), "halt"))
    assert scene.order_state(9) is OrderState.NEVER_SENT


def test_a_withdrawal_before_its_intent_holds() -> None:
    scene = Scene().open()
    tell(scene, Withdraw(CommandId("w"), IntentId("demo-e1-1-0"), "halt"))
    scene.ask(frame())
    assert scene.order_state() is OrderState.NEVER_SENT
    assert not scene.calls(SubmitOrder)


def test_a_withdrawal_does_not_touch_what_has_left() -> None:
    scene = Scene().open()
    scene.work()
    tell(scene, Withdraw(CommandId("w"), IntentId("demo-e1-1-0"), "halt"))
    assert not scene.calls(CancelOrder)
    assert scene.order_state() is OrderState.OPEN


def test_a_cancelled_waiting_intent_is_never_sent() -> None:
    scene = queued()
    tell(scene, cancel(9))
    assert scene.order_state(9) is OrderState.NEVER_SENT


def test_a_waiting_intent_whose_approval_ends_is_never_sent() -> None:
    scene = queued()
    scene.pass_ms(6_000)
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
def test_the_trading_state_decides_what_may_still_leave(
    trading: TradingState, purpose: Purpose, *, leaves: bool
) -> None:
    scene = Scene().open()
    tell(scene, SetTradingState(CommandId("s"), trading, "drill"))
    scene.ask(frame(intent(purpose=purpose), terms(scene.now_ns)))
    assert scene.order_state() is (OrderState.SENDING if leaves else OrderState.NEVER_SENT)


def test_what_waits_is_never_sent_after_a_stop() -> None:
    scene = queued()
    scene.stop()
    assert scene.order_state(9) is OrderState.NEVER_SENT
