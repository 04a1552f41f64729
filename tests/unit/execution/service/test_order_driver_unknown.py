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
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.respond(request, TIMEOUT)
    return harness, request


def the_fence() -> VenueOrder:
    return venue_order(venue_order_id="v-fence", quantity=Decimal(1), limit_price=Decimal("0.01"))


def let_expire(harness: ExecutionHarness) -> None:
    """Expire the approval while the venue does not know the order, up to the fence."""
    harness.advance_ms(APPROVAL_TTL_MS + 100)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())


def test_a_timeout_makes_an_order_unknown_and_causes_a_query_after_200_ms() -> None:
    harness, _ = lost()
    assert harness.order_state() is OrderState.UNKNOWN
    assert not harness.requests(QueryOrder)
    harness.advance_ms(200)
    assert harness.only_request(QueryOrder) == QueryOrder(client_id(), None)


def test_an_unknown_order_that_is_found_is_adopted() -> None:
    harness, _ = lost()
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert harness.states() == [OrderState.UNKNOWN, OrderState.FILLED]
    assert harness.state.positions == {"AAPL": 10}


def test_while_the_approval_is_valid_the_order_is_sent_again_under_the_same_id() -> None:
    harness, request = lost()
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())
    again = harness.only_request(SubmitOrder)
    assert again == request
    assert len(harness.records(OrderSending)) == 1
    harness.respond(again, OrderAccepted(venue_order()))
    assert harness.order_state() is OrderState.OPEN


def test_a_missing_order_is_no_evidence() -> None:
    harness, _ = lost()
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())
    assert harness.order_state() is OrderState.UNKNOWN


def test_the_queries_back_off() -> None:
    harness, _ = lost()
    gaps = []
    for _ in range(6):
        waited = 0
        while not harness.requests(QueryOrder):
            harness.advance_ms(100)
            waited += 100
        gaps.append(waited)
        harness.respond(harness.only_request(QueryOrder), Unreachable("refused"))
    assert gaps == [200, 500, 1_000, 2_000, 4_000, 4_000]


@pytest.mark.parametrize("answer", [RequestRejected(403, "insufficient buying power"), Unauthorized("forbidden.")])
def test_a_rejected_resubmit_is_no_evidence_about_the_first_submit(answer: VenueResponse) -> None:
    harness, _ = lost()
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())
    harness.respond(harness.only_request(SubmitOrder), answer)
    assert harness.order_state() is OrderState.UNKNOWN


@pytest.mark.parametrize("answer", [RequestRejected(422, "invalid side"), Unauthorized("unauthorized.")])
def test_a_rejected_first_submit_is_final(answer: VenueResponse) -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), answer)
    assert harness.order_state() is OrderState.REJECTED


def test_an_id_in_use_by_the_same_order_is_that_order() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), TAKEN)
    assert harness.order_state() is OrderState.UNKNOWN
    harness.respond(harness.only_request(QueryOrder), OrderFound(venue_order()))
    assert harness.order_state() is OrderState.OPEN
    assert not harness.records(ClientOrderIdConflict)


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
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), TAKEN)
    harness.respond(harness.only_request(QueryOrder), OrderFound(venue_order(**changes)))
    assert len(harness.records(ClientOrderIdConflict)) == 1
    assert harness.order_state() is OrderState.NEVER_LANDED
    harness.send_command(approval_frame(intent(2), terms(harness.now_ns)))
    assert harness.order_state(2) is OrderState.NEVER_SENT


def test_an_expired_unknown_order_is_fenced_with_one_unit_far_from_the_market() -> None:
    harness, _ = lost()
    let_expire(harness)
    fence = harness.only_request(Fence)
    assert (fence.client_order_id, fence.side, str(fence.quantity), str(fence.limit_price)) == (
        client_id(),
        "buy",
        "1",
        "0.01",
    )
    sending = harness.records(OrderSending)[-1]
    assert sending.fence is not None
    assert harness.order_state() is OrderState.UNKNOWN


def test_an_accepted_fence_proves_that_the_order_never_landed_and_is_cancelled_at_once() -> None:
    harness, _ = lost()
    let_expire(harness)
    harness.respond(harness.only_request(Fence), OrderAccepted(the_fence()))
    assert harness.order_state() is OrderState.NEVER_LANDED
    assert harness.only_request(CancelOrder).venue_order_id == "v-fence"


def test_a_fence_rejected_as_duplicate_finds_the_order() -> None:
    harness, _ = lost()
    let_expire(harness)
    harness.respond(harness.only_request(Fence), TAKEN)
    harness.advance_ms(4_000)
    harness.respond(harness.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert harness.order_state() is OrderState.FILLED


@pytest.mark.parametrize("answer", [TIMEOUT, RequestRejected(403, "not allowed to short"), Throttled(0, "slow down")])
def test_a_fence_without_a_clear_response_leaves_the_order_unknown(answer: VenueResponse) -> None:
    harness, _ = lost()
    let_expire(harness)
    harness.respond(harness.only_request(Fence), answer)
    assert harness.order_state() is OrderState.UNKNOWN
    harness.advance_ms(4_000)
    assert harness.requests(QueryOrder)


def test_a_fence_is_recognised_after_a_restart() -> None:
    harness, _ = lost()
    let_expire(harness)
    harness = harness.restart().start()
    harness.respond(harness.only_request(QueryOrder), OrderFound(the_fence()))
    assert harness.order_state() is OrderState.NEVER_LANDED
    assert not harness.records(ClientOrderIdConflict)
    assert harness.only_request(CancelOrder).venue_order_id == "v-fence"


def test_a_filled_fence_changes_the_position() -> None:
    harness, _ = lost()
    let_expire(harness)
    price = the_fence().limit_price
    filled = replace(the_fence(), filled_quantity=Decimal(1), average_price=price, state=OrderState.FILLED)
    harness.respond(harness.only_request(Fence), OrderAccepted(filled))
    assert harness.state.positions == {"AAPL": 1}
    assert harness.order_state() is OrderState.NEVER_LANDED


def test_a_sell_is_fenced_far_above_the_market() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(side="sell"), TIMEOUT)
    let_expire(harness)
    assert str(harness.only_request(Fence).limit_price) == "199999.99"


