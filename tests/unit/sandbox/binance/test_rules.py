"""The simulated Binance venues: weights and depth limits of REST requests."""

import pytest

from components.sandbox.binance.rules import SPOT_RULES, USD_M_RULES, VenueRules


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
