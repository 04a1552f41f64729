"""Order events: repeated, reordered, missed, late and invalid ones all end in the same state."""

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from components.contracts.orders import Filled, OrderState, OrderUpdated, UpdateSource
from components.contracts.values import ClientOrderId, Side, VenueOrderId
from components.execution.core.venue_messages import (
    EventKind,
    FetchVenueSnapshot,
    OrderAccepted,
    OrderFound,
    OrderStreamDown,
    OrderStreamUp,
    QueryOrder,
    UnreadableEvent,
    VenueOrderEvent,
)
from tests.support.execution_harness import (
    ExecutionHarness,
    activity_fill,
    fill_event,
    filled_to,
    position,
    status_event,
    venue_order,
    venue_snapshot,
)

CANCELLED: dict[str, Any] = {"state": OrderState.CANCELLED, "venue_status": "canceled"}


def working() -> ExecutionHarness:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    return harness


def test_a_fill_moves_the_position_by_its_own_quantity_and_price() -> None:
    harness = working()
    harness.venue_event(fill_event(3, 3))
    harness.venue_event(fill_event(7, 10, price="148", average="148.3"))
    assert harness.fills() == [(3, Decimal(149)), (7, Decimal(148))]
    assert harness.states() == [OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.FILLED]
    assert harness.state.positions == {"AAPL": 10}


def test_a_fill_may_come_before_the_reply_to_the_order() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.venue_event(fill_event(10, 10))
    harness.respond(request, OrderAccepted(venue_order()))
    assert harness.states() == [OrderState.FILLED]
    assert harness.fills() == [(10, Decimal(149))]


def test_events_delivered_again_are_counted_once() -> None:
    harness = working()
    for event in (status_event(venue_order()), fill_event(3, 3), fill_event(7, 10)) * 3:
        harness.venue_event(event)
    assert [quantity for quantity, _ in harness.fills()] == [3, 7]
    assert harness.order_state() is OrderState.FILLED


@pytest.mark.parametrize("order", tuple(permutations(range(3))))
def test_events_in_any_order_give_the_same_quantity_and_cost(order: tuple[int, ...]) -> None:
    events = [
        fill_event(2, 2, price="150", average="150"),
        fill_event(3, 5, price="148", average="148.8"),
        fill_event(5, 10, price="149", average="148.9"),
    ]
    harness = working()
    for index in order:
        harness.venue_event(events[index])
    assert harness.state.positions == {"AAPL": 10}
    assert sum(quantity * price for quantity, price in harness.fills()) == Decimal(1489)
    cumulative = [fill.cumulative_quantity for fill in harness.records(Filled)]
    assert cumulative == sorted(cumulative)
    assert harness.order_state() is OrderState.FILLED


def test_a_missed_execution_is_counted_at_the_price_that_the_average_leaves() -> None:
    harness = working()
    harness.venue_event(fill_event(7, 10, price="148", average="148.3"))
    assert harness.fills() == [(3, Decimal(149)), (7, Decimal(148))]
    assert harness.records(Filled)[0].execution_id == "v-1:3"


def test_a_fill_found_in_a_snapshot_is_not_counted_again_when_its_event_arrives() -> None:
    harness = working()
    harness.reconnect(venue_snapshot(filled_to(3), fills=[activity_fill(3, 3)], positions=[position(3)]))
    harness.venue_event(fill_event(3, 3))
    assert harness.fills() == [(3, Decimal(149))]
    assert harness.records(Filled)[0].execution_id == "v-1:3"
    assert harness.records(Filled)[0].source is UpdateSource.RECONCILIATION


def test_a_cancel_after_a_partial_fill_keeps_the_fill() -> None:
    harness = working()
    harness.venue_event(fill_event(3, 3))
    harness.venue_event(status_event(filled_to(3, **CANCELLED)))
    assert harness.order_state() is OrderState.CANCELLED
    assert harness.records(OrderUpdated)[-1].filled_quantity == 3
    assert harness.state.positions == {"AAPL": 3}


def test_a_cancel_report_with_more_fills_than_received_adds_them() -> None:
    harness = working()
    harness.venue_event(status_event(filled_to(4, average="149.5", **CANCELLED)))
    assert harness.fills() == [(4, Decimal("149.5"))]
    assert harness.order_state() is OrderState.CANCELLED


def test_a_late_fill_of_a_final_order_is_counted_with_an_error_log_and_the_state_stays() -> None:
    harness = working()
    harness.venue_event(status_event(venue_order(**CANCELLED)))
    harness.venue_event(fill_event(2, 2))
    assert harness.order_state() is OrderState.CANCELLED
    assert harness.state.positions == {"AAPL": 2}
    assert "late_fill" in harness.logged_events()
    assert harness.metric("xtrader_late_fills_total") == 1


