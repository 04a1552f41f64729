"""The sandbox's verbs: run it, and look into it."""

import sys
from pathlib import Path
from typing import Any

import click

from components.contracts.errors import (
    Busy,
    ConfigError,
    DamagedData,
    IoFailed,
    PeerUnreachable,
    TradingError,
    UsageError,
)
from components.sandbox.config import SYMBOLS_DEFAULT, Settings, parse_symbols
from components.sandbox.core.session import SessionName

EXIT_CODES = {UsageError: 64, DamagedData: 65, PeerUnreachable: 69, IoFailed: 74, Busy: 75, ConfigError: 78}
PORT = click.IntRange(0, 65535)


@click.group(help="A faithful local Alpaca: trading REST, order updates, market data.")
def cli() -> None:
    """Group the verbs."""


@cli.command()
@click.option("--port", type=PORT, default=0, help="Trading and streams; 0 takes a free port.")
@click.option("--admin-port", type=PORT, default=0, help="The operator's side door; 0 takes a free port.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same market.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder of the books; without it nothing is kept.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1000),
    default=1.0,
    show_default=True,
    help="Events per second, never the clock; at 0 only an operator moves the market.",
)
@click.option("--symbols", default=SYMBOLS_DEFAULT, show_default=True, help="What is listed.")
@click.option("--session", type=click.Choice(list(SessionName)), default=SessionName.ALWAYS, show_default=True)
@click.option("--rate-limit-per-minute", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Say where the venue is as one line of JSON.")
def run(*, as_json: bool, **asked: Any) -> None:  # noqa: ANN401 - the options above type them
    """Serve a venue until SIGTERM; the first line says where it is and how to enter."""
    from components.sandbox.wiring import serve

    asked["symbols"] = parse_symbols(asked["symbols"])
    serve(Settings(**asked), as_json=as_json)


@cli.command()
@click.option("--url", required=True, help="The admin_url that `run` printed.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as one line of JSON.")
def state(url: str, *, as_json: bool) -> None:
    """Show a running venue's own view: orders, positions, counts."""
    from components.sandbox.report import read_state, state_lines

    found = read_state(url)
    click.echo(found if as_json else state_lines(found))


def main() -> None:
    """Run the verb; every error a person can cause is one line and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(64)
    except click.Abort:
        sys.exit(1)
    except TradingError as error:
        click.echo(f"xtrader-sandbox: {error}", err=True)
        sys.exit(EXIT_CODES.get(type(error), 70))
