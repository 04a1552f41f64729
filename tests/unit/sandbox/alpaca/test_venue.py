"""Order life cycles at the Alpaca venue, event by event."""

from typing import Any

import pytest

from components.sandbox.alpaca.core.errors import ApiError
from components.sandbox.alpaca.core.orders import EventKind, OrderStatus
from components.sandbox.alpaca.core.session import SessionName
from components.sandbox.alpaca.core.validation import ReplaceBody
from components.sandbox.numerics import SECOND_NS
from tests.support.sandbox_venue import NOON_NS, event_kinds, make_quote, make_venue, order_body, place_order

HOUR_NS = 3_600 * SECOND_NS


EVENING_NS = NOON_NS + 9 * HOUR_NS


RESTING: dict[str, Any] = {"type": "limit", "limit_price": 90, "qty": 1}


def test_a_market_order_is_received_acknowledged_and_filled() -> None:
    events = place_order(make_venue(), qty=1)
    assert event_kinds(events) == ["pending_new", "new", "fill"]
    assert [event.execution_id is None for event in events] == [True, False, False]
    assert events[-1].position_qty == 1


def test_a_partial_fill_continues_at_the_next_quote() -> None:
    venue = make_venue(seed=_seed_with_a_partial_first_fill())
    first = place_order(venue, qty=100)
    assert event_kinds(first) == ["pending_new", "new", "partial_fill"]
    last = venue.on_quote(make_quote(), NOON_NS).events
    assert last[-1].order.filled_qty + first[-1].order.remaining - last[-1].order.remaining >= 100 - 1
    assert first[-1].order.status is OrderStatus.PARTIALLY_FILLED


def _seed_with_a_partial_first_fill() -> int:
    return next(
        seed for seed in range(200) if event_kinds(place_order(make_venue(seed=seed), qty=100))[-1] == "partial_fill"
    )


def test_cumulative_quantities_and_prices_add_up_over_partial_fills() -> None:
    venue = make_venue(seed=_seed_with_a_partial_first_fill())
    events = [*place_order(venue, qty=100)]
    while venue.account.orders:
        events += venue.on_quote(make_quote("100.99", "101.01"), NOON_NS).events
    fills = [event for event in events if event.price is not None]
    cost = sum(event.qty * event.price for event in fills if event.qty is not None and event.price is not None)
    assert sum(event.qty for event in fills if event.qty is not None) == 100
    assert fills[-1].order.filled_cost == cost
    assert fills[-1].kind is EventKind.FILL


def test_a_client_order_id_can_never_be_reused() -> None:
    venue = make_venue()
    place_order(venue, client_order_id="once", qty=1)
    unique = ApiError(422, 40010001, "client_order_id must be unique")
    assert venue.submit(order_body(client_order_id="once", symbol="MSFT"), NOON_NS).error == unique


def test_a_rejected_order_does_not_use_up_its_client_order_id() -> None:
    venue = make_venue()
    assert venue.submit(order_body(client_order_id="again", qty=0), NOON_NS).order is None
    assert venue.submit(order_body(client_order_id="again"), NOON_NS).order is not None


def test_a_duplicate_client_order_id_is_reported_before_any_market_check() -> None:
    venue = make_venue()
    place_order(venue, client_order_id="stop", type="stop", stop_price=101, qty=1)
    venue.on_quote(make_quote("110.00", "110.02"), NOON_NS)
    repeat = venue.submit(order_body(client_order_id="stop", type="stop", stop_price=101, qty=1), NOON_NS)
    assert repeat.error is not None
    assert repeat.error.message == "client_order_id must be unique"


def test_a_resting_limit_fills_when_the_market_reaches_it() -> None:
    venue = make_venue()
    assert event_kinds(place_order(venue, **RESTING)) == ["pending_new", "new"]
    assert event_kinds(venue.on_quote(make_quote("90.01", "90.02"), NOON_NS)) == []
    assert event_kinds(venue.on_quote(make_quote("89.90", "89.95"), NOON_NS)) == ["fill"]


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
def test_an_immediate_order_that_does_not_fill_is_cancelled(time_in_force: str) -> None:
    events = place_order(make_venue(), **RESTING, time_in_force=time_in_force)
    assert event_kinds(events) == ["pending_new", "new", "canceled"]


def test_an_ioc_order_keeps_its_partial_fill_and_cancels_the_rest() -> None:
    venue = make_venue(seed=_seed_with_a_partial_first_fill())
    events = place_order(venue, qty=100, time_in_force="ioc")
    assert event_kinds(events) == ["pending_new", "new", "partial_fill", "canceled"]
    assert events[-1].order.filled_qty > 0


def test_a_cancel_is_pending_first_and_then_completes() -> None:
    venue = make_venue()
    order = place_order(venue, **RESTING)[-1].order
    requested = venue.cancel(order.order_id, NOON_NS)
    ended = venue.advance_order(order.order_id, NOON_NS)
    assert event_kinds(requested, ended) == ["pending_cancel", "canceled"]
    assert venue.account.orders == {}


def test_a_fill_can_overtake_a_cancel() -> None:
    venue = make_venue()
    order = place_order(venue, **RESTING)[-1].order
    venue.cancel(order.order_id, NOON_NS)
    assert event_kinds(venue.on_quote(make_quote("89.90", "89.95"), NOON_NS)) == ["fill"]
    assert event_kinds(venue.advance_order(order.order_id, NOON_NS)) == []


