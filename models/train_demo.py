"""Trains the demo's model on the sandbox's own seeded market, offline: the same seed gives the same bytes."""  # noqa: INP001

from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, TypeAlias

import click
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.sandbox.alpaca.core.price_walk import MarketQuote, MarketTrade, generate_market
from components.signals.core.features import SCHEMA, Features
from components.signals.core.model import OUTPUTS, ModelCard

Array: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

SYMBOLS: Final = ("AAPL", "MSFT", "NVDA", "SPY", "TSLA")
HORIZON_QUOTES: Final = 10
MOVE_BPS: Final = 1.0
"""About the sandbox's spread: a smaller move does not pay for an order."""
HIDDEN: Final = 32
BATCH: Final = 256
RATE: Final = 0.05
MOMENTUM: Final = 0.9
CLIP: Final = 5.0
"""In standard deviations: features further out than in training are clipped to this."""
OPSET: Final = 17
IR_VERSION: Final = 10
"""Supported by every ONNX Runtime of recent years."""


@dataclass(frozen=True, slots=True)
class Data:
    """Rows of features and what the price did next."""

    rows: Array
    labels: Labels


def generate_data(seed: int, quotes: int) -> Data:
    """Return the features of every symbol's market, computed by the code that trades live."""
    # Gaps are drawn from a wide range, a hundred quotes a second to one in ten seconds, so that the model works at
    # every speed.
    gaps = np.random.default_rng(seed)
    parts = [_of_symbol(symbol, seed, np.exp(gaps.uniform(np.log(1e7), np.log(1e10), quotes))) for symbol in SYMBOLS]
    return Data(np.concatenate([part.rows for part in parts]), np.concatenate([part.labels for part in parts]))


def _of_symbol(symbol: str, seed: int, gaps_ns: NDArray[np.float64]) -> Data:
    features = Features()
    at_ns, levels, rows = 0, [], []
    for (quote, trade), gap_ns in zip(islice(generate_market(symbol, seed), len(gaps_ns)), gaps_ns, strict=True):
        at_ns += int(gap_ns)
        rows.append(_step(features, quote, trade, at_ns))
        levels.append(np.log((quote.bid_cents + quote.ask_cents) / 2) * 10_000)
    moves = np.array(levels[HORIZON_QUOTES:]) - np.array(levels[:-HORIZON_QUOTES])
    labels = 1 + (moves > MOVE_BPS).astype(np.int64) - (moves < -MOVE_BPS)
    warm = [(row, label) for row, label in zip(rows, labels, strict=False) if row is not None]
    return Data(np.array([row for row, _ in warm], np.float32), np.array([label for _, label in warm], np.int64))


def _step(features: Features, quote: MarketQuote, trade: MarketTrade | None, at_ns: int) -> tuple[float, ...] | None:
    features.add_quote(quote.bid_cents / 100, quote.bid_size, quote.ask_cents / 100, quote.ask_size, at_ns)
    row = features.row()
    if trade is not None:
        features.add_trade(trade.price_cents / 100)
    return row


@dataclass(slots=True)
class Network:
    """Two hidden layers and a softmax, trained by plain gradient descent with momentum."""

    mean: Array
    scale: Array
    weights: list[Array]
    biases: list[Array]

    def forward(self, rows: Array) -> list[Array]:
        """Return every layer's output, the input first and the probabilities last."""
        layers = [np.clip((rows - self.mean) * self.scale, -CLIP, CLIP)]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layers.append(np.maximum(layers[-1] @ weight + bias, 0))
        scores = layers[-1] @ self.weights[-1] + self.biases[-1]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return [*layers, powers / powers.sum(axis=1, keepdims=True)]

    def gradients(self, rows: Array, labels: Labels) -> list[tuple[Array, Array]]:
        """Return the gradient of the cross-entropy for each layer, the first layer first."""
        *layers, answers = self.forward(rows)
        error = (answers - np.eye(len(OUTPUTS), dtype=np.float32)[labels]) / np.float32(len(labels))
        slopes: list[tuple[Array, Array]] = []
        for layer, weight in zip(reversed(layers), reversed(self.weights), strict=True):
            slopes.append((layer.T @ error, error.sum(axis=0)))
            error = (error @ weight.T) * (layer > 0)
        return slopes[::-1]


