"""Binance's exchange information becomes instruments: both names, and increments from the filters alone."""

import json
from decimal import Decimal

import pytest

from components.contracts.errors import ProtocolError
from components.contracts.values import Symbol
from components.market_data.core.instruments import Instrument, InstrumentRegistry, InstrumentType
from components.market_data.venues.binance.instruments import (
    BINANCE,
    decode_futures_instruments,
    decode_spot_instruments,
)

NEVER_MS = 4_133_404_800_000


DELIVERY_MS = 1_798_185_600_000


PRICE = {"filterType": "PRICE_FILTER", "minPrice": "0.1430", "maxPrice": "500", "tickSize": "0.0010"}


MARKET_LOT = {"filterType": "MARKET_LOT_SIZE", "stepSize": "7", "minQty": "9", "maxQty": "100000"}


LOT = {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "2", "maxQty": "10000000"}


LIMIT = {"filterType": "MAX_NUM_ORDERS", "limit": 200}


def row(symbol: str, base: str, quote: str, **more: object) -> dict[str, object]:
    names = {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote}
    return names | {"filters": [MARKET_LOT, LIMIT, LOT, PRICE]} | more


def body(*rows: object) -> bytes:
    return json.dumps({"timezone": "UTC", "symbols": rows}).encode()


def perpetual(symbol: str, base: str, **more: object) -> dict[str, object]:
    kind = {"contractType": "PERPETUAL", "deliveryDate": NEVER_MS, "marginAsset": "USDT", "pricePrecision": 4}
    return row(symbol, base, "USDT", **(kind | more))


def test_a_spot_pair_is_named_by_its_parts_and_stepped_by_its_filters() -> None:
    assert decode_spot_instruments([body(row("SUSHIUSDT", "SUSHI", "USDT"))]) == [
        Instrument(
            venue=BINANCE,
            symbol=Symbol("BINANCE:SUSHI-USDT"),
            venue_symbol="SUSHIUSDT",
            instrument_type=InstrumentType.SPOT,
            base="SUSHI",
            quote="USDT",
            settle="USDT",
            tick=Decimal("0.001"),
            lot=Decimal(1),
            quantity_min=Decimal(2),
        )
    ]


def test_the_tick_of_a_future_is_its_filters_and_not_its_precision() -> None:
    (sushi,) = decode_futures_instruments([body(perpetual("SUSHIUSDT", "SUSHI"))])
    assert (sushi.tick, sushi.lot, sushi.quantity_min) == (Decimal("0.001"), Decimal(1), Decimal(2))
    assert (sushi.contract_multiplier, sushi.settle, sushi.expires_at_ns) == (Decimal(1), "USDT", 0)


@pytest.mark.parametrize(
    ("symbol", "native", "row"),
    [
        ("BINANCEUM:BTC-USDT-PERP", "BTCUSDT", perpetual("BTCUSDT", "BTC")),
        ("BINANCEUM:1000SHIB-USDT-PERP", "1000SHIBUSDT", perpetual("1000SHIBUSDT", "1000SHIB")),
        ("BINANCEUM:TSLA-USDT-PERP", "TSLAUSDT", perpetual("TSLAUSDT", "TSLA", contractType="TRADIFI_PERPETUAL")),
        (
            "BINANCEUM:BTC-USDT-261225",
            "BTCUSDT_261225",
            perpetual("BTCUSDT_261225", "BTC", contractType="CURRENT_QUARTER", deliveryDate=DELIVERY_MS),
        ),
        (
            "BINANCEUM:ETH-USDT-261225",
            "ETHUSDT_X",
            perpetual("ETHUSDT_X", "ETH", contractType="A_NEW_KIND", deliveryDate=DELIVERY_MS),
        ),
    ],
)
def test_instruments_are_found_by_both_names(symbol: str, native: str, row: dict[str, object]) -> None:
    registry = InstrumentRegistry(decode_futures_instruments([body(row)]))
    assert registry.by_venue_symbol[native].symbol == symbol
    assert registry.require(Symbol(symbol)).venue_symbol == native


def test_a_future_ends_when_it_is_delivered() -> None:
    (future,) = decode_futures_instruments(
        [body(perpetual("BTCUSDT_261225", "BTC", contractType="X", deliveryDate=DELIVERY_MS))]
    )
    assert (future.instrument_type, future.expires_at_ns) == (InstrumentType.FUTURE, DELIVERY_MS * 1_000_000)


def test_a_pair_is_never_cut_at_what_looks_like_a_suffix() -> None:
    (pair,) = decode_spot_instruments([body(row("USDTUSDTBTC", "USDT", "USDTBTC"))])
    assert pair.symbol == "BINANCE:USDT-USDTBTC"


@pytest.mark.parametrize("status", ["HALT", "BREAK", "SETTLING"])
def test_an_instrument_that_does_not_trade_is_marked(status: str) -> None:
    (pair,) = decode_spot_instruments([body(row("BTCUSDT", "BTC", "USDT", status=status))])
    assert not pair.is_trading


def test_every_filter_is_optional() -> None:
    (pair,) = decode_spot_instruments([body(row("BTCUSDT", "BTC", "USDT", filters=[]))])
    assert (pair.tick, pair.lot, pair.quantity_min) == (Decimal(0), Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    "invalid",
    [
        None,
        {},
        row("", "BTC", "USDT"),
        row("X", "BTC", "USDT", filters=[PRICE | {"tickSize": "NaN"}]),
        row("X", "BTC", "USDT", filters=[PRICE | {"tickSize": 0.1}]),
        perpetual("X", "BTC", contractType="", deliveryDate=0),
        perpetual("X", "BTC", contractType="CURRENT_QUARTER", deliveryDate=NEVER_MS),
        perpetual("X", "BTC", deliveryDate=10**17),
    ],
)
def test_an_invalid_row_is_skipped_alone(invalid: object) -> None:
    instruments = decode_futures_instruments([body(perpetual("BTCUSDT", "BTC"), invalid, perpetual("ETHUSDT", "ETH"))])
    assert [one.venue_symbol for one in instruments] == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"code":-1003,"msg":"Too many requests"}', b'{"symbols":1}'])
def test_a_body_without_exchange_information_is_rejected(answer: bytes) -> None:
    with pytest.raises(ProtocolError, match="no exchange information"):
        decode_spot_instruments([answer])
