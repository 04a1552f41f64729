"""The instrument metadata of the simulated OKX."""

from decimal import Decimal

from components.sandbox.okx.instruments import INSTRUMENTS, encode_instrument


def test_every_instrument_is_encoded_in_texts_with_its_contract_size_in_two_factors() -> None:
    for listing in INSTRUMENTS:
        found = encode_instrument(listing)
        assert all(isinstance(value, str) for value in found.values())
        value = Decimal(found["ctVal"] or 1) * Decimal(found["ctMult"] or 1)
        assert value == listing.contract


def test_an_inverse_contract_is_worth_dollars_and_a_linear_one_coins() -> None:
    found = {one.symbol: encode_instrument(one) for one in INSTRUMENTS}
    assert (found["BTC-USD-SWAP"]["ctType"], found["BTC-USD-SWAP"]["ctValCcy"]) == ("inverse", "USD")
    assert (found["BTC-USDT-SWAP"]["ctType"], found["BTC-USDT-SWAP"]["ctValCcy"]) == ("linear", "BTC")
    assert found["BTC-USDT"]["baseCcy"] == "BTC"
