"""The state of one symbol after each quote, timeout and feed failure."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.quotes import (
    QuoteState,
    RejectReason,
    apply_quote,
    initial_quote_state,
    is_valid_trade,
    mark_stale_if_old,
    mark_untrusted,
)

GOOD = Quote(
    Venue("alpaca"), Symbol("AAPL"), Decimal("189.99"), Decimal(200), Decimal("190.01"), Decimal(300), 1_000, 2_000
)
PRINT = Trade(Venue("alpaca"), Symbol("AAPL"), Decimal(190), Decimal(100), 1_000, 2_000)
MS = 1_000_000


def taken(book: QuoteState, quote: Quote) -> QuoteState:
    after = apply_quote(book, quote)
    assert isinstance(after, QuoteState)
    return after


def test_nothing_is_trusted_before_the_first_quote() -> None:
    assert initial_quote_state(5) == QuoteState(BookState.SYNCING, "no quote yet", 5)


def test_the_first_good_quote_makes_a_book_synced() -> None:
    book = taken(initial_quote_state(0), GOOD)
    assert (book.state, book.quote, book.since_ns) == (BookState.SYNCED, GOOD, 2_000)


def test_a_state_is_dated_from_when_it_began() -> None:
    book = taken(taken(initial_quote_state(0), GOOD), replace(GOOD, received_at_ns=9_000))
    assert book.since_ns == 2_000


@pytest.mark.parametrize("bid_price", [Decimal("190.01"), Decimal("190.02")])
def test_a_bid_at_or_above_the_ask_is_a_crossed_book(bid_price: Decimal) -> None:
    book = taken(taken(initial_quote_state(0), GOOD), replace(GOOD, bid_price=bid_price))
    assert (book.state, book.reason) == (BookState.CROSSED, f"bid {bid_price} >= ask 190.01")


def test_a_crossed_book_is_synced_again_by_the_next_good_quote() -> None:
    crossed = taken(initial_quote_state(0), replace(GOOD, bid_price=Decimal(200)))
    assert taken(crossed, GOOD).state is BookState.SYNCED


@pytest.mark.parametrize("field", ["bid_price", "bid_size", "ask_price", "ask_size"])
def test_an_absent_side_is_shown_but_not_trusted(field: str) -> None:
    one_sided = replace(GOOD, **{field: Decimal(0)})
    book = taken(taken(initial_quote_state(0), GOOD), one_sided)
    assert (book.state, book.quote) == (BookState.SYNCING, one_sided)


@pytest.mark.parametrize("field", ["bid_price", "bid_size", "ask_price", "ask_size"])
@pytest.mark.parametrize("number", ["-1", "-0.01", "1e-10", "1e13", "1e400", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_number_that_cannot_be_is_left_out(field: str, number: str) -> None:
    assert apply_quote(initial_quote_state(0), replace(GOOD, **{field: Decimal(number)})) is RejectReason.OUT_OF_RANGE


def test_a_quote_from_before_the_last_one_is_left_out() -> None:
    book = taken(initial_quote_state(0), GOOD)
    assert apply_quote(book, replace(GOOD, venue_at_ns=999)) is RejectReason.OUT_OF_ORDER
    assert isinstance(apply_quote(book, GOOD), QuoteState)


def test_a_failed_feed_ends_trust_and_the_next_quote_may_carry_any_time() -> None:
    book = mark_untrusted(taken(initial_quote_state(0), GOOD), BookState.GAP, "connection ended", 3_000)
    assert (book.state, book.reason, book.since_ns, book.quote) == (BookState.GAP, "connection ended", 3_000, GOOD)
    assert taken(book, replace(GOOD, venue_at_ns=1)).state is BookState.SYNCED


def test_a_book_is_stale_only_past_the_bound() -> None:
    book = taken(initial_quote_state(0), GOOD)
    assert mark_stale_if_old(book, now_ns=2_000 + 5 * MS, age_ns_max=5 * MS) is book
    stale = mark_stale_if_old(book, now_ns=2_001 + 5 * MS, age_ns_max=5 * MS)
    assert (stale.state, stale.reason) == (BookState.STALE, "no quote for 5 ms")


@pytest.mark.parametrize("state", [BookState.SYNCING, BookState.GAP, BookState.STALE, BookState.CROSSED])
def test_only_a_trusted_book_grows_stale(state: BookState) -> None:
    book = mark_untrusted(taken(initial_quote_state(0), GOOD), state, "as it was", 3_000)
    assert mark_stale_if_old(book, now_ns=10**18, age_ns_max=1) is book


@pytest.mark.parametrize(
    ("price", "size", "is_valid"),
    [
        ("190", "100", True),
        ("0", "100", False),
        ("190", "0", False),
        ("NaN", "1", False),
    ],
)
def test_a_trade_needs_a_price_and_a_size(price: str, size: str, *, is_valid: bool) -> None:
    assert is_valid_trade(replace(PRINT, price=Decimal(price), size=Decimal(size))) is is_valid


NUMBERS = st.decimals(min_value=-2, max_value=2, places=2)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 3)), max_size=30))
def test_a_synced_book_always_stands_on_two_sides_that_do_not_cross(rows: list[tuple[Decimal, ...]]) -> None:
    book = initial_quote_state(0)
    for bid_price, bid_size, ask_price, ask_size, at in rows:
        quote = Quote(Venue("v"), Symbol("S"), bid_price, bid_size, ask_price, ask_size, int(at), 0)
        after = apply_quote(book, quote)
        book = after if isinstance(after, QuoteState) else book
        if book.state is BookState.SYNCED:
            assert book.quote is not None
            assert book.quote.is_two_sided
            assert min(book.quote.bid_size, book.quote.ask_size) > 0
