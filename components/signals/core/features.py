"""The features of a symbol and their schema.

Each quote and trade updates the features with a constant amount of work. The hash of the schema identifies names, order
and meaning; a model's card must contain it.
"""

from collections import deque
from hashlib import blake2b
from math import isfinite, log, log1p, sqrt
from typing import Final

import msgspec
from msgspec import Struct

BASIS_POINTS: Final = 10_000.0
QUOTE_GAP_S_MAX: Final = 60.0
"""Longer gaps count as this long; the model is never shown the gap of a night."""
WARM_UP_QUOTES: Final = 21
"""The window of the longest return plus the current quote."""


def _weight(window: int) -> float:
    return 2.0 / (window + 1)


_W5: Final = _weight(5)
_W10: Final = _weight(10)
_W20: Final = _weight(20)
_W60: Final = _weight(60)


class Features:
    """Consumes two-sided quotes and trades in order and computes the row of SCHEMA; None until it is warm.

    Exponential averages start at their first value. Values are floats: they are input of a model, never of an order.
    """

    __slots__ = (
        "_flow", "_gap_s", "_imbalance", "_imbalance_5", "_logs", "_mean_10", "_mean_60", "_mid",
        "_quote_at_ns", "_spread", "_variance",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Discard everything: the next quote does not continue the previous ones."""
        self._logs: deque[float] = deque(maxlen=WARM_UP_QUOTES)
        self._quote_at_ns = 0
        self._mid = self._mean_10 = self._mean_60 = self._variance = self._flow = 0.0
        self._spread = self._imbalance = self._imbalance_5 = self._gap_s = 0.0

    def add_quote(self, bid_price: float, bid_size: float, ask_price: float, ask_size: float, at_ns: int) -> None:
        """Update the features with one quote; both sides must be present and not crossed."""
        self._mid = (bid_price + ask_price) / 2
        level = log(self._mid)
        self._spread = (ask_price - bid_price) / self._mid * BASIS_POINTS
        self._imbalance = (bid_size - ask_size) / (bid_size + ask_size)
        if self._logs:
            self._update_averages(level, at_ns)
        else:
            self._mean_10 = self._mean_60 = level
            self._imbalance_5 = self._imbalance
        self._logs.append(level)
        self._quote_at_ns = at_ns

    def add_trade(self, price: float) -> None:
        """Count a trade above the mid as a buy, below it as a sell."""
        side = (price > self._mid) - (price < self._mid) if self._logs else 0
        self._flow += _W10 * (side - self._flow)

    def row(self) -> tuple[float, ...] | None:
        """Return the values in the order of SCHEMA; None if not warm or if one is not finite."""
        logs = self._logs
        if len(logs) < WARM_UP_QUOTES:
            return None
        level = logs[-1]
        row = (
            (level - logs[-2]) * BASIS_POINTS,
            (level - logs[-6]) * BASIS_POINTS,
            (level - logs[0]) * BASIS_POINTS,
            (level - self._mean_10) * BASIS_POINTS,
            (level - self._mean_60) * BASIS_POINTS,
            sqrt(self._variance),
            self._spread,
            self._imbalance,
            self._imbalance_5,
            self._imbalance * self._spread / 2,
            self._flow,
            log1p(self._gap_s),
        )
        return row if isfinite(sum(row)) else None

    def _update_averages(self, level: float, at_ns: int) -> None:
        step = (level - self._logs[-1]) * BASIS_POINTS
        self._variance += _W20 * (step * step - self._variance)
        self._mean_10 += _W10 * (level - self._mean_10)
        self._mean_60 += _W60 * (level - self._mean_60)
        self._imbalance_5 += _W5 * (self._imbalance - self._imbalance_5)
        self._gap_s = min(max(at_ns - self._quote_at_ns, 0) / 1e9, QUOTE_GAP_S_MAX)


class Feature(Struct, frozen=True, array_like=True, gc=False):
    """One value of the row: its name, its unit, and how many quotes (or trades) it looks back."""

    name: str
    unit: str
    window: int


class FeatureSchema(Struct, frozen=True, array_like=True, gc=False):
    """The whole row; the version rises when a value changes its meaning under the same name."""

    version: int
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of the row."""
        return tuple(feature.name for feature in self.features)

    @property
    def hash(self) -> str:
        """Content hash of the schema; different features have a different hash."""
        return blake2b(msgspec.json.encode(self), digest_size=16).hexdigest()


SCHEMA: Final = FeatureSchema(
    version=1,
    features=(
        Feature("return_1", "basis points", 1),
        Feature("return_5", "basis points", 5),
        Feature("return_20", "basis points", 20),
        Feature("trend_10", "basis points", 10),
        Feature("trend_60", "basis points", 60),
        Feature("volatility_20", "basis points", 20),
        Feature("spread", "basis points", 1),
        Feature("imbalance", "-1 to 1", 1),
        Feature("imbalance_5", "-1 to 1", 5),
        Feature("micro_price", "basis points", 1),
        Feature("trade_flow_10", "-1 to 1", 10),
        Feature("quote_gap", "log(1 + seconds)", 1),
    ),
)