def test_an_old_event_after_the_final_state_changes_nothing() -> None:
    harness = working()
    harness.venue_event(fill_event(10, 10))
    before = len(harness.journal)
    harness.venue_event(status_event(venue_order()))
    harness.venue_event(fill_event(3, 3))
    assert len(harness.journal) == before


def test_an_unknown_status_causes_a_query() -> None:
    harness = working()
    harness.venue_event(status_event(venue_order(state=None, venue_status="pending_moon")))
    harness.respond(harness.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert harness.order_state() is OrderState.FILLED


def test_a_persistent_unknown_status_is_queried_with_growing_delays() -> None:
    harness = working()
    harness.venue_event(status_event(venue_order(state=None, venue_status="pending_moon")))
    harness.respond(harness.only_request(QueryOrder), OrderFound(venue_order(state=None, venue_status="pending_moon")))
    assert not harness.requests(QueryOrder)
    harness.advance_ms(300)
    assert harness.requests(QueryOrder)


def test_an_unknown_event_type_causes_a_query() -> None:
    harness = working()
    harness.venue_event(status_event(venue_order(), kind=None))
    assert harness.only_request(QueryOrder).venue_order_id == "v-1"


def test_a_fill_without_price_or_average_is_queried_not_guessed() -> None:
    harness = working()
    harness.venue_event(VenueOrderEvent(EventKind.EXECUTION, filled_to(3, average="0"), None))
    assert harness.fills() == []
    assert harness.order_state() is OrderState.OPEN
    harness.respond(harness.only_request(QueryOrder), OrderFound(filled_to(3)))
    assert harness.fills() == [(3, Decimal(149))]


def test_an_external_order_changes_the_position_and_is_reported_without_an_intent() -> None:
    harness = working()
    foreign: dict[str, Any] = {
        "venue_order_id": VenueOrderId("v-9"),
        "client_order_id": ClientOrderId("by hand"),
        "side": Side.SELL,
    }
    harness.venue_event(VenueOrderEvent(EventKind.EXECUTION, filled_to(10, **foreign), None))
    assert harness.state.positions == {"AAPL": -10}
    assert harness.records(Filled)[0].intent_id is None
    assert "external_order_adopted" in harness.logged_events()


def test_events_before_the_snapshot_are_buffered() -> None:
    harness = working()
    harness.venue_event(OrderStreamDown("closed"))
    harness.venue_event(OrderStreamUp())
    harness.venue_event(fill_event(7, 10))
    assert harness.fills() == []
    harness.tick()
    harness.respond(
        harness.requests(FetchVenueSnapshot)[-1],
        venue_snapshot(filled_to(3), fills=[activity_fill(3, 3)], positions=[position(3)]),
    )
    assert [quantity for quantity, _ in harness.fills()] == [3, 7]
    assert harness.order_state() is OrderState.FILLED


def test_a_snapshot_requested_before_the_connect_does_not_end_buffering() -> None:
    harness = working()
    harness.advance_ms(31_000)
    old = harness.requests(FetchVenueSnapshot)[-1]
    harness.venue_event(OrderStreamUp())
    harness.venue_event(fill_event(10, 10))
    harness.respond(old, venue_snapshot(venue_order()))
    assert harness.fills() == []


def test_too_many_buffered_events_are_dropped_for_a_later_snapshot() -> None:
    harness = working()
    harness.venue_event(OrderStreamUp())
    harness.tick()
    old = harness.requests(FetchVenueSnapshot)[-1]
    for _ in range(101):
        harness.venue_event(fill_event(10, 10))
    harness.respond(old, venue_snapshot(venue_order()))
    assert harness.fills() == []
    harness.tick()
    harness.respond(harness.requests(FetchVenueSnapshot)[-1], venue_snapshot(filled_to(10), positions=[position(10)]))
    assert [quantity for quantity, _ in harness.fills()] == [10]


def test_an_unreadable_event_causes_a_snapshot() -> None:
    harness = working()
    harness.venue_event(UnreadableEvent("no order in it"))
    harness.tick()
    assert harness.requests(FetchVenueSnapshot)


def test_without_the_stream_execution_is_not_ready_and_reports_it() -> None:
    harness = working()
    harness.venue_event(OrderStreamDown("closed"))
    assert harness.service.unmet(harness.now_ns) == ("venue degraded: the order stream is down",)


def test_a_final_state_with_fewer_fills_than_known_is_queried_not_applied() -> None:
    harness = working()
    harness.venue_event(fill_event(5, 5))
    harness.venue_event(status_event(filled_to(3, **CANCELLED)))
    assert harness.order_state() is OrderState.PARTIALLY_FILLED
    harness.respond(harness.only_request(QueryOrder), OrderFound(filled_to(5, **CANCELLED)))
    assert harness.order_state() is OrderState.CANCELLED
    assert harness.state.positions == {"AAPL": 5}
