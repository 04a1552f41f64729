"""The sandbox's verbs: run it, and look into it."""

from pathlib import Path
from typing import Any

import click

from components.runtime.cli import answer, json_option

PORT = click.IntRange(0, 65535)


@click.group(help="A local venue that speaks Alpaca's protocols: trading, order updates, market data.")
def cli() -> None:
    """Group the verbs."""


@cli.command()
@click.option("--port", type=PORT, default=0, help="Trading and streams; 0 takes a free port.")
@click.option("--admin-port", type=PORT, default=0, help="The operator's side door; 0 takes a free port.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same market.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder of the books; without it nothing is kept.")
@click.option("--keys", type=click.Path(path_type=Path), help="Folder for the files `key` and `secret`.")
@click.option("--speed", type=click.FloatRange(0, 1000), default=1.0, show_default=True, help="Events, not the clock.")
@click.option("--symbols", default="AAPL,MSFT,NVDA,SPY,TSLA", show_default=True, help="What is listed.")
@click.option("--session", type=click.Choice(["always", "nyse"]), default="always", show_default=True)
@click.option("--rate-limit-per-minute", type=click.IntRange(min=1), default=200, show_default=True)
@json_option
def run(*, as_json: bool, **asked: Any) -> None:  # noqa: ANN401  # the options above type them
    """Serve a venue until SIGTERM.

    The first line says where it is and how to enter. At speed 0 only an operator moves the market.
    """
    from components.runtime.stopping import StopSignals

    with StopSignals().installed() as signals:
        from components.sandbox.config import check
        from components.sandbox.wiring import serve

        serve(check(asked), signals, as_json=as_json)


@cli.command()
@click.option("--url", required=True, help="The admin_url that `run` printed.")
@json_option
def state(url: str, *, as_json: bool) -> None:
    """Show a running venue's own view: orders with their histories, positions, counts."""
    from components.sandbox.report import read_state, state_lines

    found = read_state(url)
    answer(found, as_json=as_json, text=state_lines(found))
