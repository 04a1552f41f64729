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
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    return scene


def test_a_fill_moves_the_position_by_its_own_quantity_and_price() -> None:
    scene = working()
    scene.venue_event(fill_event(3, 3))
    scene.venue_event(fill_event(7, 10, price="148", average="148.3"))
    assert scene.fills() == [(3, Decimal(149)), (7, Decimal(148))]
    assert scene.states() == [OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.FILLED]
    assert scene.state.positions == {"AAPL": 10}


def test_a_fill_may_come_before_the_reply_to_the_order() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.venue_event(fill_event(10, 10))
    scene.respond(request, OrderAccepted(venue_order()))
    assert scene.states() == [OrderState.FILLED]
    assert scene.fills() == [(10, Decimal(149))]


def test_events_delivered_again_are_counted_once() -> None:
    scene = working()
    for event in (status_event(venue_order()), fill_event(3, 3), fill_event(7, 10)) * 3:
        scene.venue_event(event)
    assert [quantity for quantity, _ in scene.fills()] == [3, 7]
    assert scene.order_state() is OrderState.FILLED


@pytest.mark.parametrize("order", tuple(permutations(range(3))))
def test_events_in_any_order_give_the_same_quantity_and_cost(order: tuple[int, ...]) -> None:
    events = [
        fill_event(2, 2, price="150", average="150"),
        fill_event(3, 5, price="148", average="148.8"),
        fill_event(5, 10, price="149", average="148.9"),
    ]
    scene = working()
    for place in order:
        scene.venue_event(events[place])
    assert scene.state.positions == {"AAPL": 10}
    assert sum(quantity * price for quantity, price in scene.fills()) == Decimal(1489)
    cumulative = [fill.cumulative_quantity for fill in scene.records(Filled)]
    assert cumulative == sorted(cumulative)
    assert scene.order_state() is OrderState.FILLED


def test_a_missed_execution_is_counted_at_the_price_that_the_average_leaves() -> None:
    scene = working()
    scene.venue_event(fill_event(7, 10, price="148", average="148.3"))
    assert scene.fills() == [(3, Decimal(149)), (7, Decimal(148))]
    assert scene.records(Filled)[0].execution_id == "v-1:3"


def test_a_fill_found_in_a_snapshot_is_not_counted_again_when_its_event_arrives() -> None:
    scene = working()
    scene.reconnect(venue_snapshot(filled_to(3), fills=[activity_fill(3, 3)], positions=[position(3)]))
    scene.venue_event(fill_event(3, 3))
    assert scene.fills() == [(3, Decimal(149))]
    assert scene.records(Filled)[0].execution_id == "v-1:3"
    assert scene.records(Filled)[0].source is UpdateSource.RECONCILIATION


def test_a_cancel_after_a_partial_fill_keeps_the_fill() -> None:
    scene = working()
    scene.venue_event(fill_event(3, 3))
    scene.venue_event(status_event(filled_to(3, **CANCELLED)))
    assert scene.order_state() is OrderState.CANCELLED
    assert scene.records(OrderUpdated)[-1].filled_quantity == 3
    assert scene.state.positions == {"AAPL": 3}


def test_a_cancel_report_with_more_fills_than_received_adds_them() -> None:
    scene = working()
    scene.venue_event(status_event(filled_to(4, average="149.5", **CANCELLED)))
    assert scene.fills() == [(4, Decimal("149.5"))]
    assert scene.order_state() is OrderState.CANCELLED


def test_a_late_fill_of_a_final_order_is_counted_with_an_error_log_and_the_state_stays() -> None:
    scene = working()
    scene.venue_event(status_event(venue_order(**CANCELLED)))
    scene.venue_event(fill_event(2, 2))
    assert scene.order_state() is OrderState.CANCELLED
    assert scene.state.positions == {"AAPL": 2}
    assert "late_fill" in scene.logged_events()
    assert scene.metric("xtrader_late_fills_total") == 1


def test_an_old_event_after_the_final_state_changes_nothing() -> None:
    scene = working()
    scene.venue_event(fill_event(10, 10))
    before = len(scene.journal)
    scene.venue_event(status_event(venue_order()))
    scene.venue_event(fill_event(3, 3))
    assert len(scene.journal) == before


def test_an_unknown_status_causes_a_query() -> None:
    scene = working()
    scene.venue_event(status_event(venue_order(state=None, venue_status="pending_moon")))
    scene.respond(scene.only_request(QueryOrder), OrderFound(filled_to(10)))
    assert scene.order_state() is OrderState.FILLED