def test_a_replacement_replaces_the_old_order() -> None:
    venue = make_venue()
    old = place_order(venue, **RESTING)[-1].order
    requested = venue.replace(old.order_id, ReplaceBody(qty=order_body(qty=3).qty, client_order_id="new"), NOON_NS)
    assert event_kinds(requested) == ["accepted", "pending_replace"]
    assert requested.order is not None
    landed = venue.advance_order(old.order_id, NOON_NS)
    assert event_kinds(landed, venue.advance_order(requested.order.order_id, NOON_NS)) == [
        "replaced",
        "pending_new",
        "new",
    ]
    assert landed.events[0].order.replaced_by == requested.order.order_id
    assert requested.order.replaces == old.order_id
    assert [order.terms.qty for order in venue.account.orders.values()] == [3]


def test_a_fill_can_overtake_a_replacement() -> None:
    venue = make_venue()
    old = place_order(venue, **RESTING)[-1].order
    venue.replace(old.order_id, ReplaceBody(limit_price=order_body(limit_price=91).limit_price), NOON_NS)
    assert event_kinds(venue.on_quote(make_quote("89.90", "89.95"), NOON_NS)) == ["fill", "rejected"]
    assert venue.account.orders == {}


def test_a_partial_fill_before_the_replacement_keeps_the_old_order() -> None:
    venue = make_venue(seed=_seed_with_a_partial_first_fill())
    old = place_order(venue, type="limit", limit_price=90, qty=100)[-1].order
    new = venue.replace(old.order_id, ReplaceBody(qty=order_body(qty=120).qty), NOON_NS).order
    assert new is not None
    assert event_kinds(venue.on_quote(make_quote("89.90", "89.95"), NOON_NS)) == ["partial_fill"]
    assert event_kinds(venue.advance_order(old.order_id, NOON_NS)) == ["order_replace_rejected", "rejected"]
    (stays,) = venue.account.orders.values()
    assert (stays.order_id, stays.status, stays.replaced_by) == (old.order_id, OrderStatus.PARTIALLY_FILLED, None)


def test_a_replacement_subtracts_what_the_old_order_has_filled() -> None:
    venue = make_venue(seed=_seed_with_a_partial_first_fill())
    old = place_order(venue, type="limit", limit_price=101, qty=100)[-1].order
    new = venue.replace(old.order_id, ReplaceBody(qty=order_body(qty=150).qty), NOON_NS).order
    assert new is not None
    assert new.terms.qty == 150 - old.filled_qty


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_cancel_also_ends_a_pending_replacement(which: str) -> None:
    venue = make_venue()
    old = place_order(venue, **RESTING)[-1].order
    new = venue.replace(old.order_id, ReplaceBody(limit_price=order_body(limit_price=91).limit_price), NOON_NS).order
    assert new is not None
    for order in (old, new) if which == "old" else (new, old):
        if order.order_id in venue.account.orders:
            venue.cancel(order.order_id, NOON_NS)
    venue.advance_order(old.order_id, NOON_NS)
    assert venue.account.orders == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "order parameters are not changed"),
        ({"qty": 1}, "order parameters are not changed"),
        ({"limit_price": "90.001"}, "invalid limit_price 90.001. sub-penny increment does not fulfill minimum"),
    ],
)
def test_a_replacement_that_changes_nothing_or_breaks_a_rule_is_rejected(changes: dict[str, Any], message: str) -> None:
    venue = make_venue()
    old = place_order(venue, **RESTING)[-1].order
    requested = {name: getattr(order_body(**changes), name) for name in changes}
    error = venue.replace(old.order_id, ReplaceBody(**requested), NOON_NS).error
    assert error is not None
    assert error.message.startswith(message)


def test_an_order_that_is_not_acknowledged_cannot_be_replaced() -> None:
    venue = make_venue()
    transition = venue.submit(order_body(**RESTING), NOON_NS)
    assert transition.order is not None
    error = venue.replace(transition.order.order_id, ReplaceBody(client_order_id="n"), NOON_NS).error
    assert error is not None
    assert error.message == "unable to replace order, order isn't sent to exchange yet"


def test_an_order_can_be_rejected_after_it_was_accepted() -> None:
    venue = make_venue()
    transition = venue.submit(order_body(), NOON_NS)
    assert transition.order is not None
    assert event_kinds(venue.advance_order(transition.order.order_id, NOON_NS, rejecting=True)) == ["rejected"]


def test_an_order_sent_while_the_market_is_closed_waits_for_the_open() -> None:
    venue = make_venue(SessionName.NYSE)
    transition = venue.submit(order_body(qty=1), EVENING_NS)
    assert event_kinds(transition, venue.on_tick(EVENING_NS)) == ["accepted"]
    monday_open_ns = NOON_NS + (3 * 24 * HOUR_NS) - 2 * HOUR_NS - HOUR_NS // 2
    assert event_kinds(venue.on_tick(monday_open_ns)) == ["pending_new"]


def test_a_day_order_expires_at_the_close_and_a_gtc_order_does_not() -> None:
    venue = make_venue(SessionName.NYSE)
    place_order(venue, **RESTING)
    place_order(venue, **RESTING, time_in_force="gtc")
    assert event_kinds(venue.on_tick(NOON_NS + 4 * HOUR_NS)) == ["expired"]


def test_a_day_order_does_not_expire_in_a_market_that_never_closes() -> None:
    venue = make_venue()
    place_order(venue, **RESTING)
    assert event_kinds(venue.on_tick(NOON_NS + 1_000 * HOUR_NS)) == []


def test_before_the_open_only_extended_hours_orders_trade() -> None:
    venue, early_ns = make_venue(SessionName.NYSE), NOON_NS - 4 * HOUR_NS
    plain = venue.submit(order_body(type="limit", limit_price=101, qty=1), early_ns)
    extended = venue.submit(order_body(type="limit", limit_price=101, qty=1, extended_hours=True), early_ns)
    assert event_kinds(plain, extended) == ["accepted", "pending_new"]
