"""A stand-in for a trained model: leans at random, and not at all once the run is to come to rest."""

from collections.abc import Sequence
from random import Random
from typing import Final

from components.signals.core.model import OUTPUTS, ModelCard
from components.signals.core.schema import SCHEMA

UP: Final = (0.1, 0.2, 0.7)
DOWN: Final = (0.7, 0.2, 0.1)
FLAT: Final = (0.3, 0.4, 0.3)

CARD: Final = ModelCard(
    name="dice",
    version=1,
    file="none",
    file_hash="0" * 32,
    schema_version=SCHEMA.version,
    schema_hash=SCHEMA.hash,
    inputs=SCHEMA.names,
    outputs=OUTPUTS,
    horizon_quotes=1,
    move_bps=1.0,
    command="none",
    seed=0,
    samples=0,
    accuracy=0.0,
)


class Dice:
    """Knows nothing of markets, which is what makes it reach every corner of the account."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self.is_resting = False

    @property
    def card(self) -> ModelCard:
        """What it is."""
        return CARD

    def predict(self, features: Sequence[float]) -> tuple[float, ...]:  # noqa: ARG002  # chance needs no features
        """Lean either way as often, so that positions are built up to their limit and taken down again."""
        if self.is_resting:
            return FLAT
        return self._dice.choices((UP, DOWN, FLAT), (3, 3, 1))[0]
