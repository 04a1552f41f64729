"""Deribit's metadata becomes instruments: both names, contract units, increments, and old rows."""

import json
from decimal import Decimal

import pytest

from components.contracts.errors import ProtocolError
from components.contracts.values import Symbol
from components.market_data.core.instruments import Instrument, InstrumentRegistry, InstrumentType, TickBand
from components.market_data.venues.deribit.adapter import DeribitAdapter
from components.market_data.venues.deribit.requests import DeribitSettings

CHRISTMAS_MS = 1_798_185_600_000  # 25 December 2026, 08:00 UTC


FIFTH_OF_JUNE_MS = 1_780_646_400_000  # 5 June 2026, 08:00 UTC


FOREVER_MS = 32_503_708_800_000


def row(name: str, **facts: object) -> dict[str, object]:
    usual = {"instrument_name": name, "kind": "future", "base_currency": "BTC", "quote_currency": "USD"}
    steps = {"tick_size": 0.5, "contract_size": 10.0, "min_trade_amount": 10.0}
    return {**usual, "counter_currency": "USD", "settlement_currency": "BTC", **steps, **facts}


def linear(name: str, **facts: object) -> dict[str, object]:
    usdc = {"quote_currency": "USDC", "counter_currency": "USDC", "settlement_currency": "USDC"}
    return row(name, **{"instrument_type": "linear", "min_trade_amount": 0.01, **usdc, **facts})


PERPETUAL = {"settlement_period": "perpetual", "expiration_timestamp": FOREVER_MS}


CHRISTMAS = {"settlement_period": "month", "expiration_timestamp": CHRISTMAS_MS}


PUT = {"kind": "option", "quote_currency": "BTC", "strike": 80000.0, "option_type": "put", **CHRISTMAS}


ROWS = {
    "DERIBIT:BTC-USD-PERP": row("BTC-PERPETUAL", instrument_type="reversed", **PERPETUAL),
    "DERIBIT:BTC-USDC-PERP": linear("BTC_USDC-PERPETUAL", **PERPETUAL),
    "DERIBIT:BTC-USD-261225": row("BTC-25DEC26", instrument_type="reversed", **CHRISTMAS),
    "DERIBIT:BTC-USD-260605": row("BTC-5JUN26", future_type="reversed", expiration_timestamp=FIFTH_OF_JUNE_MS),
    "DERIBIT:BTC-USD-261225-80000-P": row(
        "BTC-25DEC26-80000-P", instrument_type="reversed", min_trade_amount=0.1, **PUT
    ),
    "DERIBIT:BTC-USDC-261225-80000-C": linear(
        "BTC_USDC-25DEC26-80000-C", kind="option", strike=80000, option_type="call", **CHRISTMAS
    ),
    "DERIBIT:XRP-USDC-261225-0.5-C": linear(
        "XRP_USDC-25DEC26-0d5-C", kind="option", base_currency="XRP", strike=0.5, option_type="call", **CHRISTMAS
    ),
    "DERIBIT:BTC-USDC": linear("BTC_USDC", kind="spot"),
}


def listed(*rows: object) -> list[Instrument]:
    return make_adapter().decode_instruments([json.dumps({"jsonrpc": "2.0", "result": rows}).encode()])


def make_adapter() -> DeribitAdapter:
    return DeribitAdapter("wss://venue/ws/api/v2", "https://venue", DeribitSettings())


def one(symbol: str) -> Instrument:
    (found,) = listed(ROWS[symbol])
    return found


@pytest.mark.parametrize("symbol", ROWS)
def test_instruments_are_found_by_both_names(symbol: str) -> None:
    registry = InstrumentRegistry(listed(*ROWS.values()))
    native = str(ROWS[symbol]["instrument_name"])
    assert len(registry) == len(ROWS)
    assert registry.require(Symbol(symbol)).venue_symbol == native
    assert registry.by_venue_symbol[native].symbol == symbol


