"""Commands of signals: run the process, show the model, predict, compute features."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.runtime.cli import json_option, print_result, usage_error

if TYPE_CHECKING:
    from components.signals.core.model import Model


@click.group(help="Features, model and strategy: intents from market data.")
def cli() -> None:
    """Group the commands."""


@cli.command()
def run() -> None:
    """Serve until SIGTERM."""
    from components.runtime.process.process import run_process
    from components.signals.wiring import signals

    with run_process("signals") as process:
        signals(process)


@cli.command()
@click.argument("card", required=False, type=click.Path(path_type=Path))
@json_option
def model(card: Path | None, *, as_json: bool) -> None:
    """Show the model's card and check its hashes.

    CARD is the path of a model card; without it the configured model is shown.
    """
    print_result(_model(card).card.model_dump(), as_json=as_json)


@cli.command()
@click.argument("features")
@json_option
def predict(features: str, *, as_json: bool) -> None:
    """Run the model on one row of features.

    FEATURES is a JSON object {name: number} or a list in the order of the schema.
    """
    from components.signals.core.features import SCHEMA
    from components.signals.core.model import edge_of

    prediction = _model(None).predict(_parse_features(features, SCHEMA.names))
    facts = {"prediction": prediction, "edge": edge_of(prediction)}
    print_result(facts, as_json=as_json)


@cli.command()
@click.option("--symbol", help="Only this symbol.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many rows.")
@json_option
def features(symbol: str | None, count: int | None, *, as_json: bool) -> None:
    """Compute features from the live market, one row per quote.

    A symbol has no row until it has received enough quotes.
    """
    for facts in islice(_feature_rows(symbol), count):
        print_result(facts, as_json=as_json, text=" ".join(f"{key}={_format(value)}" for key, value in facts.items()))


def _model(card: Path | None) -> "Model":
    from components.runtime.config.settings import load_settings
    from components.signals.config import SignalsConfig
    from components.signals.core.features import SCHEMA
    from components.signals.venues.onnx import load_model

    if card is None:
        settings = load_settings({"signals": SignalsConfig})
        card = settings.paths.root / settings.table("signals", SignalsConfig).model
    return load_model(card, SCHEMA)


def _parse_features(text: str, names: tuple[str, ...]) -> list[float]:
    import msgspec

    try:
        given = msgspec.json.decode(text, type=dict[str, float] | list[float])
    except msgspec.MsgspecError as error:
        usage_error(f"features: {error}")
    if isinstance(given, list):
        given = dict(zip(names, given, strict=False)) if len(given) == len(names) else {}
    if set(given) != set(names):
        usage_error(f"features: one number for each of {', '.join(names)}")
    return [given[name] for name in names]


def _feature_rows(symbol: str | None) -> Iterator[dict[str, Any]]:
    from components.contracts.market import Quote, Trade
    from components.contracts.streams import MARKET
    from components.runtime.bus.bus import follow
    from components.runtime.config.settings import load_settings
    from components.signals.core.features import SCHEMA, Features
    from components.signals.core.symbol_state import SymbolState

    only = symbol.upper() if symbol else None
    states: dict[str, SymbolState] = {}
    for message in follow(load_settings().paths.run, MARKET):
        body = message.body
        if isinstance(body, Quote | Trade) and only in (None, body.symbol):
            state = states.setdefault(body.symbol, SymbolState(Features()))
            if isinstance(body, Trade):
                state.apply_trade(body)
            elif state.apply_quote(body, message.offset) and (row := state.features.row()):
                yield {"symbol": body.symbol, **dict(zip(SCHEMA.names, row, strict=True))}


def _format(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
