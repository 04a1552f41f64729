"""Positions and balances after fills."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.sandbox.alpaca.core.account import Position, apply_fill
from components.sandbox.alpaca.core.orders import Side
from tests.support.sandbox_venue import NOON_NS, make_quote, make_venue, open_position, place_order

FLAT = Position("AAPL", Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("start", "side", "qty", "price", "after"),
    [
        ((0, 0), "buy", 10, 100, (10, 100)),
        ((10, 100), "buy", 10, 110, (20, 105)),
        ((20, 105), "sell", 5, 200, (15, 105)),
        ((15, 105), "sell", 15, 90, (0, 0)),
        ((0, 0), "sell", 4, 50, (-4, 50)),
        ((-4, 50), "sell", 4, 60, (-8, 55)),
        ((-8, 55), "buy", 3, 40, (-5, 55)),
        ((-5, 55), "buy", 8, 70, (3, 70)),
    ],
)
def test_a_fill_moves_quantity_and_average_price(
    start: tuple[int, int], side: str, qty: int, price: int, after: tuple[int, int]
) -> None:
    position = Position("AAPL", Decimal(start[0]), Decimal(start[1]))
    moved = apply_fill(position, Side(side), Decimal(qty), Decimal(price))
    assert (moved.qty, moved.avg_entry_price) == (Decimal(after[0]), Decimal(after[1]))


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 100), st.integers(1, 50_000)), max_size=20))
def test_the_quantity_is_always_the_sum_of_the_fills(fills: list[tuple[Side, int, int]]) -> None:
    position = FLAT
    for side, qty, cents in fills:
        position = apply_fill(position, side, Decimal(qty), Decimal(cents) / 100)
    assert position.qty == sum(side.sign * qty for side, qty, _ in fills)
    assert (position.avg_entry_price > 0) is (position.qty != 0)


def test_a_round_trip_costs_the_spread_and_nothing_else() -> None:
    venue = make_venue()
    open_position(venue, 10)
    place_order(venue, side="sell", time_in_force="fok")
    assert venue.account.cash == Decimal(100_000) - 10 * Decimal("0.02")
    assert venue.account.open_positions() == []


def test_equity_follows_the_quote() -> None:
    venue = make_venue()
    open_position(venue, 10)
    venue.on_quote(make_quote("109.99", "110.01"), NOON_NS)
    assert venue.account.balances().equity == Decimal(100_000) + 10 * (Decimal(110) - Decimal("100.01"))


def test_a_short_position_has_a_negative_value_and_its_proceeds_are_cash() -> None:
    venue = make_venue()
    open_position(venue, -10)
    balances = venue.account.balances()
    assert (balances.short_value, balances.cash) == (Decimal(-1_000), Decimal(100_000) + 10 * Decimal("99.99"))


def test_buying_power_is_twice_the_equity_less_positions_and_open_orders() -> None:
    venue = make_venue()
    open_position(venue, 10)
    place_order(venue, symbol="MSFT", type="limit", limit_price=50, qty=10)
    balances = venue.account.balances()
    assert balances.buying_power == 2 * balances.equity - Decimal(1_000) - Decimal(500)
