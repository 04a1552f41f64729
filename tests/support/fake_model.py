"""A model with a fixed prediction."""

from collections.abc import Sequence

from components.signals.core.features import SCHEMA
from components.signals.core.model import OUTPUTS, ModelCard

CARD = ModelCard(
    name="fake",
    version=1,
    file="fake.onnx",
    file_hash="0" * 32,
    schema_version=SCHEMA.version,
    schema_hash=SCHEMA.hash,
    inputs=SCHEMA.names,
    outputs=OUTPUTS,
    horizon_quotes=10,
    move_bps=1.0,
    command="none",
    seed=0,
    samples=0,
    accuracy=0.0,
)
UP = (0.1, 0.2, 0.7)
DOWN = (0.7, 0.2, 0.1)
FLAT = (0.3, 0.4, 0.3)


class FakeModel:
    def __init__(self, answer: tuple[float, ...] = UP) -> None:
        self.card = CARD
        self.prediction = answer
        self.inputs: list[tuple[float, ...]] = []

    def predict(self, features: Sequence[float]) -> tuple[float, ...]:
        self.inputs.append(tuple(features))
        return self.prediction
