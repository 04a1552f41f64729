"""A stand-in for a trained model: leans at random, and not at all once the run is to come to rest."""

from collections.abc import Sequence
from random import Random
from typing import Final

from components.signals.core.model import OUTPUTS, ModelCard
from components.signals.core.schema import SCHEMA

PREDICT_UP: Final = (0.1, 0.2, 0.7)
PREDICT_DOWN: Final = (0.7, 0.2, 0.1)
PREDICT_FLAT: Final = (0.3, 0.4, 0.3)

MODEL_CARD: Final = ModelCard(
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


class RandomModel:
    """Knows nothing of markets, which is what makes it reach every corner of the account."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.always_flat = False

    @property
    def card(self) -> ModelCard:
        """What it is."""
        return MODEL_CARD

    def predict(self, features: Sequence[float]) -> tuple[float, ...]:  # noqa: ARG002  # chance needs no features
        """Lean either way as often, so that positions are built up to their limit and taken down again."""
        if self.always_flat:
            return PREDICT_FLAT
        return self._random.choices((PREDICT_UP, PREDICT_DOWN, PREDICT_FLAT), (3, 3, 1))[0]
