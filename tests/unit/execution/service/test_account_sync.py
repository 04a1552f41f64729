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


def read_again(scene: ExecutionHarness, answer: Any) -> None:
    """Respond to the next snapshot request as soon as one is due."""
    for _ in range(400):
        if asked := scene.requests(FetchVenueSnapshot):
            scene.respond(asked[-1], answer)
            return
        scene.advance_ms(100)
    raise AssertionError("no reading was due")


def test_a_snapshot_is_fetched_every_thirty_seconds() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(29_000)
    assert not scene.requests(FetchVenueSnapshot)
    scene.advance_ms(1_200)
    assert scene.requests(FetchVenueSnapshot)


def test_a_snapshot_requests_the_fills_since_the_last_one_and_a_margin() -> None:
    scene = ExecutionHarness().open_journal()
    last = scene.records(Reconciled)[-1].at_ns
    scene.advance_ms(31_000)
    assert scene.only_request(FetchVenueSnapshot).fills_after_ns == last - 30_000_000_000


def test_a_snapshot_requests_each_order_that_is_not_final() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.submit(2)
    scene.advance_ms(31_000)
    assert scene.only_request(FetchVenueSnapshot).orders == (
        QueryOrder(client_id(1), venue_id()),
        QueryOrder(client_id(2)),
    )


def test_a_fill_the_stream_lost_is_found_and_its_late_event_adds_nothing() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.advance_ms(31_000)
    read_again(
        scene,
        venue_snapshot(filled_to(10), fills=[activity_fill(4, 4), activity_fill(6, 10)], positions=[position(10)]),
    )
    assert [fill.execution_id for fill in scene.records(Filled)] == ["v-1:4", "v-1:10"]
    assert scene.order_state() is OrderState.FILLED
    scene.venue_event(fill_event(4, 4))
    scene.venue_event(fill_event(6, 10))
    assert len(scene.records(Filled)) == 2
    assert scene.records(Reconciled)[-1].positions == (position(10),)


def test_a_fill_between_snapshots_is_not_reported_as_a_difference() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.advance_ms(31_000)
    count = len(scene.records(Reconciled))
    read_again(scene, venue_snapshot(venue_order(), positions=[position(10)]))
    assert len(scene.records(Reconciled)) == count
    scene.venue_event(fill_event(10, 10))
    read_again(scene, venue_snapshot(filled_to(10), positions=[position(10)]))
    assert scene.records(Reconciled)[-1].differences == ()


def test_a_persistent_difference_is_reported() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(31_000)
    for _ in range(3):
        read_again(scene, venue_snapshot(positions=[position(5)]))
    assert scene.records(Reconciled)[-1].differences == ("AAPL: 0 counted, 5 at the venue",)
    assert scene.service.unmet(scene.now_ns) == ("account differs: AAPL: 0 counted, 5 at the venue",)


def test_a_difference_is_not_confirmed_while_fills_arrive() -> None:
    scene = ExecutionHarness().open_journal()
    count = len(scene.records(Reconciled))
    for number in range(1, 6):
        scene.submit_accepted(number)
        scene.advance_ms(2_100)
        if scene.requests(FetchVenueSnapshot):
            read_again(scene, venue_snapshot(positions=[position(1_000)]))
        scene.venue_event(fill_event(10, 10, number))
    assert len(scene.records(Reconciled)) == count


def test_a_reconciliation_report_has_the_positions_of_the_journal_at_that_record() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.advance_ms(31_000)
    asked = scene.only_request(FetchVenueSnapshot)
    scene.venue_event(fill_event(10, 10))
    before = len(scene.records(Reconciled))
    scene.respond(asked, venue_snapshot(venue_order()))
    assert len(scene.records(Reconciled)) == before


@pytest.mark.parametrize("answer", [Unreachable("refused"), OutcomeUnknown("timeout"), Throttled(0, "slow down")])
def test_a_venue_that_cannot_be_read_is_never_treated_as_flat(answer: Any) -> None:
    scene = ExecutionHarness().open_journal(positions=[position(7)])
    scene.advance_ms(31_000)
    count = len(scene.journal)
    read_again(scene, answer)
    assert scene.state.positions == {"AAPL": 7}
    assert not [record for record in scene.journal[count:] if not isinstance(record, VenueConnectivityChanged)]


def test_a_manual_trade_during_downtime_is_found() -> None:
    scene = ExecutionHarness().open_journal().restart().start()
    scene.venue_event(OrderStreamUp())
    scene.tick()
    fills = [replace(activity_fill(10, 10), venue_order_id=VenueOrderId("v-9"))]
    read_again(scene, venue_snapshot(fills=fills, positions=[position(10)]))
    assert not scene.records(Filled)
    read_again(scene, venue_snapshot(foreign(10), fills=fills, positions=[position(10)]))
    assert scene.records(Filled)[0].intent_id is None
    assert scene.records(Reconciled)[-1].differences == ()


def test_a_resting_external_order_is_adopted_and_tracked() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(31_000)
    resting = venue_order(side=Side.SELL, **FOREIGN)
    read_again(scene, venue_snapshot(resting))
    assert scene.records(Reconciled)[-1].open_orders == ("by hand",)
    scene.advance_ms(31_000)
    assert QueryOrder(ClientOrderId("by hand"), VenueOrderId("v-9")) in scene.only_request(FetchVenueSnapshot).orders


