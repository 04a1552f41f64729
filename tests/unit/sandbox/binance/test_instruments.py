"""The exchange information of the simulated Binance venues."""

from typing import Any

from components.sandbox.binance.instruments import SPOT_INSTRUMENTS, USD_M_INSTRUMENTS, exchange_info
from components.sandbox.binance.rules import SPOT_RULES, USD_M_RULES


def test_the_steps_are_in_the_filters_and_the_precisions_mislead() -> None:
    symbols: Any = exchange_info(USD_M_RULES, USD_M_INSTRUMENTS, 1)["symbols"]
    sol = next(one for one in symbols if one["symbol"] == "SOLUSDC")
    filters = {one["filterType"]: one for one in sol["filters"]}
    assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.0100", "0.01")
    assert sol["pricePrecision"] == 3
    assert {one["contractType"] for one in symbols} == {"PERPETUAL", "CURRENT_QUARTER"}


def test_every_spot_symbol_is_its_base_and_its_quote() -> None:
    symbols: Any = exchange_info(SPOT_RULES, SPOT_INSTRUMENTS, 1)["symbols"]
    assert len(symbols) >= 5
    assert all(one["symbol"] == one["baseAsset"] + one["quoteAsset"] for one in symbols)
