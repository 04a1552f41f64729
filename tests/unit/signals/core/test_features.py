"""Each feature equals a naive computation over the whole past, and every value is finite."""

from itertools import pairwise
from math import exp, isfinite, log, log1p, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.signals.core.features import (
    BASIS_POINTS,
    QUOTE_GAP_S_MAX,
    SCHEMA,
    WARM_UP_QUOTES,
    Feature,
    Features,
    FeatureSchema,
)

PRICES = st.floats(1.0, 1_000.0)
QUOTES = st.tuples(PRICES, st.floats(0.01, 1.0), st.floats(1, 1e6), st.floats(1, 1e6), st.integers(0, 10**11))
STEPS = st.lists(st.tuples(QUOTES, st.none() | PRICES), min_size=WARM_UP_QUOTES, max_size=WARM_UP_QUOTES + 40)
Quoted = tuple[float, float, float, float, int]


def run(steps: list[tuple[Quoted, float | None]]) -> tuple[Features, list[Quoted], list[int]]:
    features, quotes, sides, now_ns = Features(), [], [], 0
    for (bid, spread, bid_size, ask_size, gap_ns), price in steps:
        now_ns += gap_ns
        quotes.append((bid, bid_size, bid + spread, ask_size, now_ns))
        features.add_quote(*quotes[-1])
        if price is not None:
            middle = (bid + (bid + spread)) / 2
            sides.append((price > middle) - (price < middle))
            features.add_trade(price)
    return features, quotes, sides


def mean(values: list[float], window: int, first: float) -> float:
    """Weigh the whole past again: the newest by w, each one before it by (1 - w) less, the first by the rest."""
    weight = 2 / (window + 1)
    parts = [weight * (1 - weight) ** back * value for back, value in enumerate(reversed(values))]
    return sum(parts) + (1 - weight) ** len(values) * first


def naive(quotes: list[Quoted], sides: list[int]) -> dict[str, float]:
    logs = [log((bid + ask) / 2) for bid, _, ask, _, _ in quotes]
    steps = [(after - before) * BASIS_POINTS for before, after in pairwise(logs)]
    imbalances = [(bid_size - ask_size) / (bid_size + ask_size) for _, bid_size, _, ask_size, _ in quotes]
    bid, _, ask, _, _ = quotes[-1]
    spread = (ask - bid) / exp(logs[-1]) * BASIS_POINTS
    gap_s = min((quotes[-1][4] - quotes[-2][4]) / 1e9, QUOTE_GAP_S_MAX)
    return {
        "return_1": (logs[-1] - logs[-2]) * BASIS_POINTS,
        "return_5": (logs[-1] - logs[-6]) * BASIS_POINTS,
        "return_20": (logs[-1] - logs[-21]) * BASIS_POINTS,
        "trend_10": (logs[-1] - mean(logs[1:], 10, logs[0])) * BASIS_POINTS,
        "trend_60": (logs[-1] - mean(logs[1:], 60, logs[0])) * BASIS_POINTS,
        "volatility_20": sqrt(mean([step * step for step in steps], 20, 0.0)),
        "spread": spread,
        "imbalance": imbalances[-1],
        "imbalance_5": mean(imbalances[1:], 5, imbalances[0]),
        "micro_price": imbalances[-1] * spread / 2,
        "trade_flow_10": mean([float(side) for side in sides], 10, 0.0),
        "quote_gap": log1p(gap_s),
    }


@given(STEPS)
def test_every_feature_equals_its_naive_computation(steps: list[tuple[Quoted, float | None]]) -> None:
    features, quotes, sides = run(steps)
    row = features.row()
    assert row is not None
    expected = naive(quotes, sides)
    assert tuple(expected) == SCHEMA.names
    assert row == pytest.approx(tuple(expected.values()), rel=1e-6, abs=1e-6)


def test_there_is_no_row_before_it_is_warm() -> None:
    features = Features()
    for at in range(WARM_UP_QUOTES):
        assert features.row() is None
        features.add_quote(100.0, 5.0, 100.1, 5.0, at)
    assert features.row() is not None


def test_after_a_reset_no_earlier_quote_has_an_effect() -> None:
    used, fresh = Features(), Features()
    for at in range(30):
        used.add_quote(50.0 + at, 900.0, 51.0 + at, 5.0, at)
        used.add_trade(10.0)
    used.reset()
    assert used.row() is None
    for features in (used, fresh):
        for at in range(WARM_UP_QUOTES):
            features.add_quote(100.0, 5.0, 100.1, 5.0, at)
    assert used.row() == fresh.row()


def test_a_trade_before_any_quote_has_no_effect() -> None:
    quiet, loud = Features(), Features()
    loud.add_trade(1.0)
    for features in (quiet, loud):
        for at in range(WARM_UP_QUOTES):
            features.add_quote(100.0, 5.0, 100.1, 5.0, at)
    assert quiet.row() == loud.row()


def test_a_clock_that_is_set_back_makes_no_gap() -> None:
    features = Features()
    for at in range(WARM_UP_QUOTES):
        features.add_quote(100.0, 5.0, 100.1, 5.0, -at * 10**9)
    row = features.row()
    assert row is not None
    assert row[SCHEMA.names.index("quote_gap")] == 0.0


WILD = st.floats(min_value=1e-9, max_value=1e12)


@given(st.lists(st.tuples(WILD, WILD, WILD, WILD, st.integers(0, 2**62)), max_size=60))
def test_no_quote_produces_a_value_that_is_not_finite(rows: list[Quoted]) -> None:
    features = Features()
    for bid, bid_size, ask, ask_size, at_ns in rows:
        features.add_quote(min(bid, ask), bid_size, max(bid, ask), ask_size, at_ns)
        row = features.row()
        assert row is None or all(isfinite(number) for number in row)


def test_the_schema_has_one_number_for_each_name() -> None:
    assert len(set(SCHEMA.names)) == len(SCHEMA.features) == 12
    assert max(feature.window for feature in SCHEMA.features if feature.name.startswith("return")) == WARM_UP_QUOTES - 1


@pytest.mark.parametrize(
    "changed",
    [
        FeatureSchema(2, SCHEMA.features),
        FeatureSchema(1, SCHEMA.features[1:]),
        FeatureSchema(1, SCHEMA.features[::-1]),
        FeatureSchema(1, (Feature("return_1", "basis points", 2), *SCHEMA.features[1:])),
    ],
)
def test_any_change_of_the_schema_changes_its_hash(changed: FeatureSchema) -> None:
    assert changed.hash != SCHEMA.hash


def test_the_meaning_of_this_version_is_pinned() -> None:
    """If this fails, the model gets other numbers than it was trained on: raise the version and train again."""
    features = Features()
    for at in range(25):
        wobble = (at * 7 % 11) / 100
        features.add_quote(100 + wobble, 200 + at, 100.03 + wobble, 300 - at, at * 200_000_000)
        if at % 3 == 0:
            features.add_trade(100 + wobble + (0.03 if at % 2 else 0.0))
    assert SCHEMA.hash == "819a16e9e04909cb3379b39668709727"
    assert features.row() == pytest.approx(PINNED, abs=1e-9)


PINNED = (
    -3.997401742132922,
    1.9993002515761304,
    -2.998201101807041,
    -1.3188731486213356,
    0.31538203618453053,
    5.0048537411893035,
    2.9986506072268617,
    -0.104,
    -0.1119995247744635,
    -0.1559298315757968,
    -0.11643041066936033,
    0.18232155679395462,
)
