"""Claims about orders whose outcome is not known: they stay unknown until the venue itself says otherwise."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from components.contracts.commands import SetTradingState
from components.contracts.orders import Collided, OrderSending, OrderState
from components.contracts.trading import TradingState
from components.contracts.values import CommandId, OrderType, Symbol
from components.execution.core.venue import (
    Answer,
    CancelOrder,
    DuplicateId,
    Fence,
    HaltedByFile,
    NotProcessed,
    OrderAccepted,
    OrderFound,
    OrderMissing,
    OrderRefused,
    OutcomeUnknown,
    QueryOrder,
    SubmitOrder,
    Unauthorized,
    Unreachable,
    VenueOrder,
)
from tests.unit.execution.scene import (
    LIFE_MS,
    NS_PER_MS,
    Scene,
    control_frame,
    filled_to,
    frame,
    intent,
    name_of,
    read,
    seen,
    status_event,
    terms,
    venue_id,
)

TIMEOUT = OutcomeUnknown("no answer within 5,000 ms")
TAKEN = DuplicateId("client_order_id must be unique")


def lost() -> tuple[Scene, SubmitOrder]:
    """Bring an order into the unknown."""
    scene = Scene().open()
    request = scene.accept()
    scene.answer(request, TIMEOUT)
    return scene, request


def the_fence() -> VenueOrder:
    return seen(venue_order_id="v-fence", quantity=Decimal(1), limit_price=Decimal("0.01"))


def let_expire(scene: Scene) -> None:
    """Let the approval end with the venue knowing nothing, up to the fence."""
    scene.pass_ms(LIFE_MS + 100)
    scene.answer(scene.call(QueryOrder), OrderMissing())


def test_a_timeout_makes_an_order_unknown_and_the_venue_is_asked_after_200_ms() -> None:
    scene, _ = lost()
    assert scene.order_state() is OrderState.UNKNOWN
    assert not scene.calls(QueryOrder)
    scene.pass_ms(200)
    assert scene.call(QueryOrder) == QueryOrder(name_of(), None)


def test_an_unknown_order_that_is_found_is_adopted() -> None:
    scene, _ = lost()
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderFound(filled_to(10)))
    assert scene.states() == [OrderState.UNKNOWN, OrderState.FILLED]
    assert scene.state.positions == {"AAPL": 10}


def test_while_the_approval_lives_the_same_order_is_sent_again_under_the_same_name() -> None:
    scene, request = lost()
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderMissing())
    again = scene.call(SubmitOrder)
    assert again == request
    assert len(scene.records(OrderSending)) == 1
    scene.answer(again, OrderAccepted(seen()))
    assert scene.order_state() is OrderState.OPEN


def test_a_missing_order_is_no_evidence() -> None:
    scene, _ = lost()
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderMissing())
    assert scene.order_state() is OrderState.UNKNOWN


def test_the_questions_come_slower_each_time() -> None:
    scene, _ = lost()
    gaps = []
    for _ in range(6):
        waited = 0
        while not scene.calls(QueryOrder):
            scene.pass_ms(100)
            waited += 100
        gaps.append(waited)
        scene.answer(scene.call(QueryOrder), Unreachable("refused"))
    assert gaps == [200, 500, 1_000, 2_000, 4_000, 4_000]


@pytest.mark.parametrize("answer", [OrderRefused(403, "insufficient buying power"), Unauthorized("forbidden.")])
def test_a_refusal_of_the_repetition_is_no_evidence_about_the_first(answer: Answer) -> None:
    scene, _ = lost()
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderMissing())
    scene.answer(scene.call(SubmitOrder), answer)
    assert scene.order_state() is OrderState.UNKNOWN


@pytest.mark.parametrize("answer", [OrderRefused(422, "invalid side"), Unauthorized("unauthorized.")])
def test_a_refusal_of_the_first_is_final(answer: Answer) -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), answer)
    assert scene.order_state() is OrderState.REJECTED


def test_a_name_that_is_taken_by_the_same_order_is_that_order() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), TAKEN)
    assert scene.order_state() is OrderState.UNKNOWN
    scene.answer(scene.call(QueryOrder), OrderFound(seen()))
    assert scene.order_state() is OrderState.OPEN
    assert not scene.records(Collided)


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": Symbol("MSFT")},
        {"side": "sell"},
        {"quantity": 11},
        {"limit_price": 151},
        {"order_type": "market", "limit_price": None},
    ],
)
def test_a_name_that_is_taken_by_another_order_halts_everything(changes: dict[str, Any]) -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), TAKEN)
    scene.answer(scene.call(QueryOrder), OrderFound(seen(**changes)))
    assert len(scene.records(Collided)) == 1
    assert scene.order_state() is OrderState.NEVER_LANDED
    scene.ask(frame(intent(2), terms(scene.now_ns)))
    assert scene.order_state(2) is OrderState.NEVER_SENT


def test_an_expired_unknown_order_is_fenced_with_one_unit_far_from_the_market() -> None:
    scene, _ = lost()
    let_expire(scene)
    fence = scene.call(Fence)
    assert (fence.client_order_id, fence.side, str(fence.quantity), str(fence.limit_price)) == (
        name_of(),
        "buy",
        "1",
        "0.01",
    )
    sending = scene.records(OrderSending)[-1]
    assert sending.fence is not None
    assert scene.order_state() is OrderState.UNKNOWN


def test_a_fence_that_stands_proves_that_the_order_never_landed_and_is_cancelled_at_once() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.answer(scene.call(Fence), OrderAccepted(the_fence()))
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert scene.call(CancelOrder).venue_order_id == "v-fence"


def test_a_fence_that_finds_the_name_taken_brings_the_order_back() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.answer(scene.call(Fence), TAKEN)
    scene.pass_ms(4_000)
    scene.answer(scene.call(QueryOrder), OrderFound(filled_to(10)))
    assert scene.order_state() is OrderState.FILLED


@pytest.mark.parametrize("answer", [TIMEOUT, OrderRefused(403, "not allowed to short"), NotProcessed(0, "slow down")])
def test_a_fence_without_a_clear_answer_leaves_the_order_unknown(answer: Answer) -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.answer(scene.call(Fence), answer)
    assert scene.order_state() is OrderState.UNKNOWN
    scene.pass_ms(4_000)
    assert scene.calls(QueryOrder)


def test_a_fence_is_recognised_after_a_restart() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene = scene.restart().start()
    scene.answer(scene.call(QueryOrder), OrderFound(the_fence()))
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert not scene.records(Collided)
    assert scene.call(CancelOrder).venue_order_id == "v-fence"


def test_a_fence_that_filled_moves_the_position() -> None:
    scene, _ = lost()
    let_expire(scene)
    price = the_fence().limit_price
    filled = replace(the_fence(), filled_quantity=Decimal(1), average_price=price, state=OrderState.FILLED)
    scene.answer(scene.call(Fence), OrderAccepted(filled))
    assert scene.state.positions == {"AAPL": 1}
    assert scene.order_state() is OrderState.NEVER_LANDED


def test_a_sell_is_fenced_far_above_the_market() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(side="sell"), TIMEOUT)
    let_expire(scene)
    assert str(scene.call(Fence).limit_price) == "199999.99"


def test_a_throttled_order_is_sent_again_when_the_venue_says_so() -> None:
    scene = Scene().open()
    request = scene.accept()
    scene.answer(request, NotProcessed(scene.now_ns + 1_000 * NS_PER_MS, "rate limit exceeded"))
    assert scene.order_state() is OrderState.SENDING
    scene.pass_ms(900)
    assert not scene.calls(SubmitOrder)
    scene.pass_ms(100)
    assert scene.call(SubmitOrder) == request


def test_a_throttled_order_is_never_sent_once_its_approval_ends() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), NotProcessed(scene.now_ns + 60_000 * NS_PER_MS, "rate limit exceeded"))
    scene.pass_ms(LIFE_MS + 100)
    assert scene.order_state() is OrderState.NEVER_SENT


def test_an_order_that_could_not_leave_is_sent_again_not_asked_for() -> None:
    scene = Scene().open()
    request = scene.accept()
    scene.answer(request, Unreachable("connection refused"))
    assert scene.order_state() is OrderState.SENDING
    scene.pass_ms(200)
    assert scene.call(SubmitOrder) == request


def test_a_halt_file_stops_an_order_before_it_leaves() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), HaltedByFile("HALT"))
    assert scene.order_state() is OrderState.NEVER_SENT


def test_a_halt_file_does_not_settle_what_may_have_landed() -> None:
    scene, _ = lost()
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderMissing())
    scene.answer(scene.call(SubmitOrder), HaltedByFile("HALT"))
    assert scene.order_state() is OrderState.UNKNOWN
    let_expire_after_questions(scene)
    assert scene.calls(Fence)


def let_expire_after_questions(scene: Scene) -> None:
    for _ in range(100):
        if scene.calls(Fence):
            return
        for question in scene.calls(QueryOrder):
            scene.answer(question, OrderMissing())
        for repetition in scene.calls(SubmitOrder):
            scene.answer(repetition, HaltedByFile("HALT"))
        scene.pass_ms(100)


def test_an_event_before_the_reply_opens_the_order_and_the_reply_adds_nothing() -> None:
    scene = Scene().open()
    request = scene.accept()
    scene.feed(status_event(seen()))
    assert scene.order_state() is OrderState.OPEN
    before = len(scene.journal)
    scene.answer(request, OrderAccepted(seen()))
    assert len(scene.journal) == before


def test_an_event_settles_an_order_whose_reply_was_lost() -> None:
    scene, _ = lost()
    scene.feed(status_event(seen()))
    assert scene.order_state() is OrderState.OPEN


def test_a_lost_reply_after_the_event_changes_nothing() -> None:
    scene = Scene().open()
    request = scene.accept()
    scene.feed(status_event(seen()))
    scene.answer(request, TIMEOUT)
    assert scene.order_state() is OrderState.OPEN


def test_a_fence_is_recognised_from_its_own_event() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.feed(status_event(the_fence()))
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert not scene.records(Collided)


def test_a_reading_settles_an_unknown_order_too() -> None:
    scene, _ = lost()
    scene.feed_reading(read(seen()))
    assert scene.order_state() is OrderState.OPEN
    assert scene.state.of_venue_id(venue_id()) is not None


def test_market_orders_are_compared_without_a_limit() -> None:
    scene = Scene().open()
    request = scene.accept(order_type=OrderType.MARKET, limit_price=None)
    scene.answer(request, OrderAccepted(seen(order_type="market", limit_price=None)))
    assert scene.order_state() is OrderState.OPEN


def test_a_lost_venue_is_not_sent_new_orders() -> None:
    scene = Scene().open()
    for number in range(1, 5):
        scene.answer(scene.accept(number), TIMEOUT)
    assert scene.service.unmet(scene.now_ns)
    scene.ask(frame(intent(9), terms(scene.now_ns)))
    assert scene.order_state(9) is OrderState.RECEIVED


def test_after_a_repetition_without_an_answer_the_venue_is_asked_before_the_next_one() -> None:
    scene, _ = lost()
    scene.pass_ms(200)
    scene.answer(scene.call(QueryOrder), OrderMissing())
    scene.answer(scene.call(SubmitOrder), TIMEOUT)
    scene.pass_ms(500)
    assert not scene.calls(SubmitOrder)
    assert scene.calls(QueryOrder)


def test_an_unknown_order_is_not_repeated_while_trading_is_halted_and_fenced_when_it_expires() -> None:
    scene, _ = lost()
    halted = SetTradingState(CommandId("h"), TradingState.HALTED, "drill")
    scene.ask(control_frame(halted, terms(scene.now_ns)))
    for _ in range(100):
        for question in scene.calls(QueryOrder):
            scene.answer(question, OrderMissing())
        assert not scene.calls(SubmitOrder)
        scene.pass_ms(100)
    assert scene.calls(Fence)