def test_fills_before_the_opening_balance_are_in_its_positions_only() -> None:
    half = foreign(4)
    scene = ExecutionHarness().open_journal(half, positions=[position(4)])
    assert scene.state.positions == {"AAPL": 4}
    assert not scene.records(Filled)
    scene.advance_ms(31_000)
    read_again(scene, venue_snapshot(foreign(10), positions=[position(10)]))
    assert scene.fills() == [(6, Decimal(149))]
    assert scene.records(Reconciled)[-1].differences == ()


def test_fills_just_before_the_opening_balance_are_not_counted_again() -> None:
    scene = ExecutionHarness().start()
    scene.venue_event(OrderStreamUp())
    fills = [replace(activity_fill(10, 10), venue_order_id=VenueOrderId("v-9"))]
    scene.tick()
    read_again(scene, venue_snapshot(fills=fills, positions=[position(10)]))
    for _ in range(3):
        read_again(scene, venue_snapshot(foreign(10), fills=fills, positions=[position(10)]))
        if scene.records(OpeningBalance):
            break
    scene.advance_ms(31_000)
    read_again(scene, venue_snapshot(fills=fills, positions=[position(10)]))
    assert scene.state.positions == {"AAPL": 10}
    assert scene.records(Reconciled)[-1].differences == ()


def test_the_opening_balance_waits_until_two_snapshots_agree() -> None:
    scene = ExecutionHarness().start()
    scene.venue_event(OrderStreamUp())
    scene.tick()
    read_again(scene, venue_snapshot(foreign(4), positions=[position(6)]))
    read_again(scene, venue_snapshot(foreign(6), positions=[position(6)]))
    assert not scene.records(OpeningBalance)
    read_again(scene, venue_snapshot(foreign(6), positions=[position(6)]))
    assert scene.records(OpeningBalance)[0].positions == (position(6),)


def test_another_account_at_the_venue_ends_the_process() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(31_000)
    read_again(scene, venue_snapshot(account_number="PA2"))
    assert isinstance(scene.terminations()[0], ConfigError)
    assert "PA2" in str(scene.terminations()[0])


def test_an_order_final_here_and_open_there_is_a_difference() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.venue_event(fill_event(10, 10))
    scene.advance_ms(31_000)
    for _ in range(3):
        read_again(
            scene,
            venue_snapshot(
                venue_order(filled_quantity=Decimal(10), average_price=Decimal(149)), positions=[position(10)]
            ),
        )
    assert scene.records(Reconciled)[-1].differences == ("order demo-e1-1-0-1: filled here, new at the venue",)


def test_an_open_order_that_the_venue_does_not_know_is_a_difference_and_stays_open() -> None:
    scene = ExecutionHarness().open_journal()
    scene.submit_accepted()
    scene.advance_ms(31_000)
    for _ in range(3):
        read_again(scene, venue_snapshot(missing=[QueryOrder(ClientOrderId(""), venue_id())]))
    assert scene.records(Reconciled)[-1].differences == ("order demo-e1-1-0-1: open here, unknown at the venue",)
    assert scene.order_state() is OrderState.OPEN


def test_several_symbols_are_compared() -> None:
    scene = ExecutionHarness().open_journal(positions=[position(1), position(-2, Symbol("MSFT"))])
    scene.advance_ms(31_000)
    for _ in range(3):
        read_again(scene, venue_snapshot(positions=[position(1)]))
    assert scene.records(Reconciled)[-1].differences == ("MSFT: -2 counted, 0 at the venue",)


def test_failures_degrade_then_lose_the_venue_and_a_response_restores_it() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(31_000)
    for _ in range(4):
        read_again(scene, Unreachable("refused"))
    read_again(scene, venue_snapshot())
    conditions = [record.connectivity for record in scene.records(VenueConnectivityChanged)]
    assert conditions == [
        VenueConnectivity.HEALTHY,
        VenueConnectivity.DEGRADED,
        VenueConnectivity.LOST,
        VenueConnectivity.HEALTHY,
    ]


def test_rejected_keys_lose_the_venue_at_once() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(31_000)
    read_again(scene, Unauthorized("unauthorized."))
    assert scene.records(VenueConnectivityChanged)[-1].connectivity is VenueConnectivity.LOST
    assert "keys refused" in scene.service.unmet(scene.now_ns)[0]


def test_a_difference_is_not_confirmed_while_an_order_in_doubt_may_explain_it() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), OutcomeUnknown("timeout"))
    count = len(scene.records(Reconciled))
    scene.advance_ms(31_000)
    for _ in range(5):
        read_again(scene, venue_snapshot(positions=[position(10)]))
    assert len(scene.records(Reconciled)) == count


def test_an_unreachable_venue_is_logged_once() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(31_000)
    for _ in range(3):
        read_again(scene, Unreachable("refused"))
        scene.venue_event(OrderStreamDown("refused"))
    assert scene.logged_events().count("venue_not_read") == 1
    assert scene.logged_events().count("order_stream_down") == 1
