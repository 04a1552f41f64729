"""Parsing of the lists of symbols and venues."""

import pytest

from components.contracts.errors import UsageError
from components.sandbox.config import parse_symbols, parse_venues


def test_duplicate_symbols_are_removed() -> None:
    assert parse_symbols("aapl, MSFT,AAPL") == ("AAPL", "MSFT")


@pytest.mark.parametrize("text", ["", "A1", "TOOLONG", ",".join(f"{a}{b}" for a in "ABCDEF" for b in "ABCDEF")])
def test_an_invalid_list_of_symbols_is_rejected(text: str) -> None:
    with pytest.raises(UsageError):
        parse_symbols(text)


def test_duplicate_venues_are_removed_and_the_order_is_kept() -> None:
    assert parse_venues(" okx,Binance,okx ") == ("okx", "binance")


@pytest.mark.parametrize("text", ["", "kraken", "okx,,coinbase"])
def test_unknown_venues_are_rejected(text: str) -> None:
    with pytest.raises(UsageError, match="--venues"):
        parse_venues(text)