def test_a_throttled_order_is_sent_again_at_the_time_the_venue_names() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.respond(request, Throttled(harness.now_ns + 1_000 * NS_PER_MS, "rate limit exceeded"))
    assert harness.order_state() is OrderState.SENDING
    harness.advance_ms(900)
    assert not harness.requests(SubmitOrder)
    harness.advance_ms(100)
    assert harness.only_request(SubmitOrder) == request


def test_a_throttled_order_is_never_sent_once_its_approval_expires() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), Throttled(harness.now_ns + 60_000 * NS_PER_MS, "rate limit exceeded"))
    harness.advance_ms(APPROVAL_TTL_MS + 100)
    assert harness.order_state() is OrderState.NEVER_SENT


def test_an_order_that_was_certainly_not_sent_is_sent_again_not_queried() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.respond(request, Unreachable("connection refused"))
    assert harness.order_state() is OrderState.SENDING
    harness.advance_ms(200)
    assert harness.only_request(SubmitOrder) == request


def test_a_halt_file_stops_an_order_before_it_leaves() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), HaltedByFile("HALT"))
    assert harness.order_state() is OrderState.NEVER_SENT


def test_a_halt_file_does_not_close_an_unresolved_order() -> None:
    harness, _ = lost()
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())
    harness.respond(harness.only_request(SubmitOrder), HaltedByFile("HALT"))
    assert harness.order_state() is OrderState.UNKNOWN
    let_expire_after_questions(harness)
    assert harness.requests(Fence)


def let_expire_after_questions(harness: ExecutionHarness) -> None:
    for _ in range(100):
        if harness.requests(Fence):
            return
        for question in harness.requests(QueryOrder):
            harness.respond(question, OrderNotFound())
        for repetition in harness.requests(SubmitOrder):
            harness.respond(repetition, HaltedByFile("HALT"))
        harness.advance_ms(100)


def test_an_event_before_the_reply_opens_the_order_and_the_reply_adds_nothing() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.venue_event(status_event(venue_order()))
    assert harness.order_state() is OrderState.OPEN
    before = len(harness.journal)
    harness.respond(request, OrderAccepted(venue_order()))
    assert len(harness.journal) == before


def test_an_event_resolves_an_order_whose_reply_was_lost() -> None:
    harness, _ = lost()
    harness.venue_event(status_event(venue_order()))
    assert harness.order_state() is OrderState.OPEN


def test_a_lost_reply_after_the_event_changes_nothing() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.venue_event(status_event(venue_order()))
    harness.respond(request, TIMEOUT)
    assert harness.order_state() is OrderState.OPEN


def test_a_fence_is_recognised_from_its_own_event() -> None:
    harness, _ = lost()
    let_expire(harness)
    harness.venue_event(status_event(the_fence()))
    assert harness.order_state() is OrderState.NEVER_LANDED
    assert not harness.records(ClientOrderIdConflict)


def test_a_snapshot_resolves_an_unknown_order_too() -> None:
    harness, _ = lost()
    harness.reconnect(venue_snapshot(venue_order()))
    assert harness.order_state() is OrderState.OPEN
    assert harness.state.order_by_venue_id(venue_id()) is not None


def test_market_orders_are_compared_without_a_limit() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit(order_type=OrderType.MARKET, limit_price=None)
    harness.respond(request, OrderAccepted(venue_order(order_type="market", limit_price=None)))
    assert harness.order_state() is OrderState.OPEN


def test_a_lost_venue_is_not_sent_new_orders() -> None:
    harness = ExecutionHarness().open_journal()
    for number in range(1, 5):
        harness.respond(harness.submit(number), TIMEOUT)
    assert harness.service.unmet(harness.now_ns)
    harness.send_command(approval_frame(intent(9), terms(harness.now_ns)))
    assert harness.order_state(9) is OrderState.RECEIVED


def test_after_a_resubmit_without_a_response_a_query_comes_before_the_next_one() -> None:
    harness, _ = lost()
    harness.advance_ms(200)
    harness.respond(harness.only_request(QueryOrder), OrderNotFound())
    harness.respond(harness.only_request(SubmitOrder), TIMEOUT)
    harness.advance_ms(500)
    assert not harness.requests(SubmitOrder)
    assert harness.requests(QueryOrder)


def test_an_unknown_order_is_not_resubmitted_while_trading_is_halted_and_fenced_when_it_expires() -> None:
    harness, _ = lost()
    halted = SetTradingState(CommandId("h"), TradingState.HALTED, "drill")
    harness.send_command(control_frame(halted, terms(harness.now_ns)))
    for _ in range(100):
        for question in harness.requests(QueryOrder):
            harness.respond(question, OrderNotFound())
        assert not harness.requests(SubmitOrder)
        harness.advance_ms(100)
    assert harness.requests(Fence)
