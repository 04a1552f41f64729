"""Unified symbols are built from the venue's own names and found by exact names, in both directions."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from components.contracts.errors import UsageError
from components.contracts.values import Symbol, Venue
from components.market_data.core.instruments import Instrument, InstrumentRegistry, InstrumentType, unified_symbol

VENUE = Venue("TEST")
CENT = Decimal("0.01")
SPOT = Instrument(
    venue=VENUE,
    symbol=Symbol("TEST:BTC-USDT"),
    venue_symbol="BTCUSDT",
    instrument_type=InstrumentType.SPOT,
    base="BTC",
    quote="USDT",
    settle="USDT",
    tick=CENT,
    lot=CENT,
)
INVERSE = replace(
    SPOT,
    symbol=Symbol("TEST:BTC-USD-PERP"),
    venue_symbol="BTC-USD-SWAP",
    is_inverse=True,
    contract_multiplier=Decimal(100),
)


@pytest.mark.parametrize(
    ("parts", "symbol"),
    [
        (("BTC", "USDT"), "TEST:BTC-USDT"),
        (("1000SHIB", "USDT", "PERP"), "TEST:1000SHIB-USDT-PERP"),
        (("btc", "usd", "261225"), "TEST:BTC-USD-261225"),
        (("XRP", "USDC", "261225", "0.5", "C"), "TEST:XRP-USDC-261225-0.5-C"),
    ],
)
def test_the_parts_of_a_symbol_are_the_venues_own_words(parts: tuple[str, ...], symbol: str) -> None:
    assert unified_symbol(VENUE, *parts) == symbol


def test_an_instrument_is_found_by_either_name_and_only_by_all_of_it() -> None:
    registry = InstrumentRegistry([SPOT, INVERSE])
    assert (registry.by_venue_symbol["BTCUSDT"], registry.by_symbol[SPOT.symbol]) == (SPOT, SPOT)
    assert (len(registry), list(registry)) == (2, [SPOT, INVERSE])
    for near in ("btcusdt", "BTCUSD", "BTCUSDT "):
        assert near not in registry.by_venue_symbol


def test_a_symbol_that_is_not_listed_is_refused_with_what_is_near() -> None:
    registry = InstrumentRegistry([SPOT, INVERSE])
    assert registry.require(INVERSE.symbol) is INVERSE
    with pytest.raises(UsageError, match=r"TEST:BTC-EUR: no such instrument; there is TEST:BTC-USDT, TEST:BTC-USD"):
        registry.require(Symbol("TEST:BTC-EUR"))
    with pytest.raises(UsageError, match="there is TEST:BTC-USDT"):
        registry.require(Symbol("TEST:DOGE-EUR"))
    with pytest.raises(UsageError, match="none at all"):
        InstrumentRegistry([]).require(SPOT.symbol)


def test_quantities_are_turned_into_coins_once() -> None:
    assert SPOT.quantity(Decimal(3)) == SPOT.base_quantity(Decimal(3), Decimal(50)) == 3
    assert INVERSE.quantity(Decimal(3)) == 300
    assert INVERSE.base_quantity(Decimal(3), Decimal(60_000)) == Decimal("0.005")
