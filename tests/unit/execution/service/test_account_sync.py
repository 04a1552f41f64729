"""Reconciliation of the journal with the venue's account."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from components.contracts.errors import ConfigError
from components.contracts.orders import (
    Filled,
    OpeningBalance,
    OrderState,
    Reconciled,
    VenueConnectivity,
    VenueConnectivityChanged,
)
from components.contracts.values import ClientOrderId, Side, Symbol, VenueOrderId
from components.execution.core.venue_messages import (
    FetchVenueSnapshot,
    OrderStreamDown,
    OrderStreamUp,
    OutcomeUnknown,
    QueryOrder,
    Throttled,
    Unauthorized,
    Unreachable,
    VenueOrder,
)
from tests.support.execution_harness import (
    ExecutionHarness,
    activity_fill,
    client_id,
    fill_event,
    filled_to,
    position,
    venue_id,
    venue_order,
    venue_snapshot,
)

FOREIGN: dict[str, Any] = {"venue_order_id": VenueOrderId("v-9"), "client_order_id": ClientOrderId("by hand")}


def foreign(cumulative: int, **changes: Any) -> VenueOrder:
    return filled_to(cumulative, **FOREIGN | changes)


def read_again(harness: ExecutionHarness, answer: Any) -> None:
    """Respond to the next snapshot request as soon as one is due."""
    for _ in range(400):
        if request := harness.requests(FetchVenueSnapshot):
            harness.respond(request[-1], answer)
            return
        harness.advance_ms(100)
    raise AssertionError("no reading was due")


def test_a_snapshot_is_fetched_every_thirty_seconds() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(29_000)
    assert not harness.requests(FetchVenueSnapshot)
    harness.advance_ms(1_200)
    assert harness.requests(FetchVenueSnapshot)


def test_a_snapshot_requests_the_fills_since_the_last_one_and_a_margin() -> None:
    harness = ExecutionHarness().open_journal()
    last = harness.records(Reconciled)[-1].at_ns
    harness.advance_ms(31_000)
    assert harness.only_request(FetchVenueSnapshot).fills_after_ns == last - 30_000_000_000


def test_a_snapshot_requests_each_order_that_is_not_final() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.submit(2)
    harness.advance_ms(31_000)
    assert harness.only_request(FetchVenueSnapshot).orders == (
        QueryOrder(client_id(1), venue_id()),
        QueryOrder(client_id(2)),
    )


def test_a_fill_the_stream_lost_is_found_and_its_late_event_adds_nothing() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.advance_ms(31_000)
    read_again(
        harness,
        venue_snapshot(filled_to(10), fills=[activity_fill(4, 4), activity_fill(6, 10)], positions=[position(10)]),
    )
    assert [fill.execution_id for fill in harness.records(Filled)] == ["v-1:4", "v-1:10"]
    assert harness.order_state() is OrderState.FILLED
    harness.venue_event(fill_event(4, 4))
    harness.venue_event(fill_event(6, 10))
    assert len(harness.records(Filled)) == 2
    assert harness.records(Reconciled)[-1].positions == (position(10),)


def test_a_fill_between_snapshots_is_not_reported_as_a_difference() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.advance_ms(31_000)
    count = len(harness.records(Reconciled))
    read_again(harness, venue_snapshot(venue_order(), positions=[position(10)]))
    assert len(harness.records(Reconciled)) == count
    harness.venue_event(fill_event(10, 10))
    read_again(harness, venue_snapshot(filled_to(10), positions=[position(10)]))
    assert harness.records(Reconciled)[-1].differences == ()


def test_a_persistent_difference_is_reported() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(31_000)
    for _ in range(3):
        read_again(harness, venue_snapshot(positions=[position(5)]))
    assert harness.records(Reconciled)[-1].differences == ("AAPL: 0 counted, 5 at the venue",)
    assert harness.service.unmet(harness.now_ns) == ("account differs: AAPL: 0 counted, 5 at the venue",)


def test_a_difference_is_not_confirmed_while_fills_arrive() -> None:
    harness = ExecutionHarness().open_journal()
    count = len(harness.records(Reconciled))
    for number in range(1, 6):
        harness.submit_accepted(number)
        harness.advance_ms(2_100)
        if harness.requests(FetchVenueSnapshot):
            read_again(harness, venue_snapshot(positions=[position(1_000)]))
        harness.venue_event(fill_event(10, 10, number))
    assert len(harness.records(Reconciled)) == count


def test_a_reconciliation_report_has_the_positions_of_the_journal_at_that_record() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.advance_ms(31_000)
    request = harness.only_request(FetchVenueSnapshot)
    harness.venue_event(fill_event(10, 10))
    before = len(harness.records(Reconciled))
    harness.respond(request, venue_snapshot(venue_order()))
    assert len(harness.records(Reconciled)) == before


@pytest.mark.parametrize("answer", [Unreachable("refused"), OutcomeUnknown("timeout"), Throttled(0, "slow down")])
def test_a_venue_that_cannot_be_read_is_never_treated_as_flat(answer: Any) -> None:
    harness = ExecutionHarness().open_journal(positions=[position(7)])
    harness.advance_ms(31_000)
    count = len(harness.journal)
    read_again(harness, answer)
    assert harness.state.positions == {"AAPL": 7}
    assert not [record for record in harness.journal[count:] if not isinstance(record, VenueConnectivityChanged)]


def test_a_manual_trade_during_downtime_is_found() -> None:
    harness = ExecutionHarness().open_journal().restart().start()
    harness.venue_event(OrderStreamUp())
    harness.tick()
    fills = [replace(activity_fill(10, 10), venue_order_id=VenueOrderId("v-9"))]
    read_again(harness, venue_snapshot(fills=fills, positions=[position(10)]))
    assert not harness.records(Filled)
    read_again(harness, venue_snapshot(foreign(10), fills=fills, positions=[position(10)]))
    assert harness.records(Filled)[0].intent_id is None
    assert harness.records(Reconciled)[-1].differences == ()


def test_a_resting_external_order_is_adopted_and_tracked() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(31_000)
    resting = venue_order(side=Side.SELL, **FOREIGN)
    read_again(harness, venue_snapshot(resting))
    assert harness.records(Reconciled)[-1].open_orders == ("by hand",)
    harness.advance_ms(31_000)
    assert QueryOrder(ClientOrderId("by hand"), VenueOrderId("v-9")) in harness.only_request(FetchVenueSnapshot).orders


def test_fills_before_the_opening_balance_are_in_its_positions_only() -> None:
    half = foreign(4)
    harness = ExecutionHarness().open_journal(half, positions=[position(4)])
    assert harness.state.positions == {"AAPL": 4}
    assert not harness.records(Filled)
    harness.advance_ms(31_000)
    read_again(harness, venue_snapshot(foreign(10), positions=[position(10)]))
    assert harness.fills() == [(6, Decimal(149))]
    assert harness.records(Reconciled)[-1].differences == ()


def test_fills_just_before_the_opening_balance_are_not_counted_again() -> None:
    harness = ExecutionHarness().start()
    harness.venue_event(OrderStreamUp())
    fills = [replace(activity_fill(10, 10), venue_order_id=VenueOrderId("v-9"))]
    harness.tick()
    read_again(harness, venue_snapshot(fills=fills, positions=[position(10)]))
    for _ in range(3):
        read_again(harness, venue_snapshot(foreign(10), fills=fills, positions=[position(10)]))
        if harness.records(OpeningBalance):
            break
    harness.advance_ms(31_000)
    read_again(harness, venue_snapshot(fills=fills, positions=[position(10)]))
    assert harness.state.positions == {"AAPL": 10}
    assert harness.records(Reconciled)[-1].differences == ()


def test_the_opening_balance_waits_until_two_snapshots_agree() -> None:
    harness = ExecutionHarness().start()
    harness.venue_event(OrderStreamUp())
    harness.tick()
    read_again(harness, venue_snapshot(foreign(4), positions=[position(6)]))
    read_again(harness, venue_snapshot(foreign(6), positions=[position(6)]))
    assert not harness.records(OpeningBalance)
    read_again(harness, venue_snapshot(foreign(6), positions=[position(6)]))
    assert harness.records(OpeningBalance)[0].positions == (position(6),)


def test_another_account_at_the_venue_ends_the_process() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(31_000)
    read_again(harness, venue_snapshot(account_number="PA2"))
    assert isinstance(harness.terminations()[0], ConfigError)
    assert "PA2" in str(harness.terminations()[0])


def test_an_order_final_here_and_open_there_is_a_difference() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.venue_event(fill_event(10, 10))
    harness.advance_ms(31_000)
    for _ in range(3):
        read_again(
            harness,
            venue_snapshot(
                venue_order(filled_quantity=Decimal(10), average_price=Decimal(149)), positions=[position(10)]
            ),
        )
    assert harness.records(Reconciled)[-1].differences == ("order demo-e1-1-0-1: filled here, new at the venue",)


def test_an_open_order_that_the_venue_does_not_know_is_a_difference_and_stays_open() -> None:
    harness = ExecutionHarness().open_journal()
    harness.submit_accepted()
    harness.advance_ms(31_000)
    for _ in range(3):
        read_again(harness, venue_snapshot(missing=[QueryOrder(ClientOrderId(""), venue_id())]))
    assert harness.records(Reconciled)[-1].differences == ("order demo-e1-1-0-1: open here, unknown at the venue",)
    assert harness.order_state() is OrderState.OPEN


def test_several_symbols_are_compared() -> None:
    harness = ExecutionHarness().open_journal(positions=[position(1), position(-2, Symbol("MSFT"))])
    harness.advance_ms(31_000)
    for _ in range(3):
        read_again(harness, venue_snapshot(positions=[position(1)]))
    assert harness.records(Reconciled)[-1].differences == ("MSFT: -2 counted, 0 at the venue",)


def test_failures_degrade_then_lose_the_venue_and_a_response_restores_it() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(31_000)
    for _ in range(4):
        read_again(harness, Unreachable("refused"))
    read_again(harness, venue_snapshot())
    conditions = [record.connectivity for record in harness.records(VenueConnectivityChanged)]
    assert conditions == [
        VenueConnectivity.HEALTHY,
        VenueConnectivity.DEGRADED,
        VenueConnectivity.LOST,
        VenueConnectivity.HEALTHY,
    ]


def test_rejected_keys_lose_the_venue_at_once() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(31_000)
    read_again(harness, Unauthorized("unauthorized."))
    assert harness.records(VenueConnectivityChanged)[-1].connectivity is VenueConnectivity.LOST
    assert "keys rejected" in harness.service.unmet(harness.now_ns)[0]


def test_a_difference_is_not_confirmed_while_an_unresolved_order_may_explain_it() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), OutcomeUnknown("timeout"))
    count = len(harness.records(Reconciled))
    harness.advance_ms(31_000)
    for _ in range(5):
        read_again(harness, venue_snapshot(positions=[position(10)]))
    assert len(harness.records(Reconciled)) == count


def test_an_unreachable_venue_is_logged_once() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(31_000)
    for _ in range(3):
        read_again(harness, Unreachable("refused"))
        harness.venue_event(OrderStreamDown("refused"))
    assert harness.logged_events().count("venue_snapshot_failed") == 1
    assert harness.logged_events().count("order_stream_down") == 1
