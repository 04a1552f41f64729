"""A price key represents its price exactly, and the top of a book is never older than the book."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.market_data.core.book.order_book import OrderBook, TopOfBook
from components.market_data.core.numerics import InvalidNumber, PriceKeys

PRICES = st.decimals(min_value=Decimal("1e-12"), max_value=Decimal(10**12), places=12).map("{:f}".format)


@given(PRICES, PRICES)
def test_keys_compare_as_the_prices_do(one: str, other: str) -> None:
    keys = PriceKeys()
    assert (keys[one] < keys[other]) is (Decimal(one) < Decimal(other))
    assert (keys[one] == keys[other]) is (Decimal(one) == Decimal(other))


@pytest.mark.parametrize("spelling", ["7.6110", "7.611", "07.611", "7611e-3", "7.611E0", "0.7611e+1"])
def test_every_spelling_of_a_price_has_one_key(spelling: str) -> None:
    assert PriceKeys()[spelling] == 7611 * 10**17


@pytest.mark.parametrize("text", ["", "0", "0.000", "-1", "+1", "1_0", " 1", "1.", ".5", "nan", "٣", "1e-21", "9" * 21])
def test_an_invalid_price_has_no_key(text: str) -> None:
    with pytest.raises(InvalidNumber):
        _ = PriceKeys()[text]


LEVELS = st.lists(st.tuples(st.integers(1, 30).map(str), st.integers(0, 3).map(str)), max_size=8)


@settings(max_examples=25)
@given(st.lists(st.tuples(LEVELS, LEVELS, st.integers(0, 12)), max_size=12))
def test_the_top_is_that_of_the_book_after_any_updates_and_looks(
    steps: list[tuple[list[tuple[str, str]], list[tuple[str, str]], int]],
) -> None:
    depth = OrderBook()
    plain: tuple[dict[int, str], dict[int, str]] = {}, {}
    for bids, asks, count in steps:
        depth.apply_update(bids, asks)
        for side, changes in zip(plain, (bids, asks), strict=True):
            side.update({int(price): quantity for price, quantity in changes})
        held = [{price: one for price, one in side.items() if one != "0"} for side in plain]
        best = sorted(held[0].items(), reverse=True)[:count], sorted(held[1].items())[:count]
        assert depth.top(count) == tuple([(str(price), one) for price, one in side] for side in best)


@pytest.mark.parametrize("quantity", ["1e100", "1e-100", "nan", "inf", "-1", "9" * 22, "", "x"])
def test_a_quantity_of_nothing_that_can_be_traded_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"float|quantity|number"):
        OrderBook().apply_update([("1", quantity)], [])


@given(st.text(alphabet="0123456789.eE_+- \u0663", max_size=8))
def test_a_book_can_publish_every_quantity_it_accepts(quantity: str) -> None:
    depth = OrderBook()
    try:
        depth.apply_update([("1", quantity)], [])
    except ValueError:
        return
    bids, _ = TopOfBook(1, Decimal("0.1")).refresh(depth)
    assert len(bids) == (Decimal(quantity) != 0)


def test_a_level_whose_quantity_stands_is_not_shown_again() -> None:
    depth, window = OrderBook(), TopOfBook(10, Decimal(1))
    depth.apply_snapshot([("2", "5", "0", "1")], [])
    window.refresh(depth)
    depth.apply_update([("2", "5", "0", "2")], [])
    assert window.diff(depth) == ((), ())


def test_a_price_with_a_new_spelling_is_removed_before_it_is_added() -> None:
    depth, window = OrderBook(), TopOfBook(10, Decimal(1))
    depth.apply_snapshot([("2.50", "5")], [])
    window.refresh(depth)
    depth.apply_update([("2.5", "6")], [])
    assert window.diff(depth) == (((Decimal("2.5"), Decimal(0)), (Decimal("2.5"), Decimal(6))), ())
