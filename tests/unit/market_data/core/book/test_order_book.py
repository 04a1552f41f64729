"""The published top of a book: levels in our units, then only the changes, from which a replica is rebuilt exactly."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.market_data.core.book.order_book import REMOVED, OrderBook, PublishedLevels, TopOfBook
from components.market_data.core.numerics import Level
from tests.support.order_book_harness import ASKS, BIDS, levels

ONE = Decimal(1)


def book(bids: tuple[Level, ...] = BIDS, asks: tuple[Level, ...] = ASKS) -> OrderBook:
    depth = OrderBook()
    depth.apply_snapshot(bids, asks)
    return depth


def test_it_shows_the_best_levels_best_first() -> None:
    assert TopOfBook(2, ONE).refresh(book()) == (levels("99x1", "98x1"), levels("101x1", "102x1"))


def test_a_book_smaller_than_the_window_is_shown_whole() -> None:
    assert TopOfBook(10, ONE).refresh(book(bids=(), asks=(("101", "1"),))) == ((), levels("101x1"))


def test_quantities_are_in_our_unit_and_prices_are_not() -> None:
    window, depth = TopOfBook(2, Decimal("0.01")), book()
    assert window.refresh(depth)[0] == levels("99x0.01", "98x0.01")
    depth.apply_update([("99", "250")], [])
    assert window.diff(depth) == (levels("99x2.5"), ())


def test_unchanged_levels_are_not_published_again() -> None:
    window, depth = TopOfBook(2, ONE), book()
    window.refresh(depth)
    assert window.diff(depth) == ((), ())
    depth.apply_update([("99", "1")], [("103", "7")])
    assert window.diff(depth) == ((), ())


def test_a_level_that_leaves_makes_room_for_the_next() -> None:
    window, depth = TopOfBook(2, ONE), book()
    window.refresh(depth)
    depth.apply_update([("99", "0")], [])
    assert window.diff(depth) == (((Decimal(99), REMOVED), (Decimal(97), ONE)), ())


def test_a_level_that_is_pushed_out_is_removed() -> None:
    window, depth = TopOfBook(2, ONE), book()
    window.refresh(depth)
    depth.apply_update([], [("100", "5")])
    assert window.diff(depth) == ((), ((Decimal(102), REMOVED), (Decimal(100), Decimal(5))))


def test_the_last_published_top_stays_available_while_the_book_changes() -> None:
    window, depth = TopOfBook(2, ONE), book()
    window.refresh(depth)
    depth.apply_update([("99", "9")], [])
    assert window.current() == (levels("99x1", "98x1"), levels("101x1", "102x1"))
    window.diff(depth)
    assert window.current()[0] == levels("99x9", "98x1")


def follow(side: dict[Decimal, Decimal], changed: PublishedLevels) -> None:
    for price, quantity in changed:
        if quantity == REMOVED:
            del side[price]
        else:
            side[price] = quantity


SPELLINGS = st.tuples(st.integers(1, 12), st.sampled_from(["", ".0", ".00"])).map(lambda one: f"{one[0]}{one[1]}")
CHANGES = st.lists(st.tuples(SPELLINGS, st.sampled_from(["0", "0.0", "1", "1.0", "2"])), max_size=6)


@settings(max_examples=40)
@given(st.lists(st.tuples(CHANGES, CHANGES), max_size=15), st.integers(1, 8))
def test_applied_diffs_always_equal_a_new_snapshot(
    steps: list[tuple[list[tuple[str, str]], list[tuple[str, str]]]], count: int
) -> None:
    window, depth = TopOfBook(count, ONE), book()
    bids, asks = map(dict, window.refresh(depth))
    for touched in steps:
        depth.apply_update(*touched)
        for side, changed in zip((bids, asks), window.diff(depth), strict=True):
            follow(side, changed)
        fresh = TopOfBook(count, ONE).refresh(depth)
        assert (bids, asks) == tuple(map(dict, fresh))
        assert window.current() == fresh


LEVELS = st.lists(st.tuples(st.integers(1, 30).map(str), st.integers(0, 3).map(str)), max_size=8)


@settings(max_examples=25)
@given(st.lists(st.tuples(LEVELS, LEVELS, st.integers(0, 12)), max_size=12))
def test_the_top_is_that_of_the_book_after_any_updates_and_reads(
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
def test_a_quantity_that_cannot_be_traded_is_rejected(quantity: str) -> None:
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


def test_an_unchanged_quantity_is_not_published_again() -> None:
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
