"""Orders of unknown outcome stay unknown until the venue reports what became of them."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from components.contracts.commands import SetTradingState
from components.contracts.orders import ClientOrderIdConflict, OrderSending, OrderState
from components.contracts.trading import TradingState
from components.contracts.values import CommandId, OrderType, Symbol
from components.execution.core.venue_messages import (
    CancelOrder,
    DuplicateId,
    Fence,
    HaltedByFile,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryOrder,
    RequestRejected,
    SubmitOrder,
    Throttled,
    Unauthorized,
    Unreachable,
    VenueOrder,
    VenueResponse,
)
from tests.support.execution_harness import (
    APPROVAL_TTL_MS,
    NS_PER_MS,
    ExecutionHarness,
    approval_frame,
    client_id,
    control_frame,
    filled_to,
    intent,
    status_event,
    terms,
    venue_id,
    venue_order,
    venue_snapshot,
)

TIMEOUT = OutcomeUnknown("no answer within 5,000 ms")


TAKEN = DuplicateId("client_order_id must be unique")


def lost() -> tuple[ExecutionHarness, SubmitOrder]:
    """Submit an order whose outcome stays unknown."""
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.respond(request, TIMEOUT)
    return scene, request


def the_fence() -> VenueOrder:
    return venue_order(venue_order_id="v-fence", quantity=Decimal(1), limit_price=Decimal("0.01"))


def let_expire(scene: ExecutionHarness) -> None:
    """Let the approval expire while the venue does not know the order, up to the fence."""
    scene.advance_ms(APPROVAL_TTL_MS + 100)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())


def test_a_timeout_makes_an_order_unknown_and_causes_a_query_after_200_ms() -> None:
    scene, _ = lost()
    assert scene.order_state() is OrderState.UNKNOWN
    assert not scene.requests(QueryOrder)
    scene.advance_ms(200)
    assert scene.only_request(QueryOrder) == QueryOrder(client_id(), None)


def test_an_unknown_order_that_is_found_is_adopted() -> None:
    scene, _ = lost()
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert scene.states() == [OrderState.UNKNOWN, OrderState.FILLED]
    assert scene.state.positions == {"AAPL": 10}


def test_while_the_approval_is_valid_the_order_is_sent_again_under_the_same_id() -> None:
    scene, request = lost()
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())
    again = scene.only_request(SubmitOrder)
    assert again == request
    assert len(scene.records(OrderSending)) == 1
    scene.respond(again, OrderAccepted(venue_order()))
    assert scene.order_state() is OrderState.OPEN


def test_a_missing_order_is_no_evidence() -> None:
    scene, _ = lost()
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())
    assert scene.order_state() is OrderState.UNKNOWN


def test_the_queries_back_off() -> None:
    scene, _ = lost()
    gaps = []
    for _ in range(6):
        waited = 0
        while not scene.requests(QueryOrder):
            scene.advance_ms(100)
            waited += 100
        gaps.append(waited)
        scene.respond(scene.only_request(QueryOrder), Unreachable("refused"))
    assert gaps == [200, 500, 1_000, 2_000, 4_000, 4_000]


@pytest.mark.parametrize("answer", [RequestRejected(403, "insufficient buying power"), Unauthorized("forbidden.")])
def test_a_rejected_resubmit_is_no_evidence_about_the_first_submit(answer: VenueResponse) -> None:
    scene, _ = lost()
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())
    scene.respond(scene.only_request(SubmitOrder), answer)
    assert scene.order_state() is OrderState.UNKNOWN


@pytest.mark.parametrize("answer", [RequestRejected(422, "invalid side"), Unauthorized("unauthorized.")])
def test_a_rejected_first_submit_is_final(answer: VenueResponse) -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), answer)
    assert scene.order_state() is OrderState.REJECTED


def test_an_id_in_use_by_the_same_order_is_that_order() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), TAKEN)
    assert scene.order_state() is OrderState.UNKNOWN
    scene.respond(scene.only_request(QueryOrder), OrderFound(venue_order()))
    assert scene.order_state() is OrderState.OPEN
    assert not scene.records(ClientOrderIdConflict)


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
def test_an_id_in_use_by_another_order_halts_trading(changes: dict[str, Any]) -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), TAKEN)
    scene.respond(scene.only_request(QueryOrder), OrderFound(venue_order(**changes)))
    assert len(scene.records(ClientOrderIdConflict)) == 1
    assert scene.order_state() is OrderState.NEVER_LANDED
    scene.send_command(approval_frame(intent(2), terms(scene.now_ns)))
    assert scene.order_state(2) is OrderState.NEVER_SENT


def test_an_expired_unknown_order_is_fenced_with_one_unit_far_from_the_market() -> None:
    scene, _ = lost()
    let_expire(scene)
    fence = scene.only_request(Fence)
    assert (fence.client_order_id, fence.side, str(fence.quantity), str(fence.limit_price)) == (
        client_id(),
        "buy",
        "1",
        "0.01",
    )
    sending = scene.records(OrderSending)[-1]
    assert sending.fence is not None
    assert scene.order_state() is OrderState.UNKNOWN


def test_an_accepted_fence_proves_that_the_order_never_landed_and_is_cancelled_at_once() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.respond(scene.only_request(Fence), OrderAccepted(the_fence()))
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert scene.only_request(CancelOrder).venue_order_id == "v-fence"


def test_a_fence_rejected_as_duplicate_finds_the_order() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.respond(scene.only_request(Fence), TAKEN)
    scene.advance_ms(4_000)
    scene.respond(scene.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert scene.order_state() is OrderState.FILLED


@pytest.mark.parametrize("answer", [TIMEOUT, RequestRejected(403, "not allowed to short"), Throttled(0, "slow down")])
def test_a_fence_without_a_clear_response_leaves_the_order_unknown(answer: VenueResponse) -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.respond(scene.only_request(Fence), answer)
    assert scene.order_state() is OrderState.UNKNOWN
    scene.advance_ms(4_000)
    assert scene.requests(QueryOrder)


def test_a_fence_is_recognised_after_a_restart() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene = scene.restart().start()
    scene.respond(scene.only_request(QueryOrder), OrderFound(the_fence()))
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert not scene.records(ClientOrderIdConflict)
    assert scene.only_request(CancelOrder).venue_order_id == "v-fence"


def test_a_filled_fence_changes_the_position() -> None:
    scene, _ = lost()
    let_expire(scene)
    price = the_fence().limit_price
    filled = replace(the_fence(), filled_quantity=Decimal(1), average_price=price, state=OrderState.FILLED)
    scene.respond(scene.only_request(Fence), OrderAccepted(filled))
    assert scene.state.positions == {"AAPL": 1}
    assert scene.order_state() is OrderState.NEVER_LANDED


def test_a_sell_is_fenced_far_above_the_market() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(side="sell"), TIMEOUT)
    let_expire(scene)
    assert str(scene.only_request(Fence).limit_price) == "199999.99"


def test_a_throttled_order_is_sent_again_at_the_time_the_venue_names() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.respond(request, Throttled(scene.now_ns + 1_000 * NS_PER_MS, "rate limit exceeded"))
    assert scene.order_state() is OrderState.SENDING
    scene.advance_ms(900)
    assert not scene.requests(SubmitOrder)
    scene.advance_ms(100)
    assert scene.only_request(SubmitOrder) == request


def test_a_throttled_order_is_never_sent_once_its_approval_expires() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), Throttled(scene.now_ns + 60_000 * NS_PER_MS, "rate limit exceeded"))
    scene.advance_ms(APPROVAL_TTL_MS + 100)
    assert scene.order_state() is OrderState.NEVER_SENT


def test_an_order_that_was_certainly_not_sent_is_sent_again_not_queried() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.respond(request, Unreachable("connection refused"))
    assert scene.order_state() is OrderState.SENDING
    scene.advance_ms(200)
    assert scene.only_request(SubmitOrder) == request


def test_a_halt_file_stops_an_order_before_it_leaves() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), HaltedByFile("HALT"))
    assert scene.order_state() is OrderState.NEVER_SENT


def test_a_halt_file_does_not_close_an_order_in_doubt() -> None:
    scene, _ = lost()
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())
    scene.respond(scene.only_request(SubmitOrder), HaltedByFile("HALT"))
    assert scene.order_state() is OrderState.UNKNOWN
    let_expire_after_questions(scene)
    assert scene.requests(Fence)


def let_expire_after_questions(scene: ExecutionHarness) -> None:
    for _ in range(100):
        if scene.requests(Fence):
            return
        for question in scene.requests(QueryOrder):
            scene.respond(question, OrderNotFound())
        for repetition in scene.requests(SubmitOrder):
            scene.respond(repetition, HaltedByFile("HALT"))
        scene.advance_ms(100)


def test_an_event_before_the_reply_opens_the_order_and_the_reply_adds_nothing() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.venue_event(status_event(venue_order()))
    assert scene.order_state() is OrderState.OPEN
    before = len(scene.journal)
    scene.respond(request, OrderAccepted(venue_order()))
    assert len(scene.journal) == before


def test_an_event_resolves_an_order_whose_reply_was_lost() -> None:
    scene, _ = lost()
    scene.venue_event(status_event(venue_order()))
    assert scene.order_state() is OrderState.OPEN


def test_a_lost_reply_after_the_event_changes_nothing() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.venue_event(status_event(venue_order()))
    scene.respond(request, TIMEOUT)
    assert scene.order_state() is OrderState.OPEN


def test_a_fence_is_recognised_from_its_own_event() -> None:
    scene, _ = lost()
    let_expire(scene)
    scene.venue_event(status_event(the_fence()))
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert not scene.records(ClientOrderIdConflict)


def test_a_snapshot_resolves_an_unknown_order_too() -> None:
    scene, _ = lost()
    scene.reconnect(venue_snapshot(venue_order()))
    assert scene.order_state() is OrderState.OPEN
    assert scene.state.order_by_venue_id(venue_id()) is not None


def test_market_orders_are_compared_without_a_limit() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit(order_type=OrderType.MARKET, limit_price=None)
    scene.respond(request, OrderAccepted(venue_order(order_type="market", limit_price=None)))
    assert scene.order_state() is OrderState.OPEN


def test_a_lost_venue_is_not_sent_new_orders() -> None:
    scene = ExecutionHarness().open_journal()
    for number in range(1, 5):
        scene.respond(scene.submit(number), TIMEOUT)
    assert scene.service.unmet(scene.now_ns)
    scene.send_command(approval_frame(intent(9), terms(scene.now_ns)))
    assert scene.order_state(9) is OrderState.RECEIVED


def test_after_a_resubmit_without_a_response_a_query_comes_before_the_next_one() -> None:
    scene, _ = lost()
    scene.advance_ms(200)
    scene.respond(scene.only_request(QueryOrder), OrderNotFound())
    scene.respond(scene.only_request(SubmitOrder), TIMEOUT)
    scene.advance_ms(500)
    assert not scene.requests(SubmitOrder)
    assert scene.requests(QueryOrder)


def test_an_unknown_order_is_not_resubmitted_while_trading_is_halted_and_fenced_when_it_expires() -> None:
    scene, _ = lost()
    halted = SetTradingState(CommandId("h"), TradingState.HALTED, "drill")
    scene.send_command(control_frame(halted, terms(scene.now_ns)))
    for _ in range(100):
        for question in scene.requests(QueryOrder):
            scene.respond(question, OrderNotFound())
        assert not scene.requests(SubmitOrder)
        scene.advance_ms(100)
    assert scene.requests(Fence)