@pytest.mark.parametrize(
    ("symbol", "kind", "is_inverse"),
    [
        ("DERIBIT:BTC-USD-PERP", InstrumentType.PERPETUAL, True),
        ("DERIBIT:BTC-USD-261225", InstrumentType.FUTURE, True),
        ("DERIBIT:BTC-USD-260605", InstrumentType.FUTURE, True),
        ("DERIBIT:BTC-USDC-PERP", InstrumentType.PERPETUAL, False),
        ("DERIBIT:BTC-USD-261225-80000-P", InstrumentType.OPTION, False),
        ("DERIBIT:BTC-USDC", InstrumentType.SPOT, False),
    ],
)
def test_amounts_are_dollars_where_reversed_and_coins_elsewhere(
    symbol: str, kind: InstrumentType, is_inverse: bool
) -> None:
    found = one(symbol)
    assert (found.instrument_type, found.is_inverse, found.contract_multiplier) == (kind, is_inverse, Decimal(1))


def test_the_contract_size_is_already_in_the_amount() -> None:
    perpetual, option = one("DERIBIT:BTC-USD-PERP"), one("DERIBIT:BTC-USD-261225-80000-P")
    assert perpetual.base_quantity(Decimal(9000), Decimal(90000)) == Decimal("0.1")
    assert option.base_quantity(Decimal("2.5"), Decimal("0.05")) == Decimal("2.5")


def test_an_option_has_its_right_and_its_end() -> None:
    put, call = one("DERIBIT:BTC-USD-261225-80000-P"), one("DERIBIT:XRP-USDC-261225-0.5-C")
    assert (put.strike, put.is_call, put.settle, put.lot) == (Decimal(80000), False, "BTC", Decimal("0.1"))
    assert (call.strike, call.is_call, call.settle) == (Decimal("0.5"), True, "USDC")
    assert put.expires_at_ns == CHRISTMAS_MS * 1_000_000
    assert one("DERIBIT:BTC-USD-PERP").expires_at_ns == 0


def test_ticks_may_grow_with_the_price() -> None:
    facts = {"instrument_type": "reversed", **PUT, "tick_size": 0.0001}
    (found,) = listed(row("BTC-25DEC26-80000-P", **facts, tick_size_steps=[{"above_price": 0.005, "tick_size": 5e-04}]))
    assert found.tick == Decimal("0.0001")
    assert found.tick_bands == (TickBand(Decimal("0.005"), Decimal("0.0005")),)


@pytest.mark.parametrize(
    ("facts", "symbol", "is_inverse"),
    [
        ({"settlement_period": "perpetual", "expiration_timestamp": FOREVER_MS}, "DERIBIT:BTC-USD-PERP", True),
        ({"expiration_timestamp": CHRISTMAS_MS}, "DERIBIT:BTC-USD-261225", True),
        (PUT, "DERIBIT:BTC-USD-261225-80000-P", False),
    ],
)
def test_old_rows_lack_fields(facts: dict[str, object], symbol: str, is_inverse: bool) -> None:
    old = {"instrument_name": "X", "kind": "future", "base_currency": "BTC", "quote_currency": "USD", **facts}
    (found,) = listed(old)
    assert (found.symbol, found.is_inverse, found.settle) == (symbol, is_inverse, "BTC")


def test_combinations_and_invalid_rows_are_skipped() -> None:
    good = ROWS["DERIBIT:BTC-USD-PERP"]
    bad = (
        {**good, "kind": "future_combo"},
        {**good, "tick_size": "wide"},
        {**good, "instrument_name": None},
        {**PUT, "instrument_name": "X", "base_currency": "BTC", "strike": 1e300},
        {**PUT, "instrument_name": "X", "base_currency": "BTC", "strike": None},
        {**PUT, "instrument_name": "X", "base_currency": "BTC", "expiration_timestamp": 10**18},
        {**good, "settlement_period": "month", "expiration_timestamp": None},
        7,
    )
    assert [found.symbol for found in listed(*bad, good)] == ["DERIBIT:BTC-USD-PERP"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":{"code":10028}}'])
def test_a_response_without_instruments_is_rejected(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        make_adapter().decode_instruments([body])


def test_every_kind_is_requested_in_every_currency() -> None:
    settings = DeribitSettings(currencies=("BTC", "USDC"), kinds=("future", "option"))
    asks = DeribitAdapter("wss://venue", "https://venue", settings).instrument_requests()
    assert [ask.path for ask in asks] == [
        "/api/v2/public/get_instruments?currency=BTC&kind=future&expired=false",
        "/api/v2/public/get_instruments?currency=BTC&kind=option&expired=false",
        "/api/v2/public/get_instruments?currency=USDC&kind=future&expired=false",
        "/api/v2/public/get_instruments?currency=USDC&kind=option&expired=false",
    ]
