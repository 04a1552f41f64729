"""Commands of the sandbox: run it, inspect its state, switch faults on and off."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.runtime.cli import json_option, print_result, usage_error

if TYPE_CHECKING:
    from components.sandbox.transport.faults import AlpacaFault, CryptoFault

PORT = click.IntRange(0, 65535)
RECORDING = click.Path(exists=True, dir_okay=False, path_type=Path)
SCALE = click.FloatRange(0.001, 1000)
RATE = click.FloatRange(0, 10_000)
url_option = click.option("--url", help="The admin_url that `run` printed; default: the sandbox of `xtrader up`.")


@click.group(help="Local venues: Alpaca trading, order updates and data; Binance, OKX and Deribit data.")
def cli() -> None:
    """Group the commands."""


@cli.command()
@click.option("--port", type=PORT, default=0, help="Port of trading and streams; 0 takes a free port.")
@click.option("--admin-port", type=PORT, default=0, help="Port of the admin API; 0 takes a free port.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Seed of the simulated markets.")
@click.option(
    "--state", type=click.Path(path_type=Path), help="Folder of the state database; without it nothing is stored."
)
@click.option(
    "--keys", type=click.Path(path_type=Path), help="Write the API key to this folder, as the files `key` and `secret`."
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 1000),
    default=1.0,
    show_default=True,
    help="Speed of markets and recordings; the clock is not scaled.",
)
@click.option("--symbols", default="AAPL,MSFT,NVDA,SPY,TSLA", show_default=True, help="Symbols that alpaca lists.")
@click.option(
    "--session",
    type=click.Choice(["always", "nyse"]),
    default="always",
    show_default=True,
    help="Opening hours of alpaca: always, or those of the New York Stock Exchange.",
)
@click.option(
    "--rate-limit-per-minute",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="REST requests per minute of alpaca, for trading and for data each.",
)
@click.option(
    "--venues", default="alpaca", show_default=True, help="Venues to serve: alpaca,binance,binanceum,okx,deribit."
)
@click.option("--venue-ports", default="", help="Fixed ports, as binance=9001,okx=9002; others take free ports.")
@click.option("--recording", multiple=True, type=RECORDING, help="Serve this file as its crypto venue; repeatable.")
@click.option(
    "--heartbeat-scale",
    type=SCALE,
    default=1.0,
    show_default=True,
    help="Scale of ping intervals, idle timeouts and ages of crypto connections.",
)
@click.option(
    "--crypto-rate", type=RATE, default=50.0, show_default=True, help="Updates per second of each crypto book."
)
@json_option
def run(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # the options above type them
    """Serve the venues until SIGTERM.

    The first line of the output holds the addresses and the credentials. At speed 0 the markets move only through the
    admin API.
    """
    from components.runtime.process.shutdown import ShutdownSignals

    with ShutdownSignals().installed() as signals:
        from components.sandbox.config import settings_from_options
        from components.sandbox.wiring import serve

        serve(settings_from_options(options), signals, as_json=as_json)


@cli.command()
@url_option
@json_option
def state(url: str | None, *, as_json: bool) -> None:
    """Show the state of a running venue.

    Cash, counts, positions and the latest orders; with --json also each order's history.
    """
    from components.sandbox.admin_client import admin_url, read_state, state_lines

    found = read_state(admin_url(url))
    print_result(found, as_json=as_json, text=state_lines(found))


@cli.command()
@url_option
@click.option(
    "--last", type=click.IntRange(min=1), default=20, show_default=True, help="Number of orders to show, newest last."
)
@json_option
def orders(url: str | None, last: int, *, as_json: bool) -> None:
    """Show the venue's own list of orders, read from its ledger."""
    from components.sandbox.admin_client import admin_url, order_line, read_orders

    found = read_orders(admin_url(url))
    shown = found[-last:]
    text = "\n".join([*map(order_line, shown), f"{len(found)} orders"])
    print_result({"orders": shown, "total": len(found)}, as_json=as_json, text=text)


@cli.command()
@url_option
@click.option("--arm", "kind", help="Kind of fault to arm, for example accept_then_504 (alpaca) or drop (crypto).")
@click.option("--times", type=click.IntRange(min=1), default=1, show_default=True, help="Occasions that fail.")
@click.option(
    "--skip",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Occasions that pass before the first one fails.",
)
@click.option(
    "--ms", type=click.IntRange(min=0), default=0, show_default=True, help="Milliseconds, for faults that delay."
)
@click.option(
    "--status",
    type=click.IntRange(400, 599),
    default=503,
    show_default=True,
    help="HTTP status, for faults that respond with one.",
)
@click.option("--venue", default="*", show_default=True, help="Crypto: only at this venue.")
@click.option("--symbol", default="*", show_default=True, help="Crypto: only this symbol, by the venue's own name.")
@click.option("--topic", default="*", show_default=True, help="Crypto: only frames of this topic: book, quote, trade.")
@click.option("--code", type=int, default=1011, show_default=True, help="Crypto: code of close and reject_subscribe.")
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Crypto: ids are lowered, or REST books lag, by this.",
)
@click.option(
    "--retry-after-s", type=click.IntRange(min=0), default=0, help="Crypto: Retry-After header; 0 sends none."
)
@click.option("--clear", "is_clearing", is_flag=True, help="Disarm all faults first.")
@json_option
def faults(url: str | None, kind: str | None, *, is_clearing: bool, as_json: bool, **how: Any) -> None:  # noqa: ANN401
    """Show, arm or clear faults.

    Armed faults drop, delay, duplicate, reject, corrupt or stop what clients receive.
    """
    from components.sandbox.admin_client import admin_url, arm_fault, clear_faults, fault_line, read_faults

    admin = admin_url(url)
    if is_clearing:
        clear_faults(admin)
    if kind:
        arm_fault(admin, _fault(kind, **how))
    found = read_faults(admin)
    text = "\n".join(map(fault_line, found)) or "no fault is armed"
    print_result({"faults": found}, as_json=as_json, text=text)


def _fault(kind: str, **how: Any) -> "AlpacaFault | CryptoFault":  # noqa: ANN401  # the options above type them
    from components.sandbox.transport.faults import AlpacaFault, AlpacaFaultKind, CryptoFault, CryptoFaultKind

    if kind in set(CryptoFaultKind):
        return CryptoFault(kind=CryptoFaultKind(kind), **how)
    if kind not in set(AlpacaFaultKind):
        usage_error(f"--arm: no fault {kind!r}; there are {', '.join([*AlpacaFaultKind, *CryptoFaultKind])}")
    return AlpacaFault(kind=AlpacaFaultKind(kind), **{name: how[name] for name in ("times", "skip", "ms", "status")})
