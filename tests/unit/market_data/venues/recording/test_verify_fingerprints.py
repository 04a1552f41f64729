"""The canonical text of a book is the same in every implementation, and the fingerprint shows temporary errors."""

from hashlib import sha256

import pytest

from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.numerics import InvalidNumber, Levels
from components.market_data.venues.recording.verify import TOP_LEVELS, StateFingerprint, top_fingerprint


def book(bids: Levels, asks: Levels) -> OrderBook:
    depth = OrderBook()
    depth.apply_snapshot(bids, asks)
    return depth


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_the_text_is_compact_with_asks_first_and_best_first() -> None:
    depth = book([("1", "2"), ("3", "4")], [("6", "7"), ("5", "8")])
    assert top_fingerprint(depth) == digest('{"asks":[["5","8"],["6","7"]],"bids":[["3","4"],["1","2"]]}')


def test_an_empty_book_has_a_hash_too() -> None:
    assert top_fingerprint(book([], [])) == digest('{"asks":[],"bids":[]}')


@pytest.mark.parametrize(
    ("price", "quantity", "canonical"),
    [
        ("100.50", "10.000", '["100.5","10"]'),
        ("1e2", "5E-5", '["100","0.00005"]'),
        ("0100", "100", '["100","100"]'),
        ("0.00000001", "12345678901234567890", '["0.00000001","12345678901234567890"]'),
    ],
)
def test_numbers_have_neither_exponents_nor_zeros_at_their_end(price: str, quantity: str, canonical: str) -> None:
    assert top_fingerprint(book([(price, quantity)], [])) == digest(f'{{"asks":[],"bids":[{canonical}]}}')


def test_further_fields_of_a_level_are_ignored() -> None:
    assert top_fingerprint(book([("1", "2", "0", "3")], [])) == top_fingerprint(book([("1", "2")], []))


def test_only_the_best_ten_count() -> None:
    bids = [(str(price), "1") for price in range(1, 30)]
    assert top_fingerprint(book(bids, [])) == top_fingerprint(book(bids[-TOP_LEVELS:], []))
    assert top_fingerprint(book(bids, [])) != top_fingerprint(book(bids[-TOP_LEVELS + 1 :], []))


def test_what_is_no_number_has_no_canonical_text() -> None:
    with pytest.raises(InvalidNumber):
        top_fingerprint(book([("1", "1_0")], []))


def test_a_chain_is_the_hash_of_its_states_line_by_line() -> None:
    chain, states = StateFingerprint(), [digest("a"), digest("b"), digest("c")]
    assert chain.hexdigest() == digest("")
    for state in states:
        chain.add(state)
    assert chain.hexdigest() == digest("\n".join(states))


def test_a_chain_can_be_read_on_its_way() -> None:
    chain = StateFingerprint()
    chain.add("x")
    assert chain.hexdigest() == chain.hexdigest() == digest("x")


def test_a_passing_error_shows_in_the_chain_though_the_end_is_the_same() -> None:
    right, wrong = StateFingerprint(), StateFingerprint()
    for chain, states in ((right, "abd"), (wrong, "acd")):
        for state in states:
            chain.add(digest(state))
    assert right.hexdigest() != wrong.hexdigest()
