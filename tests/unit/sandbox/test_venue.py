"""The life of an order at the venue, event by event."""

from typing import Any

import pytest

from components.sandbox.core.orders import EventKind, Status
from components.sandbox.core.refusals import Refusal
from components.sandbox.core.replacement import ReplaceBody
from components.sandbox.core.session import NANOSECONDS, SessionName
from tests.support.sandbox import NOON_NS, body, place, quote, told, venue

HOUR_NS = 3_600 * NANOSECONDS
EVENING_NS = NOON_NS + 9 * HOUR_NS
RESTING: dict[str, Any] = {"type": "limit", "limit_price": 90, "qty": 1}


def test_a_market_order_is_received_acknowledged_and_filled() -> None:
    events = place(venue(), qty=1)
    assert told(events) == ["pending_new", "new", "fill"]
    assert [event.execution_id is None for event in events] == [True, False, False]
    assert events[-1].position_qty == 1


def test_a_partial_fill_goes_on_at_the_next_quote() -> None:
    made = venue(seed=_seed_with_a_partial_first_fill())
    first = place(made, qty=100)
    assert told(first) == ["pending_new", "new", "partial_fill"]
    last = made.on_quote(quote(), NOON_NS).events
    assert last[-1].order.filled_qty + first[-1].order.remaining - last[-1].order.remaining >= 100 - 1
    assert first[-1].order.status is Status.PARTIALLY_FILLED


def _seed_with_a_partial_first_fill() -> int:
    return next(seed for seed in range(200) if told(place(venue(seed=seed), qty=100))[-1] == "partial_fill")


def test_cumulative_quantities_and_prices_add_up_over_partial_fills() -> None:
    made = venue(seed=_seed_with_a_partial_first_fill())
    events = [*place(made, qty=100)]
    while made.books.orders:
        events += made.on_quote(quote("100.99", "101.01"), NOON_NS).events
    fills = [event for event in events if event.price is not None]
    cost = sum(event.qty * event.price for event in fills if event.qty is not None and event.price is not None)
    assert sum(event.qty for event in fills if event.qty is not None) == 100
    assert fills[-1].order.filled_cost == cost
    assert fills[-1].kind is EventKind.FILL


def test_a_client_id_is_used_up_for_ever() -> None:
    made = venue()
    place(made, client_order_id="once", qty=1)
    unique = Refusal(422, 40010001, "client_order_id must be unique")
    assert made.submit(body(client_order_id="once", symbol="MSFT"), NOON_NS).refusal == unique


def test_a_refused_order_does_not_use_its_client_id_up() -> None:
    made = venue()
    assert made.submit(body(client_order_id="again", qty=0), NOON_NS).order is None
    assert made.submit(body(client_order_id="again"), NOON_NS).order is not None


def test_a_repeat_hears_that_it_is_one_even_where_it_could_not_enter_now() -> None:
    made = venue()
    place(made, client_order_id="stop", type="stop", stop_price=101, qty=1)
    made.on_quote(quote("110.00", "110.02"), NOON_NS)
    repeat = made.submit(body(client_order_id="stop", type="stop", stop_price=101, qty=1), NOON_NS)
    assert repeat.refusal is not None
    assert repeat.refusal.message == "client_order_id must be unique"


def test_a_resting_limit_fills_when_the_market_comes_to_it() -> None:
    made = venue()
    assert told(place(made, **RESTING)) == ["pending_new", "new"]
    assert told(made.on_quote(quote("90.01", "90.02"), NOON_NS)) == []
    assert told(made.on_quote(quote("89.90", "89.95"), NOON_NS)) == ["fill"]


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
def test_what_must_fill_at_once_is_cancelled_otherwise(time_in_force: str) -> None:
    events = place(venue(), **RESTING, time_in_force=time_in_force)
    assert told(events) == ["pending_new", "new", "canceled"]


def test_an_ioc_keeps_its_part_and_gives_up_the_rest() -> None:
    made = venue(seed=_seed_with_a_partial_first_fill())
    events = place(made, qty=100, time_in_force="ioc")
    assert told(events) == ["pending_new", "new", "partial_fill", "canceled"]
    assert events[-1].order.filled_qty > 0


def test_a_cancel_is_asked_for_and_then_happens() -> None:
    made = venue()
    order = place(made, **RESTING)[-1].order
    asked = made.cancel(order.order_id, NOON_NS)
    ended = made.proceed(order.order_id, NOON_NS)
    assert told(asked, ended) == ["pending_cancel", "canceled"]
    assert made.books.orders == {}


def test_a_fill_may_win_over_a_cancel() -> None:
    made = venue()
    order = place(made, **RESTING)[-1].order
    made.cancel(order.order_id, NOON_NS)
    assert told(made.on_quote(quote("89.90", "89.95"), NOON_NS)) == ["fill"]
    assert told(made.proceed(order.order_id, NOON_NS)) == []


