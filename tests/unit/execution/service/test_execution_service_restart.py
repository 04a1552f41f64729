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
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), OrderAccepted(venue_order()))
    harness.venue_event(fill_event(10, 10))
    count = next(number for number, record in enumerate(harness.journal, start=1) if isinstance(record, after))
    return harness.restart(records=count)


def live_through(harness: ExecutionHarness, at_the_venue: VenueOrder | None) -> None:
    """Restart with a venue that has this order, or accepts it when it is sent; run until nothing is due."""
    harness.start()
    harness.venue_event(OrderStreamUp())
    for _ in range(200):
        for call in list(harness.open_requests):
            orders = () if at_the_venue is None else (at_the_venue,)
            match call:
                case SubmitOrder():
                    assert at_the_venue is None
                    at_the_venue = filled_to(10)
                    harness.respond(call, OrderAccepted(at_the_venue))
                case QueryOrder():
                    harness.respond(call, OrderNotFound() if at_the_venue is None else OrderFound(at_the_venue))
                case FetchVenueSnapshot():
                    held = [position(10)] if at_the_venue is not None and at_the_venue.quantity == 10 else []
                    harness.respond(call, venue_snapshot(*orders, positions=held))
                case Fence():
                    fence: dict[str, Any] = {"quantity": call.quantity, "limit_price": call.limit_price}
                    at_the_venue = venue_order(state=OrderState.CANCELLED, venue_status="canceled", **fence)
                    harness.respond(call, OrderAccepted(at_the_venue))
                case _:
                    raise AssertionError(call)
        harness.advance_ms(100)


def test_an_intent_that_was_received_but_not_sent_is_sent_once() -> None:
    harness = crashed(IntentReceived)
    live_through(harness, None)
    assert harness.order_state() is OrderState.FILLED
    assert len(harness.records(OrderSending)) == 1
    assert harness.state.positions == {"AAPL": 10}


def test_it_is_sent_only_after_the_account_is_reconciled() -> None:
    harness = crashed(IntentReceived)
    known = len(harness.journal)
    harness.start()
    assert not harness.requests(SubmitOrder)
    harness.venue_event(OrderStreamUp())
    harness.tick()
    harness.respond(harness.only_request(FetchVenueSnapshot), venue_snapshot())
    since = [type(record) for record in harness.journal[known:]]
    assert since.index(Reconciled) < since.index(OrderSending)
    assert harness.requests(SubmitOrder)


def test_an_order_sent_after_a_restart_is_verified_again_from_the_journal() -> None:
    harness = crashed(IntentReceived)
    sealed = harness.records(IntentReceived)[0].frame
    harness.start()
    harness.venue_event(OrderStreamUp())
    harness.tick()
    harness.respond(harness.only_request(FetchVenueSnapshot), venue_snapshot())
    assert encode_approval(harness.only_request(SubmitOrder).signal) == sealed


def test_an_intent_whose_approval_expired_during_downtime_is_never_sent() -> None:
    harness = crashed(IntentReceived)
    harness.now_ns += APPROVAL_TTL_MS * 2_000_000
    live_through(harness, None)
    assert harness.order_state() is OrderState.NEVER_SENT
    assert not harness.requests(SubmitOrder)


@pytest.mark.parametrize("found", [venue_order(), filled_to(4), filled_to(10)])
def test_an_order_interrupted_while_sending_is_queried_and_found(found: VenueOrder) -> None:
    harness = crashed(OrderSending).start()
    assert harness.order_state() is OrderState.UNKNOWN
    assert not harness.requests(SubmitOrder)
    harness.respond(harness.only_request(QueryOrder), OrderFound(found))
    assert harness.order_state() is found.state


def test_an_order_interrupted_while_sending_that_never_arrived_is_sent_again_under_its_id() -> None:
    harness = crashed(OrderSending)
    live_through(harness, None)
    assert harness.order_state() is OrderState.FILLED
    assert harness.state.positions == {"AAPL": 10}


def test_an_order_interrupted_while_sending_is_fenced_once_expired() -> None:
    harness = crashed(OrderSending)
    harness.now_ns += APPROVAL_TTL_MS * 2_000_000
    live_through(harness, None)
    assert harness.order_state() is OrderState.NEVER_LANDED
    assert harness.state.positions == {}


def test_nothing_is_accepted_while_an_older_outcome_is_unknown() -> None:
    harness = crashed(OrderSending).start()
    harness.venue_event(OrderStreamUp())
    harness.tick()
    harness.respond(harness.only_request(FetchVenueSnapshot), venue_snapshot())
    harness.send_command(approval_frame(under=terms(harness.now_ns)))
    assert harness.service.unmet(harness.now_ns) == ("1 older orders of unknown outcome",)


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
        harness = whole.restart(records=records)
        live_through(harness, landed)
        assert harness.order_state() is OrderState.FILLED, records
        assert harness.state.positions == {"AAPL": 10}, records
        assert harness.service.unmet(harness.now_ns) == (), records


def test_replaying_the_journal_gives_the_state_that_wrote_it() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), OrderAccepted(venue_order()))
    harness.venue_event(fill_event(3, 3))
    replayed = ExecutionState()
    for record in harness.journal:
        replayed.apply(record)
    assert vars(replayed) == vars(harness.state)


def test_a_fill_gets_the_same_id_in_every_run() -> None:
    first, second = ExecutionHarness().open_journal(), ExecutionHarness().open_journal()
    for harness in (first, second):
        harness.submit_accepted()
        harness.reconnect(venue_snapshot(filled_to(4), fills=[activity_fill(4, 4)], positions=[position(4)]))
    assert first.journal[-2:] == second.journal[-2:]


def test_a_restart_does_not_count_a_fill_again() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.venue_event(fill_event(4, 4))
    harness = harness.restart().start()
    harness.reconnect(venue_snapshot(filled_to(4), fills=[activity_fill(4, 4)], positions=[position(4)]))
    harness.venue_event(fill_event(4, 4))
    assert harness.state.positions == {"AAPL": 4}


def test_a_restart_begins_with_unknown_connectivity() -> None:
    harness = ExecutionHarness().open_journal().restart().start()
    assert harness.state.venue_connectivity is VenueConnectivity.LOST
    assert len(harness.records(OpeningBalance)) == 1
