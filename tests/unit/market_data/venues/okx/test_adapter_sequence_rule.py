"""The sequence rule and the checksum of OKX."""

import pytest

from components.contracts.values import Symbol
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.book.sequencing import SequenceOutcome
from components.market_data.core.events import NO_ID, DepthUpdate
from components.market_data.core.numerics import Level
from components.market_data.venues.okx.adapter import OkxSequenceRule, book_checksum

NEXT, STALE, GAP = SequenceOutcome.NEXT, SequenceOutcome.STALE, SequenceOutcome.GAP


RULE = OkxSequenceRule()


def place(previous: int, final: int, current: int, *, is_joining: bool = False) -> SequenceOutcome:
    change = DepthUpdate(Symbol("OKX:BTC-USDT"), previous, final, (), (), 0, 0)
    return RULE.classify(change, current, is_joining=is_joining)


@pytest.mark.parametrize(
    ("previous", "final", "current", "placement"),
    [
        (10, 15, 10, NEXT),
        (15, 15, 15, NEXT),  # a keep-alive
        (15, 3, 15, NEXT),  # ids restart after maintenance
        (3, 5, 3, NEXT),
        (10, 15, 15, STALE),
        (9, 15, 12, GAP),  # ranges overlap only at a join
        (16, 20, 15, GAP),
        (-1, 20, 15, GAP),
        (14, 14, 15, STALE),
        (16, 16, 15, GAP),
        (16, 3, 15, GAP),  # ids restarted, and the update before that was not received
    ],
)
def test_an_update_chains_to_the_one_before(
    previous: int, final: int, current: int, placement: SequenceOutcome
) -> None:
    assert place(previous, final, current) is placement


@pytest.mark.parametrize(
    ("previous", "final", "current", "placement"),
    [
        (10, 15, 12, NEXT),
        (12, 15, 12, NEXT),
        (12, 12, 12, NEXT),
        (12, 3, 12, NEXT),
        (10, 12, 12, STALE),
        (13, 15, 12, GAP),
    ],
)
def test_at_the_join_an_update_may_span_the_snapshot_id(
    previous: int, final: int, current: int, placement: SequenceOutcome
) -> None:
    assert place(previous, final, current, is_joining=True) is placement


def test_a_book_that_was_never_numbered_goes_on_without_numbers() -> None:
    assert place(NO_ID, NO_ID, NO_ID) is NEXT
    assert place(NO_ID, NO_ID, NO_ID, is_joining=True) is NEXT


@pytest.mark.parametrize("is_joining", [False, True])
def test_numbers_that_stop_or_begin_in_mid_book_are_a_gap(is_joining: bool) -> None:
    assert place(NO_ID, NO_ID, 10, is_joining=is_joining) is GAP
    assert place(10, 15, NO_ID, is_joining=is_joining) is GAP


@pytest.mark.parametrize(
    ("bids", "asks", "checksum"),
    [
        ([("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")], -1881014294),
        ([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")], 831078360),
        ([], [], 0),
    ],
)
def test_the_checksum_is_the_venues(bids: list[Level], asks: list[Level], checksum: int) -> None:
    assert book_checksum(bids, asks) == checksum
    book = OrderBook()
    book.apply_snapshot(bids, asks)
    assert RULE.checksum_matches(book, checksum)
    assert not RULE.checksum_matches(book, checksum + 1)


def test_the_checksum_is_over_the_texts_as_they_came() -> None:
    assert book_checksum([("1.0", "0.0000001")], []) != book_checksum([("1", "0.0000001")], [])
    assert book_checksum([("1", "1E-7")], []) != book_checksum([("1", "0.0000001")], [])


def test_only_the_best_25_levels_are_in_the_checksum() -> None:
    asks = [(str(100 + number), "1") for number in range(30)]
    bids = [(str(99 - number), "1") for number in range(30)]
    deep, shallow = OrderBook(), OrderBook()
    deep.apply_snapshot(bids, asks)
    shallow.apply_snapshot(bids[:25], asks[:25])
    assert RULE.checksum_matches(deep, book_checksum(bids[:25], asks[:25]))
    assert RULE.checksum_matches(shallow, book_checksum(bids[:25], asks[:25]))


def test_one_level_more_or_less_on_one_side_is_another_checksum() -> None:
    bids, asks = [("9", "1"), ("8", "1")], [("10", "1"), ("11", "1"), ("12", "1")]
    assert len({book_checksum(bids, asks), book_checksum(bids[:1], asks), book_checksum(bids, asks[:2])}) == 3