def test_a_persistent_unknown_status_is_queried_with_growing_delays() -> None:
    scene = working()
    scene.venue_event(status_event(venue_order(state=None, venue_status="pending_moon")))
    scene.respond(scene.only_request(QueryOrder), OrderFound(venue_order(state=None, venue_status="pending_moon")))
    assert not scene.requests(QueryOrder)
    scene.advance_ms(300)
    assert scene.requests(QueryOrder)


def test_an_unknown_event_type_causes_a_query() -> None:
    scene = working()
    scene.venue_event(status_event(venue_order(), kind=None))
    assert scene.only_request(QueryOrder).venue_order_id == "v-1"


def test_a_fill_without_price_or_average_is_queried_not_guessed() -> None:
    scene = working()
    scene.venue_event(VenueOrderEvent(EventKind.EXECUTION, filled_to(3, average="0"), None))
    assert scene.fills() == []
    assert scene.order_state() is OrderState.OPEN
    scene.respond(scene.only_request(QueryOrder), OrderFound(filled_to(3)))
    assert scene.fills() == [(3, Decimal(149))]


def test_an_external_order_changes_the_position_and_is_reported_without_an_intent() -> None:
    scene = working()
    foreign: dict[str, Any] = {
        "venue_order_id": VenueOrderId("v-9"),
        "client_order_id": ClientOrderId("by hand"),
        "side": Side.SELL,
    }
    scene.venue_event(VenueOrderEvent(EventKind.EXECUTION, filled_to(10, **foreign), None))
    assert scene.state.positions == {"AAPL": -10}
    assert scene.records(Filled)[0].intent_id is None
    assert "foreign_order_adopted" in scene.logged_events()


def test_events_before_the_snapshot_are_buffered() -> None:
    scene = working()
    scene.venue_event(OrderStreamDown("closed"))
    scene.venue_event(OrderStreamUp())
    scene.venue_event(fill_event(7, 10))
    assert scene.fills() == []
    scene.tick()
    scene.respond(
        scene.requests(FetchVenueSnapshot)[-1],
        venue_snapshot(filled_to(3), fills=[activity_fill(3, 3)], positions=[position(3)]),
    )
    assert [quantity for quantity, _ in scene.fills()] == [3, 7]
    assert scene.order_state() is OrderState.FILLED


def test_a_snapshot_requested_before_the_connect_does_not_end_buffering() -> None:
    scene = working()
    scene.advance_ms(31_000)
    old = scene.requests(FetchVenueSnapshot)[-1]
    scene.venue_event(OrderStreamUp())
    scene.venue_event(fill_event(10, 10))
    scene.respond(old, venue_snapshot(venue_order()))
    assert scene.fills() == []


def test_too_many_buffered_events_are_dropped_for_a_later_snapshot() -> None:
    scene = working()
    scene.venue_event(OrderStreamUp())
    scene.tick()
    old = scene.requests(FetchVenueSnapshot)[-1]
    for _ in range(101):
        scene.venue_event(fill_event(10, 10))
    scene.respond(old, venue_snapshot(venue_order()))
    assert scene.fills() == []
    scene.tick()
    scene.respond(scene.requests(FetchVenueSnapshot)[-1], venue_snapshot(filled_to(10), positions=[position(10)]))
    assert [quantity for quantity, _ in scene.fills()] == [10]


def test_an_unreadable_event_causes_a_snapshot() -> None:
    scene = working()
    scene.venue_event(UnreadableEvent("no order in it"))
    scene.tick()
    assert scene.requests(FetchVenueSnapshot)


def test_without_the_stream_execution_is_not_ready_and_reports_it() -> None:
    scene = working()
    scene.venue_event(OrderStreamDown("closed"))
    assert scene.service.unmet(scene.now_ns) == ("venue degraded: the order stream is down",)


def test_a_final_state_with_fewer_fills_than_known_is_queried_not_applied() -> None:
    scene = working()
    scene.venue_event(fill_event(5, 5))
    scene.venue_event(status_event(filled_to(3, **CANCELLED)))
    assert scene.order_state() is OrderState.PARTIALLY_FILLED
    scene.respond(scene.only_request(QueryOrder), OrderFound(filled_to(5, **CANCELLED)))
    assert scene.order_state() is OrderState.CANCELLED
    assert scene.state.positions == {"AAPL": 5}
