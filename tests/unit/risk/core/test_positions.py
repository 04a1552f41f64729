"""Money is counted exactly: average cost, realised and unrealised P&L."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.values import ZERO, Side
from components.risk.core.positions import Exposure, apply_fill, exact_sum, unrealised_pnl, with_opening_position
from tests.support.risk_harness import AAPL

Fills = list[tuple[str, str]]
GOLDEN: dict[str, tuple[Fills, tuple[str, str, str]]] = {
    "a first buy": ([("10", "100")], ("10", "100", "0")),
    "two buys average": ([("10", "100"), ("30", "110")], ("40", "107.5", "0")),
    "a part is sold": ([("10", "100"), ("-4", "110")], ("6", "100", "40")),
    "all is sold": ([("10", "100"), ("-10", "99.5")], ("0", "0", "-5")),
    "long flips to short": ([("10", "100"), ("-15", "110")], ("-5", "110", "100")),
    "short is bought back": ([("-10", "100"), ("10", "90")], ("0", "0", "100")),
    "short grows": ([("-10", "100"), ("-10", "90")], ("-20", "95", "0")),
    "short flips to long": ([("-10", "100"), ("12", "101")], ("2", "101", "-10")),
    "thirds do not divide": ([("3", "100"), ("-1", "101"), ("-1", "101"), ("-1", "101")], ("0", "0", "3")),
    "sevenths neither": ([("7", "1"), ("3", "1.1"), ("-10", "1.05")], ("0", "0", "0.2")),
    "fractions of a share": ([("0.000000001", "190.01"), ("-0.000000001", "190.02")], ("0", "0", "0.00000000001")),
}


def after(fills: Fills) -> Exposure:
    exposure = Exposure(AAPL)
    for signed, price in fills:
        quantity = Decimal(signed)
        exposure = apply_fill(exposure, Side.BUY if quantity > 0 else Side.SELL, abs(quantity), Decimal(price))
    return exposure


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_cases(name: str) -> None:
    fills, (quantity, average, realised) = GOLDEN[name]
    found = after(fills)
    assert (found.quantity, found.average_price, found.realised) == tuple(map(Decimal, (quantity, average, realised)))


numbers = st.decimals(min_value="0.000000001", max_value="1000000", places=9)
prices = st.decimals(min_value="0.0001", max_value="100000", places=4)
steps = st.lists(st.tuples(st.sampled_from(Side), numbers, prices), max_size=30)


@given(steps)
def test_money_is_conserved_to_the_last_digit(fills: list[tuple[Side, Decimal, Decimal]]) -> None:
    exposure, paid = Exposure(AAPL), ZERO
    for side, quantity, price in fills:
        exposure = apply_fill(exposure, side, quantity, price)
        paid = exact_sum([paid, exact_sum([side.sign * quantity * price])])
    assert exact_sum([exposure.cost, -exposure.realised]) == paid


@given(steps, prices)
def test_flat_again_nothing_is_left_over(fills: list[tuple[Side, Decimal, Decimal]], price: Decimal) -> None:
    exposure = after([])
    for side, quantity, at in fills:
        exposure = apply_fill(exposure, side, quantity, at)
    if exposure.quantity:
        exposure = apply_fill(exposure, Side.SELL if exposure.quantity > 0 else Side.BUY, abs(exposure.quantity), price)
    assert {exposure.quantity, exposure.cost, exposure.average_price} == {ZERO}


@given(steps, prices)
def test_closing_realises_the_unrealised_pnl(fills: list[tuple[Side, Decimal, Decimal]], price: Decimal) -> None:
    exposure = Exposure(AAPL)
    for side, quantity, at in fills:
        exposure = apply_fill(exposure, side, quantity, at)
    marked = unrealised_pnl(exposure, price)
    if exposure.quantity:
        side = Side.SELL if exposure.quantity > 0 else Side.BUY
        closed = apply_fill(exposure, side, abs(exposure.quantity), price)
        assert closed.realised == exact_sum([exposure.realised, marked])


def test_an_opening_position_is_valued_at_the_venues_price() -> None:
    found = with_opening_position(Exposure(AAPL), Decimal(-5), Decimal("90.10"))
    assert (found.quantity, found.average_price, found.realised) == (Decimal(-5), Decimal("90.1"), ZERO)


def test_without_a_price_a_position_is_valued_at_cost() -> None:
    assert unrealised_pnl(after([("10", "100")]), None) == ZERO


def test_the_same_amount_is_always_the_same_text() -> None:
    assert str(after([("100", "1.10"), ("-100", "3.10")]).realised) == "200"
