"""The instrument metadata of the simulated Deribit, and the filter by currency and kind."""

import json
from decimal import Decimal

import msgspec

from components.sandbox.deribit.instruments import INSTRUMENTS, encode_instrument, matches


def test_every_instrument_is_encoded_in_json_numbers() -> None:
    for place, listing in enumerate(INSTRUMENTS):
        found = json.loads(msgspec.json.encode(encode_instrument(listing, place)))
        assert isinstance(found["tick_size"], float)
        assert Decimal(str(found["contract_size"])) == listing.contract


def test_the_smallest_tick_has_an_exponent() -> None:
    doge = next(one for one in INSTRUMENTS if one.symbol == "DOGE_USDC-PERPETUAL")
    assert b'"tick_size":1e-05' in msgspec.json.encode(encode_instrument(doge, 0))


def test_an_option_is_finer_when_it_is_cheap() -> None:
    option = next(one for one in INSTRUMENTS if one.option_type)
    found = json.loads(msgspec.json.encode(encode_instrument(option, 0)))
    assert found["tick_size"] == 0.0001
    assert found["tick_size_steps"] == [{"above_price": 0.005, "tick_size": 0.0005}]


def test_instruments_are_found_by_what_they_settle_in_and_spot_by_either_coin() -> None:
    def found(currency: str, kind: str | None = None) -> set[str]:
        return {one.symbol for one in INSTRUMENTS if matches(one, currency, kind)}

    assert found("BTC", "option") == {"BTC-25DEC26-80000-P"}
    assert found("BTC", "spot") == found("USDC", "spot") == {"BTC_USDC"}
    assert found("ETH") == {"ETH-PERPETUAL"}
    assert found("USDC", "future") == {"DOGE_USDC-PERPETUAL"}
    assert found("any") == {one.symbol for one in INSTRUMENTS}
