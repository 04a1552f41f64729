"""Which numbers a model is given, in which order and meaning, as one hash that a model's card must name."""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct


class Feature(Struct, frozen=True, array_like=True, gc=False):
    """One number of the row: its name, its unit, and how many quotes (or trades) it looks back."""

    name: str
    unit: str
    window: int


class FeatureSchema(Struct, frozen=True, array_like=True, gc=False):
    """The row as a whole; the version rises whenever a number changes its meaning under the same name."""

    version: int
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of the row."""
        return tuple(feature.name for feature in self.features)

    @property
    def hash(self) -> str:
        """Identify the schema by its content; whoever computes other numbers has another hash."""
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
WARM_UP_QUOTES: Final = 21
"""As many as the longest return looks back, and the present one."""
