"""A price key represents its price exactly, and the top of a book is never older than the book."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
