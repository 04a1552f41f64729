"""OKX's metadata becomes instruments: both names, and contract sizes."""

from decimal import Decimal

import pytest

from components.contracts.errors import UsageError
from components.contracts.values import Symbol
from components.market_data.core.instruments import Instrument, InstrumentRegistry, InstrumentType
from components.market_data.venues.okx.instruments import decode_instruments
from tests.support.okx_frames import (
    FUTURE,
    INVERSE,
    LINEAR,
    OPTION,
    ROWS,
    SPOT,
    USD_MARGINED,
    okx_adapter,
    rest_response,
)

NAMES = {
    "BTC-USDT": "OKX:BTC-USDT",
    "BTC-USDT-SWAP": "OKX:BTC-USDT-PERP",
    "BTC-USD-SWAP": "OKX:BTC-USD-PERP",
    "BTC-USD-261225": "OKX:BTC-USD-261225",
    "BTC-USD-261225-80000-P": "OKX:BTC-USD-261225-80000-P",
    "BTC-USD_UM-SWAP": "OKX:BTC-USD_UM-PERP",
}


def read(row: object) -> Instrument:
    [one] = decode_instruments([rest_response([row])])
    return one


@pytest.mark.parametrize(("native", "symbol"), NAMES.items())
def test_every_name_is_found_both_ways(native: str, symbol: str) -> None:
    registry = InstrumentRegistry(decode_instruments([rest_response(ROWS)]))
    assert len(registry) == len(NAMES)
    assert registry.by_venue_symbol[native].symbol == symbol
    assert registry.require(Symbol(symbol)).venue_symbol == native


@pytest.mark.parametrize(
    ("row", "unit", "is_inverse"),
    [
        (SPOT, "1", False),
        (LINEAR, "0.01", False),
        ({**LINEAR, "instFamily": "ETH-USDT", "ctValCcy": "ETH", "ctVal": "0.1"}, "0.1", False),
        (INVERSE, "100", True),
        ({**INVERSE, "instFamily": "UNI-USD", "ctVal": "10"}, "10", True),
        ({**INVERSE, "ctMult": ""}, "100", True),
        (FUTURE, "100", True),
        (OPTION, "0.01", False),
        (USD_MARGINED, "0.01", False),
    ],
)
def test_a_contract_is_worth_its_value_times_its_multiplier(row: object, unit: str, is_inverse: bool) -> None:
    one = read(row)
    assert (one.contract_multiplier, one.is_inverse) == (Decimal(unit), is_inverse)


def test_an_inverse_quantity_is_dollars_and_its_base_is_found_by_the_price() -> None:
    uni = read({**INVERSE, "instId": "UNI-USD-SWAP", "instFamily": "UNI-USD", "ctVal": "10"})
    assert uni.quantity(Decimal(20)) == Decimal(200)
    assert round(uni.base_quantity(Decimal(20), Decimal("5.137")), 12) == Decimal("38.933229511388")


def test_a_linear_quantity_is_coins() -> None:
    assert read(LINEAR).base_quantity(Decimal("2.5"), Decimal(90_000)) == Decimal("0.025")


def test_old_metadata_without_families_is_read_by_its_underlying() -> None:
    old = {name: text for name, text in INVERSE.items() if name != "instFamily"}
    assert read(old).symbol == "OKX:BTC-USD-PERP"


def test_an_option_carries_its_strike_and_its_end() -> None:
    option = read({**OPTION, "optType": "C"})
    assert (option.instrument_type, option.strike, option.is_call) == (InstrumentType.OPTION, Decimal(80_000), True)
    assert option.symbol == "OKX:BTC-USD-261225-80000-C"
    assert option.expires_at_ns == 1_798_185_600_000_000_000


@pytest.mark.parametrize(("state", "is_trading", "may_cross"), [("live", True, False), ("preopen", False, True)])
def test_only_an_auction_may_cross(state: str, is_trading: bool, may_cross: bool) -> None:
    one = read({**SPOT, "state": state})
    assert (one.is_trading, one.may_cross) == (is_trading, may_cross)


@pytest.mark.parametrize(
    "wrong",
    [
        {**SPOT, "baseCcy": ""},
        {**SPOT, "instType": "MARGIN"},
        {**SPOT, "tickSz": "0"},
        {**SPOT, "tickSz": "NaN"},
        {**SPOT, "lotSz": "-1"},
        {**SPOT, "tickSz": 0.1},
        {**LINEAR, "ctVal": ""},
        {**LINEAR, "ctVal": "0"},
        {**LINEAR, "ctType": "inverse"},
        {**LINEAR, "ctValCcy": "EUR"},
        {**LINEAR, "instFamily": "", "uly": ""},
        {**FUTURE, "expTime": ""},
        {**FUTURE, "expTime": "9" * 30},
        {**OPTION, "stk": ""},
        {**OPTION, "optType": ""},
        {"instId": "BTC-USDT"},
        [],
        None,
    ],
)
def test_an_ambiguous_row_is_skipped_alone(wrong: object) -> None:
    assert [one.venue_symbol for one in decode_instruments([rest_response([wrong, SPOT])])] == ["BTC-USDT"]


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000, b'{"code":"0","data":7}', b'{"code":"50011"}'])
def test_an_invalid_response_lists_nothing(body: bytes) -> None:
    assert decode_instruments([body]) == []


def test_options_are_requested_by_family() -> None:
    okx = okx_adapter(inst_types=("SPOT", "OPTION"), option_families=("BTC-USD", "ETH-USD"))
    assert [ask.path for ask in okx.instrument_requests()] == [
        "/api/v5/public/instruments?instType=SPOT",
        "/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD",
        "/api/v5/public/instruments?instType=OPTION&instFamily=ETH-USD",
    ]


def test_an_unlisted_symbol_is_rejected_with_similar_ones() -> None:
    with pytest.raises(UsageError, match="OKX:BTC-USDT"):
        okx_adapter().plan_connections([Symbol("OKX:BTC-EUR")])
