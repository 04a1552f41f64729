"""The canonical text of a book is the one that every implementation writes, and its chain hides no passing error."""

from hashlib import sha256

import pytest

from components.market_data.core.canon import TOP, Chain, hash_top
from components.market_data.core.depth import Depth
from components.market_data.core.levels import BadNumber, Levels


def book(bids: Levels, asks: Levels) -> Depth:
    depth = Depth()
    depth.load(bids, asks)
    return depth


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_the_text_is_compact_with_asks_first_and_best_first() -> None:
    depth = book([("1", "2"), ("3", "4")], [("6", "7"), ("5", "8")])
    assert hash_top(depth) == digest('{"asks":[["5","8"],["6","7"]],"bids":[["3","4"],["1","2"]]}')


def test_an_empty_book_has_a_hash_too() -> None:
    assert hash_top(book([], [])) == digest('{"asks":[],"bids":[]}')


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
    assert hash_top(book([(price, quantity)], [])) == digest(f'{{"asks":[],"bids":[{canonical}]}}')


def test_what_else_a_venue_says_of_a_level_is_left_out() -> None:
    assert hash_top(book([("1", "2", "0", "3")], [])) == hash_top(book([("1", "2")], []))


def test_only_the_best_ten_count() -> None:
    bids = [(str(price), "1") for price in range(1, 30)]
    assert hash_top(book(bids, [])) == hash_top(book(bids[-TOP:], []))
    assert hash_top(book(bids, [])) != hash_top(book(bids[-TOP + 1 :], []))


def test_what_is_no_number_has_no_canonical_text() -> None:
    with pytest.raises(BadNumber):
        hash_top(book([("1", "1_0")], []))


def test_a_chain_is_the_hash_of_its_states_line_by_line() -> None:
    chain, states = Chain(), [digest("a"), digest("b"), digest("c")]
    assert chain.hash() == digest("")
    for state in states:
        chain.add(state)
    assert chain.hash() == digest("\n".join(states))


def test_a_chain_can_be_read_on_its_way() -> None:
    chain = Chain()
    chain.add("x")
    assert chain.hash() == chain.hash() == digest("x")


def test_a_passing_error_shows_in_the_chain_though_the_end_is_the_same() -> None:
    right, wrong = Chain(), Chain()
    for chain, states in ((right, "abd"), (wrong, "acd")):
        for state in states:
            chain.add(digest(state))
    assert right.hash() != wrong.hash()
