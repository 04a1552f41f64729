"""Matching of orders at a quote."""

from decimal import Decimal
from typing import Any

import pytest

from components.sandbox.alpaca.core.matching import (
    Execution,
    effective_stop_price,
    is_marketable,
    match_order,
    update_stop,
)
from components.sandbox.alpaca.core.orders import Order, OrderStatus, OrderTerms
from components.sandbox.alpaca.core.validation import parse_order_terms
from tests.support.sandbox_venue import NOON_NS, make_quote, order_body

WHOLE, PARTIAL = 1, 10


def _order(**changes: Any) -> Order:
    terms = parse_order_terms(order_body(**changes))
    assert isinstance(terms, OrderTerms)
    facts = {"order_id": "o", "client_order_id": "c", "number": 1, "status": OrderStatus.NEW}
    return Order(terms=terms, submitted_at_ns=NOON_NS, updated_at_ns=NOON_NS, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "price"), [("buy", "100.01"), ("sell", "99.99")])
def test_a_market_order_fills_at_the_other_side_of_the_quote(side: str, price: str) -> None:
    assert match_order(_order(side=side), make_quote(), WHOLE) == Execution(Decimal(10), Decimal(price))


@pytest.mark.parametrize(
    ("side", "limit", "marketable"),
    [("buy", "100.01", True), ("buy", "100.00", False), ("sell", "99.99", True), ("sell", "100.00", False)],
)
def test_a_limit_fills_only_when_it_is_crossed(side: str, limit: str, *, marketable: bool) -> None:
    order = _order(side=side, type="limit", limit_price=limit)
    assert is_marketable(order, make_quote()) is marketable
    assert (match_order(order, make_quote(), WHOLE) is not None) is marketable


def test_a_limit_never_fills_worse_than_the_quote() -> None:
    execution = match_order(_order(type="limit", limit_price=105), make_quote(), WHOLE)
    assert execution == Execution(Decimal(10), Decimal("100.01"))


def test_one_draw_in_ten_fills_only_a_part() -> None:
    executions = [match_order(_order(qty=100), make_quote(), draw << 8 | draw % 256) for draw in range(2_000)]
    parts = [one for one in executions if one is not None and one.qty < 100]
    assert 120 < len(parts) < 280
    assert all(one.qty >= 1 and one.qty == int(one.qty) for one in parts)


@pytest.mark.parametrize("changes", [{"qty": 1}, {"time_in_force": "fok"}, {"qty": "2.5"}])
def test_an_indivisible_order_fills_completely(changes: dict[str, Any]) -> None:
    order = _order(**changes)
    assert match_order(order, make_quote(), PARTIAL) == Execution(order.remaining, Decimal("100.01"))


def test_a_notional_order_fills_the_quantity_that_its_amount_buys() -> None:
    assert match_order(_order(qty=None, notional=100), make_quote(), WHOLE) == Execution(
        Decimal("0.999900009"), Decimal("100.01")
    )


def test_a_stop_triggers_when_reached_and_stays_triggered() -> None:
    order = _order(side="buy", type="stop", stop_price=101)
    assert match_order(update_stop(order, make_quote()), make_quote(), WHOLE) is None
    reached = update_stop(order, make_quote("100.99", "101.00"))
    assert match_order(reached, make_quote(), WHOLE) is not None


def test_a_triggered_stop_limit_still_respects_its_limit() -> None:
    order = _order(side="sell", type="stop_limit", stop_price=99, limit_price=98)
    reached = update_stop(order, make_quote("97.00", "97.10"))
    assert reached.triggered
    assert match_order(reached, make_quote("97.00", "97.10"), WHOLE) is None
    assert match_order(reached, make_quote("98.50", "98.60"), WHOLE) is not None


@pytest.mark.parametrize(("trail", "stop"), [({"trail_price": 2}, "108"), ({"trail_percent": 5}, "104.5")])
def test_a_trailing_stop_follows_the_best_price_it_has_seen(trail: dict[str, int], stop: str) -> None:
    order = _order(side="sell", type="trailing_stop", **trail)
    for bid in ("100.00", "110.00", "109.00"):
        order = update_stop(order, make_quote(bid, "120.00"))
    assert not order.triggered
    assert effective_stop_price(order) == Decimal(stop)
    assert update_stop(order, make_quote("104.00", "120.00")).triggered
