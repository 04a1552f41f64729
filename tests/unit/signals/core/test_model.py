"""A model is accepted only if it matches its card, and its outputs only if they are probabilities."""

import math

import pytest

from components.contracts.errors import ConfigError
from components.signals.core.features import SCHEMA, FeatureSchema
from components.signals.core.model import ModelCard, check_card, edge_of
from tests.support.fake_model import CARD

WHERE = "models/fake.toml"


def altered(**changes: object) -> ModelCard:
    return CARD.model_copy(update=changes)


def test_a_matching_card_is_accepted() -> None:
    check_card(CARD, SCHEMA, CARD.file_hash, WHERE)


@pytest.mark.parametrize(
    ("card", "schema", "file_hash", "named"),
    [
        (CARD, SCHEMA, "1" * 32, "file_hash"),
        (CARD, FeatureSchema(2, SCHEMA.features), CARD.file_hash, "schema_hash"),
        (CARD, FeatureSchema(1, SCHEMA.features[::-1]), CARD.file_hash, "schema_hash"),
        (altered(inputs=SCHEMA.names[::-1]), SCHEMA, CARD.file_hash, "schema_hash"),
        (altered(outputs=("up", "flat", "down")), SCHEMA, CARD.file_hash, "outputs"),
    ],
)
def test_a_card_that_does_not_match_is_refused_by_name(
    card: ModelCard, schema: FeatureSchema, file_hash: str, named: str
) -> None:
    with pytest.raises(ConfigError, match=f"{WHERE}: {named}"):
        check_card(card, schema, file_hash, WHERE)


@pytest.mark.parametrize(
    ("prediction", "edge"),
    [
        ((0.1, 0.2, 0.7), 0.6),
        ((0.7, 0.2, 0.1), -0.6),
        ((0.0, 1.0, 0.0), 0.0),
        ((0.5, 0.5), None),
        ((0.25, 0.25, 0.25, 0.25), None),
        ((), None),
        ((math.nan, 0.5, 0.5), None),
        ((math.inf, -math.inf, 1.0), None),
        ((-0.1, 0.5, 0.6), None),
        ((0.5, 0.5, 0.5), None),
        ((0.0, 0.0, 0.0), None),
    ],
)
def test_an_edge_comes_from_probabilities_only(prediction: tuple[float, ...], edge: float | None) -> None:
    assert edge_of(prediction) == (None if edge is None else pytest.approx(edge))