def test_a_replacement_takes_the_place_of_the_old_order() -> None:
    made = venue()
    old = place(made, **RESTING)[-1].order
    asked = made.replace(old.order_id, ReplaceBody(qty=body(qty=3).qty, client_order_id="new"), NOON_NS)
    assert told(asked) == ["accepted", "pending_replace"]
    assert asked.order is not None
    landed = made.proceed(old.order_id, NOON_NS)
    assert told(landed, made.proceed(asked.order.order_id, NOON_NS)) == ["replaced", "pending_new", "new"]
    assert landed.events[0].order.replaced_by == asked.order.order_id
    assert asked.order.replaces == old.order_id
    assert [order.terms.qty for order in made.books.orders.values()] == [3]


def test_a_fill_may_win_over_a_replacement() -> None:
    made = venue()
    old = place(made, **RESTING)[-1].order
    made.replace(old.order_id, ReplaceBody(limit_price=body(limit_price=91).limit_price), NOON_NS)
    assert told(made.on_quote(quote("89.90", "89.95"), NOON_NS)) == ["fill", "rejected"]
    assert made.books.orders == {}


def test_a_part_that_fills_meanwhile_keeps_the_old_order() -> None:
    made = venue(seed=_seed_with_a_partial_first_fill())
    old = place(made, type="limit", limit_price=90, qty=100)[-1].order
    new = made.replace(old.order_id, ReplaceBody(qty=body(qty=120).qty), NOON_NS).order
    assert new is not None
    assert told(made.on_quote(quote("89.90", "89.95"), NOON_NS)) == ["partial_fill"]
    assert told(made.proceed(old.order_id, NOON_NS)) == ["order_replace_rejected", "rejected"]
    (stays,) = made.books.orders.values()
    assert (stays.order_id, stays.status, stays.replaced_by) == (old.order_id, Status.PARTIALLY_FILLED, None)


def test_a_replacement_counts_what_the_old_order_has_filled() -> None:
    made = venue(seed=_seed_with_a_partial_first_fill())
    old = place(made, type="limit", limit_price=101, qty=100)[-1].order
    new = made.replace(old.order_id, ReplaceBody(qty=body(qty=150).qty), NOON_NS).order
    assert new is not None
    assert new.terms.qty == 150 - old.filled_qty


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_cancel_leaves_nothing_of_a_replacement_under_way(which: str) -> None:
    made = venue()
    old = place(made, **RESTING)[-1].order
    new = made.replace(old.order_id, ReplaceBody(limit_price=body(limit_price=91).limit_price), NOON_NS).order
    assert new is not None
    for order in (old, new) if which == "old" else (new, old):
        if order.order_id in made.books.orders:
            made.cancel(order.order_id, NOON_NS)
    made.proceed(old.order_id, NOON_NS)
    assert made.books.orders == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "order parameters are not changed"),
        ({"qty": 1}, "order parameters are not changed"),
        ({"limit_price": "90.001"}, "invalid limit_price 90.001. sub-penny increment does not fulfill minimum"),
    ],
)
def test_a_replacement_that_changes_nothing_or_breaks_a_rule_is_refused(changes: dict[str, Any], message: str) -> None:
    made = venue()
    old = place(made, **RESTING)[-1].order
    wanted = {name: getattr(body(**changes), name) for name in changes}
    refusal = made.replace(old.order_id, ReplaceBody(**wanted), NOON_NS).refusal
    assert refusal is not None
    assert refusal.message.startswith(message)


def test_an_order_that_is_not_acknowledged_cannot_be_replaced() -> None:
    made = venue()
    step = made.submit(body(**RESTING), NOON_NS)
    assert step.order is not None
    refusal = made.replace(step.order.order_id, ReplaceBody(client_order_id="n"), NOON_NS).refusal
    assert refusal is not None
    assert refusal.message == "unable to replace order, order isn't sent to exchange yet"


def test_an_order_may_be_rejected_after_it_was_accepted() -> None:
    made = venue()
    step = made.submit(body(), NOON_NS)
    assert step.order is not None
    assert told(made.proceed(step.order.order_id, NOON_NS, rejecting=True)) == ["rejected"]


def test_while_the_market_is_closed_an_order_waits_for_the_open() -> None:
    made = venue(SessionName.NYSE)
    step = made.submit(body(qty=1), EVENING_NS)
    assert told(step, made.on_tick(EVENING_NS)) == ["accepted"]
    monday_open_ns = NOON_NS + (3 * 24 * HOUR_NS) - 2 * HOUR_NS - HOUR_NS // 2
    assert told(made.on_tick(monday_open_ns)) == ["pending_new"]


def test_a_day_order_expires_at_the_close_and_a_gtc_order_does_not() -> None:
    made = venue(SessionName.NYSE)
    place(made, **RESTING)
    place(made, **RESTING, time_in_force="gtc")
    assert told(made.on_tick(NOON_NS + 4 * HOUR_NS)) == ["expired"]


def test_in_the_session_that_never_ends_a_day_order_stays() -> None:
    made = venue()
    place(made, **RESTING)
    assert told(made.on_tick(NOON_NS + 1_000 * HOUR_NS)) == []


def test_before_hours_only_an_extended_order_trades() -> None:
    made, early_ns = venue(SessionName.NYSE), NOON_NS - 4 * HOUR_NS
    plain = made.submit(body(type="limit", limit_price=101, qty=1), early_ns)
    extended = made.submit(body(type="limit", limit_price=101, qty=1, extended_hours=True), early_ns)
    assert told(plain, extended) == ["accepted", "pending_new"]
