"""Limits are validated when they are read, and identified by their content."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from components.contracts.decisions import CheckName
from components.risk.core.checks.evaluation import PRE_TRADE_CHECKS
from components.risk.core.limits import Limits
from tests.support.risk_harness import LIMITS


def test_limits_survive_a_round_trip_through_their_json() -> None:
    again = Limits.model_validate_json(LIMITS.canonical_json)
    assert (again.canonical_json, again.version) == (LIMITS.canonical_json, LIMITS.version)


def test_reading_properties_does_not_change_the_version() -> None:
    looked_at = Limits(**LIMITS.model_dump())
    assert looked_at.allowed_symbols
    assert looked_at.descriptions
    assert looked_at.version == LIMITS.version


def test_the_same_limits_written_otherwise_have_the_same_version() -> None:
    written = LIMITS.model_dump() | {"spread_bps_max": Decimal("20.00"), "symbols": ("MSFT", "AAPL")}
    assert Limits(**written).version == LIMITS.version


@pytest.mark.parametrize("name", sorted(set(Limits.model_fields) - {"symbols", "short_selling"}))
def test_another_limit_is_another_version(name: str) -> None:
    assert Limits(**LIMITS.model_dump() | {name: getattr(LIMITS, name) + 1}).version != LIMITS.version


@pytest.mark.parametrize(
    "change",
    [
        {"order_notionl_max": 1},
        {"order_notional_max": 0},
        {"order_quantity_max": -1},
        {"spread_bps_max": "NaN"},
        {"symbols": ()},
        {"symbols": ("AAPL", "AAPL")},
        {"symbols": ("aapl",)},
        {"repeat_window_ms": 60_001},
    ],
    ids=str,
)
def test_a_wrong_limit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits(**LIMITS.model_dump() | change)


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        LIMITS.open_orders_max = 6


def test_prices_below_one_have_finer_ticks() -> None:
    assert [LIMITS.tick_size(Decimal(price)) for price in ("1", "0.9999")] == [Decimal("0.01"), Decimal("0.0001")]


def test_every_description_belongs_to_a_check() -> None:
    assert set(LIMITS.descriptions) < set(CheckName)
    assert len(PRE_TRADE_CHECKS) == len(set(PRE_TRADE_CHECKS))
