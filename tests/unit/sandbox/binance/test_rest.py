"""The sandbox's Binance REST rules: weights, bans, limits and metadata."""

from typing import Any

import pytest

from components.sandbox.binance.instruments import SPOT_INSTRUMENTS, USD_M_INSTRUMENTS, exchange_info
from components.sandbox.binance.rules import SPOT_RULES, USD_M_RULES, VenueRules
from components.sandbox.transport.rate_limits import BAN_S, VIOLATIONS_MAX, RequestWeights

SECOND_NS = 1_000_000_000


def test_a_minutes_weight_is_counted_and_forgotten_with_the_minute() -> None:
    weights = RequestWeights(100)
    assert [weights.spend(40, 10 * SECOND_NS).used for _ in range(2)] == [40, 80]
    refused = weights.spend(40, 15 * SECOND_NS)
    assert (refused.status, refused.retry_after_s) == (429, 45)
    assert weights.spend(40, 60 * SECOND_NS).status == 200


def test_a_client_that_ignores_429_is_banned_beyond_the_minute() -> None:
    weights = RequestWeights(10)
    statuses = [weights.spend(20, 30 * SECOND_NS).status for _ in range(VIOLATIONS_MAX + 1)]
    assert statuses == [429] * VIOLATIONS_MAX + [418]
    later = weights.spend(1, 70 * SECOND_NS)
    assert (later.status, later.retry_after_s) == (418, BAN_S - 40)
    assert weights.spend(1, (30 + BAN_S) * SECOND_NS).status == 200


@pytest.mark.parametrize(
    ("rules", "limit", "weight"),
    [
        (SPOT_RULES, 100, 5),
        (SPOT_RULES, 1000, 50),
        (SPOT_RULES, 5000, 250),
        (USD_M_RULES, 50, 2),
        (USD_M_RULES, 1000, 20),
    ],
)
def test_a_deeper_book_weighs_more(rules: VenueRules, limit: int, weight: int) -> None:
    assert rules.allows_depth(limit)
    assert rules.depth_weight(limit) == weight


@pytest.mark.parametrize(
    ("rules", "limit"), [(SPOT_RULES, 0), (SPOT_RULES, 5001), (USD_M_RULES, 7), (USD_M_RULES, 5000)]
)
def test_not_every_depth_is_allowed(rules: VenueRules, limit: int) -> None:
    assert not rules.allows_depth(limit)


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
