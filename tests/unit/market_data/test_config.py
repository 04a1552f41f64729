"""The table [market_data]: what is refused before anything connects."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.contracts.errors import ConfigError
from components.market_data.config import MarketDataConfig
from components.runtime.config import load
from tests.support.configurations import SHIPPED


def shipped(env: str = "dev") -> dict[str, Any]:
    environ = {"XTRADER_CONFIG_DIR": str(SHIPPED), "XTRADER_ENV": env}
    return load({"market_data": MarketDataConfig}, environ).table("market_data", MarketDataConfig).model_dump()


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
        ("symbols", [], "symbols"),
        ("symbols", ["AAPL", "AAPL"], "each may stand once"),
        ("symbols", [f"S{number}" for number in range(31)], "31, but alpaca.symbols_max is 30"),
        ("symbols", ["aapl"], "symbols"),
        ("symbols", ["*"], "symbols"),
        ("quote_age_ms_max", 0, "quote_age_ms_max"),
        ("alpaca.retry_ms_first", 251, "retry_ms_first"),
        ("alpaca.retry_ms_max", 1, "retry_ms_first: 250 is above retry_ms_max 1"),
        ("alpaca.mute_ms_max", 500, "mute_ms_first: 5000 is above mute_ms_max 500"),
        ("alpaca.key", "PK1234567890", "must be a reference"),
        ("alpaca.sekret", "env:X", "sekret"),
    ],
)
def test_a_table_that_cannot_work_is_refused_by_name(path: str, value: object, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        MarketDataConfig.model_validate(altered(path, value))


def test_a_key_that_was_pasted_in_place_of_its_reference_is_not_repeated() -> None:
    environ = {"XTRADER_CONFIG_DIR": str(SHIPPED), "XTRADER__MARKET_DATA__ALPACA__KEY": "PK1234567890"}
    with pytest.raises(ConfigError, match=r"market_data\.alpaca\.key") as refused:
        load({"market_data": MarketDataConfig}, environ)
    assert "PK1234567890" not in str(refused.value)
