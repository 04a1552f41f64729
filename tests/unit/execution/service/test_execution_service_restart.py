"""Crashes: wherever in the journal a restart begins, no order is doubled and none is lost."""

from typing import Any

import pytest

from components.contracts.approval import encode_approval
from components.contracts.orders import (
    IntentReceived,
    OpeningBalance,
    OrderSending,
    OrderState,
    Reconciled,
    VenueConnectivity,
)
from components.execution.core.state import ExecutionState
from components.execution.core.venue_messages import (
    Fence,
    FetchVenueSnapshot,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OrderStreamUp,
    QueryOrder,
    SubmitOrder,
    VenueOrder,
)
from tests.support.execution_harness import (
    APPROVAL_TTL_MS,
    ExecutionHarness,
    activity_fill,
    approval_frame,
    fill_event,
    filled_to,
    position,
    terms,
    venue_order,
    venue_snapshot,
)


def crashed(after: type[object]) -> ExecutionHarness:
    """Trade one order to its fill, then restart right after the first record of a kind."""
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), OrderAccepted(venue_order()))
    scene.venue_event(fill_event(10, 10))
    place = next(number for number, record in enumerate(scene.journal, start=1) if isinstance(record, after))
    return scene.restart(records=place)


def live_through(scene: ExecutionHarness, at_the_venue: VenueOrder | None) -> None:
    """Restart with a venue that has this order, or accepts it when it is sent; advance the clock until nothing is due."""
    scene.start()
    scene.venue_event(OrderStreamUp())
    for _ in range(200):
        for call in list(scene.open_requests):
            orders = () if at_the_venue is None else (at_the_venue,)
            match call:
                case SubmitOrder():
                    assert at_the_venue is None
                    at_the_venue = filled_to(10)
                    scene.respond(call, OrderAccepted(at_the_venue))
                case QueryOrder():
                    scene.respond(call, OrderNotFound() if at_the_venue is None else OrderFound(at_the_venue))
                case FetchVenueSnapshot():
                    held = [position(10)] if at_the_venue is not None and at_the_venue.quantity == 10 else []
                    scene.respond(call, venue_snapshot(*orders, positions=held))
                case Fence():
                    fence: dict[str, Any] = {"quantity": call.quantity, "limit_price": call.limit_price}
                    at_the_venue = venue_order(state=OrderState.CANCELLED, venue_status="canceled", **fence)
                    scene.respond(call, OrderAccepted(at_the_venue))
                case _:
                    raise AssertionError(call)
        scene.advance_ms(100)


def test_an_intent_that_was_received_but_not_sent_is_sent_once() -> None:
    scene = crashed(IntentReceived)
    live_through(scene, None)
    assert scene.order_state() is OrderState.FILLED
    assert len(scene.records(OrderSending)) == 1
    assert scene.state.positions == {"AAPL": 10}


def test_it_is_sent_only_after_the_account_is_reconciled() -> None:
    scene = crashed(IntentReceived)
    known = len(scene.journal)
    scene.start()
    assert not scene.requests(SubmitOrder)
    scene.venue_event(OrderStreamUp())
    scene.tick()
    scene.respond(scene.only_request(FetchVenueSnapshot), venue_snapshot())
    since = [type(record) for record in scene.journal[known:]]
    assert since.index(Reconciled) < since.index(OrderSending)
    assert scene.requests(SubmitOrder)


def test_an_order_sent_after_a_restart_is_verified_again_from_the_journal() -> None:
    scene = crashed(IntentReceived)
    sealed = scene.records(IntentReceived)[0].frame
    scene.start()
    scene.venue_event(OrderStreamUp())
    scene.tick()
    scene.respond(scene.only_request(FetchVenueSnapshot), venue_snapshot())
    assert encode_approval(scene.only_request(SubmitOrder).signal) == sealed


