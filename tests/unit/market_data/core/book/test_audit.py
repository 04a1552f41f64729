"""An audit compares a book with a snapshot only where both have the same id, and only the levels known to both."""

import pytest

from components.contracts.values import Symbol
from components.market_data.core.book.audit import LEVELS_COMPARED, STATES_MAX, Audit, Verdict
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.events import NO_ID, DepthSnapshot
from components.market_data.core.numerics import Levels

NAME = Symbol("TEST:A-B")


def side(start: int, step: int, count: int = 30, quantity: str = "1") -> list[tuple[str, ...]]:
    return [(str(start + step * place), quantity) for place in range(count)]


BIDS, ASKS = side(999, -1), side(1_001, 1)


def book(bids: Levels = BIDS, asks: Levels = ASKS, depth_max: int = 0) -> OrderBook:
    depth = OrderBook()
    depth.apply_snapshot(bids, asks, depth_max=depth_max)
    return depth


def snapshot(final: int, bids: Levels = BIDS, asks: Levels = ASKS, depth_max: int = 0) -> DepthSnapshot:
    return DepthSnapshot(NAME, final, bids, asks, 0, 0, is_pushed=False, depth_max=depth_max)


def test_the_same_book_agrees_in_any_spelling() -> None:
    spelled = [(f"{price}.00", "1.000") for price, _ in BIDS]
    assert Audit(5, book()).apply_snapshot(snapshot(5, bids=spelled), 5) is Verdict.AGREES


@pytest.mark.parametrize("place", [0, LEVELS_COMPARED - 1])
def test_one_other_quantity_in_the_best_twenty_differs(place: int) -> None:
    other = [(price, "2" if number == place else quantity) for number, (price, quantity) in enumerate(ASKS)]
    assert Audit(5, book()).apply_snapshot(snapshot(5, asks=other), 5) is Verdict.DIFFERS


def test_a_level_that_is_missing_or_too_much_differs() -> None:
    assert Audit(5, book()).apply_snapshot(snapshot(5, bids=BIDS[1:]), 5) is Verdict.DIFFERS
    assert Audit(5, book(bids=BIDS[:3])).apply_snapshot(snapshot(5), 5) is Verdict.DIFFERS


def test_levels_below_the_best_twenty_are_not_compared() -> None:
    other = [*BIDS[:LEVELS_COMPARED], ("1", "1")]
    assert Audit(5, book()).apply_snapshot(snapshot(5, bids=other), 5) is Verdict.AGREES


def test_a_snapshot_is_compared_with_the_state_at_its_own_id() -> None:
    depth = book()
    audit = Audit(5, depth)
    depth.apply_update([("999", "7")], [])
    assert audit.add_state(6, depth) is None
    assert audit.apply_snapshot(snapshot(5), 6) is Verdict.AGREES


def test_a_snapshot_ahead_waits_for_the_book() -> None:
    depth = book()
    audit = Audit(5, depth)
    assert audit.apply_snapshot(snapshot(7), 5) is None
    assert audit.add_state(6, depth) is None
    assert audit.add_state(7, depth) is Verdict.AGREES


def test_a_snapshot_within_an_update_is_never_compared() -> None:
    depth = book()
    audit = Audit(5, depth)
    assert audit.apply_snapshot(snapshot(7), 5) is None
    assert audit.add_state(9, depth) is Verdict.UNDECIDED


def test_a_snapshot_from_before_the_audit_is_not_compared() -> None:
    assert Audit(5, book()).apply_snapshot(snapshot(4), 5) is Verdict.UNDECIDED


def test_a_book_without_ids_is_not_compared() -> None:
    assert Audit(NO_ID, book()).apply_snapshot(snapshot(NO_ID, bids=()), NO_ID) is Verdict.UNDECIDED


def test_no_more_states_are_kept_than_the_bound() -> None:
    depth = book()
    audit = Audit(0, depth)
    assert [audit.add_state(final, depth) for final in range(1, STATES_MAX)] == [None] * (STATES_MAX - 1)
    assert audit.add_state(STATES_MAX, depth) is Verdict.UNDECIDED


def test_a_truncated_snapshot_shows_nothing_about_deeper_levels() -> None:
    short = snapshot(5, bids=BIDS[:5], asks=ASKS[:5], depth_max=5)
    assert Audit(5, book()).apply_snapshot(short, 5) is Verdict.AGREES
    wrong = snapshot(5, bids=[*BIDS[:4], ("995", "9")], asks=ASKS[:5], depth_max=5)
    assert Audit(5, book()).apply_snapshot(wrong, 5) is Verdict.DIFFERS


def test_a_book_that_started_with_a_truncated_snapshot_is_compared_to_its_known_depth() -> None:
    depth = book(bids=BIDS[:5], asks=ASKS[:5], depth_max=5)
    # One level far below the snapshot is updated; the levels between are unknown.
    depth.apply_update([("980", "1")], [("1020", "1")])
    assert Audit(5, depth).apply_snapshot(snapshot(5), 5) is Verdict.AGREES
    depth.apply_update([("996", "0")], [])
    assert Audit(6, depth).apply_snapshot(snapshot(6), 6) is Verdict.DIFFERS


@pytest.mark.parametrize("quantity", ["abc", "1_0", "-1", "NaN"])
def test_an_invalid_snapshot_decides_nothing(quantity: str) -> None:
    assert Audit(5, book()).apply_snapshot(snapshot(5, bids=[("999", quantity)]), 5) is Verdict.UNDECIDED
