"""The table [market_data]: invalid values are rejected before anything connects."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.contracts.errors import ConfigError
from components.market_data.config import MarketDataConfig
from components.runtime.config.settings import load_settings
from tests.support.configuration_folder import SHIPPED


def shipped(env: str = "dev") -> dict[str, Any]:
    environ = {"XTRADER_CONFIG_DIR": str(SHIPPED), "XTRADER_ENV": env}
    return load_settings({"market_data": MarketDataConfig}, environ).table("market_data", MarketDataConfig).model_dump()


def altered(path: str, value: object) -> dict[str, Any]:
    table = shipped()
    *above, key = path.split(".")
    node = table
    for name in above:
        node = node[name]
    node[key] = value
    return table


def test_what_is_shipped_for_dev_is_on_this_machine_and_for_prod_at_alpaca() -> None:
    assert shipped("dev")["alpaca"]["stream_url"].startswith("ws://127.0.0.1:")
    assert shipped("prod")["alpaca"]["stream_url"] == "wss://stream.data.alpaca.markets/v2/iex"


def test_the_first_retry_comes_within_a_quarter_of_a_second() -> None:
    assert shipped()["alpaca"]["retry_ms_first"] <= 250


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("symbols", [], "symbols: nothing is configured"),
        ("binance.symbols", ["BTC-USDT"], "BTC-USDT is not a symbol of BINANCE: write BINANCE:BASE-QUOTE"),
        ("binance.symbols", ["OKX:BTC-USDT"], "OKX:BTC-USDT is not a symbol of BINANCE"),
        ("okx.symbols", ["OKX:BTC-USDT-SWAP"], "is not a symbol of OKX"),
        ("okx.symbols", ["OKX:btc-usdt"], "is not a symbol of OKX"),
        ("okx.symbols", ["OKX:BTC-USDT", "OKX:BTC-USDT"], "each may occur once"),
        ("deribit.symbols", ["DERIBIT:BTC-USD-261225-80000"], "is not a symbol of DERIBIT"),
        ("deribit.interval", "raw", "raw needs a key and a secret"),
        ("deribit.key", "env:ID", "set both or none"),
        ("okx.retry_ms_first", 251, "retry_ms_first"),
        ("okx.retry_ms_max", 1, "retry_ms_first: 250 is above retry_ms_max 1"),
        ("okx.adaptive_timeout_ms_max", 15_000, "no_data_timeout_ms: 20000 is above adaptive_timeout_ms_max 15000"),
        ("okx.queues.depth", "drop_oldest", "only block is allowed"),
        ("okx.queues.trades", "conflate", "would merge trades"),
        ("okx.depth_channel", "book", "depth_channel"),
        ("binance.snapshot_depth", 6_000, "snapshot_depth"),
        ("binanceum.depth_speed_ms", 1_000, "depth_speed_ms"),
        ("symbols", ["AAPL", "AAPL"], "each may occur once"),
        ("symbols", [f"S{number}" for number in range(31)], "31, but alpaca.symbols_max is 30"),
        ("symbols", ["aapl"], "symbols"),
        ("symbols", ["*"], "symbols"),
        ("quote_age_ms_max", 0, "quote_age_ms_max"),
        ("alpaca.retry_ms_first", 251, "retry_ms_first"),
        ("alpaca.retry_ms_max", 1, "retry_ms_first: 250 is above retry_ms_max 1"),
        ("alpaca.no_data_timeout_ms_max", 500, "no_data_timeout_ms: 5000 is above no_data_timeout_ms_max 500"),
        ("alpaca.key", "PK1234567890", "must be a reference"),
        ("alpaca.sekret", "env:X", "sekret"),
    ],
)
def test_a_table_that_cannot_work_is_refused_by_name(path: str, value: object, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        MarketDataConfig.model_validate(altered(path, value))


SYMBOLS = {
    "binance": ["BINANCE:BTC-USDT", "BINANCE:1000SATS-USDT"],
    "binanceum": ["BINANCEUM:BTC-USDT-PERP", "BINANCEUM:BTC-USDT-261225"],
    "okx": ["OKX:BTC-USDT", "OKX:BTC-USD-PERP", "OKX:BTC-USD-261225"],
    "deribit": ["DERIBIT:BTC-USD-261225-80000-P", "DERIBIT:XRP-USDC-261225-0.5-C", "DERIBIT:BTC-USDC"],
    "alpaca_crypto": ["ALPACA:BTC-USD"],
}


@pytest.mark.parametrize("table", SYMBOLS)
def test_a_venue_is_listened_to_where_it_has_symbols_and_then_stocks_may_be_left_out(table: str) -> None:
    values = altered("symbols", [])
    values[table]["symbols"] = SYMBOLS[table]
    (venue,) = MarketDataConfig.model_validate(values).venues
    assert list(venue.symbols) == SYMBOLS[table]


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_what_is_shipped_listens_to_no_crypto_venue_and_takes_frames_of_16_mib(env: str) -> None:
    config = MarketDataConfig.model_validate(shipped(env))
    assert config.venues == ()
    tables = (config.alpaca_crypto, config.binance, config.binanceum, config.okx, config.deribit)
    every = [table for table in tables if table is not None]
    assert len(every) == len(tables)
    assert {venue.frame_bytes_max for venue in every} == {16 * 1024 * 1024}
    assert all(venue.retry_ms_first <= 250 for venue in every)
    assert all(venue.stream_url.startswith("ws://127.0.0.1:" if env == "dev" else "wss://") for venue in every)


def test_a_key_that_was_pasted_in_place_of_its_reference_is_not_repeated() -> None:
    environ = {"XTRADER_CONFIG_DIR": str(SHIPPED), "XTRADER__MARKET_DATA__ALPACA__KEY": "PK1234567890"}
    with pytest.raises(ConfigError, match=r"market_data\.alpaca\.key") as refused:
        load_settings({"market_data": MarketDataConfig}, environ)
    assert "PK1234567890" not in str(refused.value)
