"""The shipped model matches its card, and training it again gives the same bytes."""

import shutil
from hashlib import blake2b
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.contracts.errors import ConfigError
from components.signals.core.features import SCHEMA, FeatureSchema
from components.signals.core.model import edge_of
from components.signals.venues.onnx import load_model, read_card
from models.train_demo import main

pytestmark = pytest.mark.integration

MODELS = Path(__file__).resolve().parents[2] / "models"
SHIPPED = MODELS / "demo.toml"
BYTES_MAX = 100 * 1024


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("demo.toml", "demo.onnx"):
        shutil.copy(MODELS / name, tmp_path)
    return tmp_path / "demo.toml"


def test_the_shipped_model_matches_its_card_and_the_features() -> None:
    model = load_model(SHIPPED, SCHEMA)
    assert (MODELS / model.card.file).stat().st_size < BYTES_MAX
    assert model.card.accuracy > 0.4


def test_each_row_is_predicted_independently_with_probabilities() -> None:
    model = load_model(SHIPPED, SCHEMA)
    rows = [[number] * len(SCHEMA.features) for number in (0.0, 1.0, -1.0, 1e30, -1e30)]
    predictions = [model.predict(row) for row in rows]
    assert all(edge_of(answer) is not None for answer in predictions)
    assert len(set(predictions)) == len(rows)
    assert predictions == [model.predict(row) for row in rows]


def test_pressure_on_the_bid_gives_a_positive_edge_and_on_the_ask_a_negative_one() -> None:
    model = load_model(SHIPPED, SCHEMA)
    edges = []
    for pressure in (-0.8, 0.0, 0.8):
        row = dict.fromkeys(SCHEMA.names, 0.0)
        row |= {"spread": 1.5, "volatility_20": 0.4, "imbalance": pressure, "imbalance_5": pressure}
        edges.append(edge_of(model.predict([*row.values()])) or 0.0)
    assert edges[0] < -0.25
    assert edges[0] < edges[1] < edges[2]
    assert edges[2] > 0.25


def test_a_model_file_that_was_altered_is_refused(copied: Path) -> None:
    file = copied.with_suffix(".onnx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="file_hash"):
        load_model(copied, SCHEMA)


def test_a_model_of_other_features_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train again: python -m models\.train_demo"):
        load_model(SHIPPED, FeatureSchema(SCHEMA.version + 1, SCHEMA.features))


def test_a_model_that_is_not_there_is_refused(copied: Path) -> None:
    copied.with_suffix(".onnx").unlink()
    with pytest.raises(ConfigError, match=r"demo\.onnx: No such file"):
        load_model(copied, SCHEMA)


@pytest.mark.parametrize("text", ["", "nonsense", 'name = "demo"', "\xff"])
def test_an_invalid_card_is_refused(copied: Path, text: str) -> None:
    copied.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match="not a model card"):
        read_card(copied)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a"])
def test_a_file_that_is_not_a_model_is_refused(copied: Path, content: bytes) -> None:
    copied.with_suffix(".onnx").write_bytes(content)
    card = read_card(copied)
    true_hash = blake2b(content, digest_size=16).hexdigest()
    copied.write_text(copied.read_text().replace(card.file_hash, true_hash))
    with pytest.raises(ConfigError, match="cannot load"):
        load_model(copied, SCHEMA)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    def train(name: str, seed: int) -> tuple[bytes, str]:
        out = tmp_path / name
        arguments = ["--seed", str(seed), "--quotes", "600", "--epochs", "2", "--out", str(out)]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.output.startswith("out of sample: ")
        load_model(out / "demo.toml", SCHEMA)
        return (out / "demo.onnx").read_bytes(), (out / "demo.toml").read_text()

    first = train("first", 3)
    assert train("second", 3) == first
    assert train("third", 4)[0] != first[0]