def test_an_intent_whose_approval_expired_during_downtime_is_never_sent() -> None:
    scene = crashed(IntentReceived)
    scene.now_ns += APPROVAL_TTL_MS * 2_000_000
    live_through(scene, None)
    assert scene.order_state() is OrderState.NEVER_SENT
    assert not scene.requests(SubmitOrder)


@pytest.mark.parametrize("found", [venue_order(), filled_to(4), filled_to(10)])
def test_an_order_interrupted_while_sending_is_queried_and_found(found: VenueOrder) -> None:
    scene = crashed(OrderSending).start()
    assert scene.order_state() is OrderState.UNKNOWN
    assert not scene.requests(SubmitOrder)
    scene.respond(scene.only_request(QueryOrder), OrderFound(found))
    assert scene.order_state() is found.state


def test_an_order_interrupted_while_sending_that_never_arrived_is_sent_again_under_its_id() -> None:
    scene = crashed(OrderSending)
    live_through(scene, None)
    assert scene.order_state() is OrderState.FILLED
    assert scene.state.positions == {"AAPL": 10}


def test_an_order_interrupted_while_sending_is_fenced_once_expired() -> None:
    scene = crashed(OrderSending)
    scene.now_ns += APPROVAL_TTL_MS * 2_000_000
    live_through(scene, None)
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert scene.state.positions == {}


def test_nothing_is_accepted_while_an_older_outcome_is_unknown() -> None:
    scene = crashed(OrderSending).start()
    scene.venue_event(OrderStreamUp())
    scene.tick()
    scene.respond(scene.only_request(FetchVenueSnapshot), venue_snapshot())
    scene.send_command(approval_frame(under=terms(scene.now_ns)))
    assert scene.service.unmet(scene.now_ns) == ("1 older orders of unknown outcome",)


@pytest.mark.parametrize("landed", [None, filled_to(10)])
def test_from_every_record_of_the_journal_the_end_is_the_same(landed: VenueOrder | None) -> None:
    whole = ExecutionHarness().open_journal()
    whole.respond(whole.submit(), OrderAccepted(venue_order()))
    whole.venue_event(fill_event(10, 10))
    opened = next(n for n, record in enumerate(whole.journal, start=1) if isinstance(record, IntentReceived))
    sending = next(n for n, record in enumerate(whole.journal, start=1) if isinstance(record, OrderSending))
    for records in range(opened, len(whole.journal) + 1):
        if landed is None and records > sending:
            continue
        if landed is not None and records < sending:
            continue
        scene = whole.restart(records=records)
        live_through(scene, landed)
        assert scene.order_state() is OrderState.FILLED, records
        assert scene.state.positions == {"AAPL": 10}, records
        assert scene.service.unmet(scene.now_ns) == (), records


def test_replaying_the_journal_gives_the_state_that_wrote_it() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), OrderAccepted(venue_order()))
    scene.venue_event(fill_event(3, 3))
    replayed = ExecutionState()
    for record in scene.journal:
        replayed.apply(record)
    assert vars(replayed) == vars(scene.state)


def test_a_fill_gets_the_same_id_in_every_run() -> None:
    first, second = ExecutionHarness().open_journal(), ExecutionHarness().open_journal()
    for scene in (first, second):
        scene.submit_accepted()
        scene.reconnect(venue_snapshot(filled_to(4), fills=[activity_fill(4, 4)], positions=[position(4)]))
    assert first.journal[-2:] == second.journal[-2:]


def test_a_restart_does_not_count_a_fill_again() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.venue_event(fill_event(4, 4))
    scene = scene.restart().start()
    scene.reconnect(venue_snapshot(filled_to(4), fills=[activity_fill(4, 4)], positions=[position(4)]))
    scene.venue_event(fill_event(4, 4))
    assert scene.state.positions == {"AAPL": 4}


def test_a_restart_begins_with_unknown_connectivity() -> None:
    scene = ExecutionHarness().open_journal().restart().start()
    assert scene.state.venue_connectivity is VenueConnectivity.LOST
    assert len(scene.records(OpeningBalance)) == 1