def train(data: Data, seed: int, epochs: int) -> Network:
    """Fit a fresh network; the rate falls to zero over the epochs."""
    random = np.random.default_rng(seed)
    network = _fresh(data.rows, random)
    parameters = [*network.weights, *network.biases]
    speeds = [np.zeros_like(one) for one in parameters]
    for epoch in range(epochs):
        rate = np.float32(RATE * (1 - epoch / epochs))
        order = random.permutation(len(data.labels))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            slopes = network.gradients(data.rows[some], data.labels[some])
            flat = [weight for weight, _ in slopes] + [bias for _, bias in slopes]
            for number, slope in enumerate(flat):
                speeds[number] = np.float32(MOMENTUM) * speeds[number] - rate * slope
                parameters[number] += speeds[number]
    return network


def _fresh(rows: Array, random: np.random.Generator) -> Network:
    sizes = [rows.shape[1], HIDDEN, HIDDEN, len(OUTPUTS)]
    weights = [
        (random.standard_normal((before, after)) * np.sqrt(2 / before)).astype(np.float32)
        for before, after in pairwise(sizes)
    ]
    scale = (1 / np.maximum(rows.std(axis=0), 1e-6)).astype(np.float32)
    return Network(rows.mean(axis=0), scale, weights, [np.zeros(size, np.float32) for size in sizes[1:]])


def export(network: Network) -> bytes:
    """Write the network as an ONNX file; scaling and clipping are part of it."""
    constants: dict[str, Array] = {
        "mean": network.mean,
        "scale": network.scale,
        "low": np.array(-CLIP, np.float32),
        "high": np.array(CLIP, np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["layer_0"]),
    ]
    last = len(network.weights) - 1
    for number, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        constants |= {f"weight_{number}": weight, f"bias_{number}": bias}
        inputs = [f"layer_{number}", f"weight_{number}", f"bias_{number}"]
        nodes.append(helper.make_node("Gemm", inputs, [f"sum_{number}"]))
        if number < last:
            nodes.append(helper.make_node("Relu", [f"sum_{number}"], [f"layer_{number + 1}"]))
    nodes.append(helper.make_node("Softmax", [f"sum_{last}"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "demo",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, len(SCHEMA.features)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(OUTPUTS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="xtrader")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_card(card: ModelCard) -> str:
    """Write the card as TOML."""
    lines = [f"{key} = {_toml(value)}" for key, value in card.model_dump().items()]
    return "# Written by the command below; edit that, not this.\n" + "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@click.command()
@click.option("--seed", default=41, show_default=True, help="Decides the market and every weight.")
@click.option("--quotes", default=20_000, show_default=True, help="Quotes of each symbol to learn from.")
@click.option("--epochs", default=12, show_default=True, help="How often every row is seen.")
@click.option("--out", default="models", show_default=True, type=click.Path(path_type=Path), help="Folder to write to.")
def main(seed: int, quotes: int, epochs: int, out: Path) -> None:
    """Train, export, and print the accuracy on a market that was not used for training."""
    network = train(generate_data(seed, quotes), seed, epochs)
    unseen = generate_data(seed + 1, quotes // 4)
    answers = network.forward(unseen.rows)[-1]
    accuracy = float((answers.argmax(axis=1) == unseen.labels).mean())
    content = export(network)
    card = ModelCard(
        name="demo",
        version=SCHEMA.version,
        file="demo.onnx",
        file_hash=blake2b(content, digest_size=16).hexdigest(),
        schema_version=SCHEMA.version,
        schema_hash=SCHEMA.hash,
        inputs=SCHEMA.names,
        outputs=OUTPUTS,
        horizon_quotes=HORIZON_QUOTES,
        move_bps=MOVE_BPS,
        command=f"python -m models.train_demo --seed {seed} --quotes {quotes} --epochs {epochs}",
        seed=seed,
        samples=quotes * len(SYMBOLS),
        accuracy=round(accuracy, 4),
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "demo.onnx").write_bytes(content)
    (out / "demo.toml").write_text(write_card(card))
    usual = float(np.bincount(unseen.labels).max() / len(unseen.labels))
    click.echo(f"out of sample: {accuracy:.1%} right ({usual:.1%} by always saying the same), {len(content)} bytes")


if __name__ == "__main__":
    main()
