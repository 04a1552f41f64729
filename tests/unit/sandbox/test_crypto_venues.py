"""The simulated markets of the crypto venues."""

from components.sandbox.config import ALPACA, VENUES
from components.sandbox.crypto_venues import SIMULATED_MARKETS


def test_every_crypto_venue_has_a_simulated_market_with_instruments() -> None:
    assert {ALPACA, *SIMULATED_MARKETS} == set(VENUES)
    assert all(len(market.instruments) >= 5 for market in SIMULATED_MARKETS.values())
