"""Which venues one can ask the sandbox for."""

import pytest

from components.contracts.errors import UsageError
from components.sandbox.config import ALPACA, VENUES, parse_venues
from components.sandbox.crypto_venues import SIMULATED_MARKETS
from components.sandbox.transport.faults import AlpacaFaultKind, CryptoFaultKind


def test_each_venue_is_taken_once_in_the_order_given() -> None:
    assert parse_venues(" okx,Binance,okx ") == ("okx", "binance")


@pytest.mark.parametrize("text", ["", "kraken", "okx,,coinbase"])
def test_venues_that_are_not_here_are_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--venues"):
        parse_venues(text)


def test_every_crypto_venue_can_be_made_and_lists_what_it_is_for() -> None:
    assert {ALPACA, *SIMULATED_MARKETS} == set(VENUES)
    assert all(len(seeded.instruments) >= 5 for seeded in SIMULATED_MARKETS.values())


def test_no_fault_of_the_crypto_venues_is_mistaken_for_one_of_the_stock_venue() -> None:
    assert not set(AlpacaFaultKind) & set(CryptoFaultKind)
