"""Formatting of decimals."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from components.sandbox.numerics import format_decimal


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_a_formatted_decimal_has_no_exponent_and_no_trailing_zeros_and_parses_back(value: Decimal) -> None:
    text = format_decimal(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))
