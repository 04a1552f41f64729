"""The interface of a model: a card with its metadata, and a prediction from a row of features."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from components.contracts.errors import ConfigError
from components.signals.core.features import FeatureSchema

OUTPUTS: Final = ("down", "flat", "up")
SUM_TOLERANCE: Final = 1e-3
"""Single precision loses about 1e-7; outputs whose sum is further from 1 than this are not probabilities."""
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class ModelCard(BaseModel):
    """The metadata beside a model file: what it is, what it expects, how it was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    name: str
    version: int = Field(ge=1)
    file: str
    file_hash: Hash
    schema_version: int
    schema_hash: Hash
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    horizon_quotes: int = Field(ge=1)
    """How many quotes ahead the outputs predict."""
    move_bps: float = Field(gt=0)
    """How far the mid must move to count as up or down."""
    command: str
    """The command that trained it."""
    seed: int
    samples: int = Field(ge=0)
    accuracy: float = Field(ge=0, le=1)
    """Share of correct predictions on data outside the training set."""


class Model(Protocol):
    """A trained model, loaded and ready."""

    @property
    def card(self) -> ModelCard:
        """The model's metadata."""
        ...

    def predict(self, features: Sequence[float]) -> tuple[float, ...]:
        """Return the outputs for one row, in the order of the card."""
        ...


def check_card(card: ModelCard, schema: FeatureSchema, file_hash: str, where: str) -> None:
    """Raise ConfigError if the file does not match its card, or the model was trained on other features."""
    if card.file_hash != file_hash:
        raise ConfigError(
            f"{where}: file_hash {card.file_hash}, but {card.file} has {file_hash}: train or copy it again"
        )
    if card.schema_hash != schema.hash or card.inputs != schema.names:
        raise ConfigError(
            f"{where}: schema_hash {card.schema_hash} (version {card.schema_version}), but the features computed here "
            f"are {schema.hash} (version {schema.version}); train again: {card.command}"
        )
    if card.outputs != OUTPUTS:
        raise ConfigError(f"{where}: outputs {card.outputs}, must be {OUTPUTS}")


def edge_of(prediction: Sequence[float]) -> float | None:
    """Return P(up) - P(down), or None if the outputs are not probabilities."""
    if len(prediction) != len(OUTPUTS):
        return None
    down, flat, up = prediction
    total = down + flat + up
    # A sum that is not finite fails here too: every comparison with a NaN is false.
    if not (isfinite(total) and abs(total - 1.0) <= SUM_TOLERANCE and min(prediction) >= 0.0):
        return None
    return up - down
