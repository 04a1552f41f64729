"""Positions and money after fills."""

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
    made = make_venue()
    open_position(made, 10)
    place_order(made, side="sell", time_in_force="fok")
    assert made.account.cash == Decimal(100_000) - 10 * Decimal("0.02")
    assert made.account.open_positions() == []


def test_equity_follows_the_quote() -> None:
    made = make_venue()
    open_position(made, 10)
    made.on_quote(make_quote("109.99", "110.01"), NOON_NS)
    assert made.account.balances().equity == Decimal(100_000) + 10 * (Decimal(110) - Decimal("100.01"))


def test_a_short_position_is_worth_less_than_nothing_and_its_cash_is_there() -> None:
    made = make_venue()
    open_position(made, -10)
    money = made.account.balances()
    assert (money.short_value, money.cash) == (Decimal(-1_000), Decimal(100_000) + 10 * Decimal("99.99"))


def test_buying_power_is_twice_the_equity_less_what_is_held_and_ordered() -> None:
    made = make_venue()
    open_position(made, 10)
    place_order(made, symbol="MSFT", type="limit", limit_price=50, qty=10)
    money = made.account.balances()
    assert money.buying_power == 2 * money.equity - Decimal(1_000) - Decimal(500)
