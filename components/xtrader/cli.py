"""The umbrella's verbs, and every component's verbs under its name."""

from pathlib import Path
from typing import Any

import click

from components.runtime.cli import LazyGroup, answer, json_option, to_json

COMPONENTS = {
    "market-data": ("components.market_data.cli:cli", "Venue feeds: run, and look into them."),
    "signals": ("components.signals.cli:cli", "Features and the model: run, and look into them."),
    "risk": ("components.risk.cli:cli", "The only gate: run, look into it, halt and resume."),
    "execution": ("components.execution.cli:cli", "Orders at the venue: run, and look into them."),
    "sandbox": ("components.sandbox.cli:cli", "A local venue that speaks Alpaca's protocols."),
}


@click.group(cls=LazyGroup, lazy=COMPONENTS, help="Trade on one machine: start everything, watch it, ask it questions.")
def cli() -> None:
    """Group the verbs."""


@cli.command()
@click.option("--headless", is_flag=True, expose_value=False, help="Plain lines only (they are all there is yet).")
@click.option("--for", "for_s", type=click.FloatRange(min=0), help="Seconds to trade, counted from ready.")
@click.option("--fresh", is_flag=True, help="Set the old state aside (never deleted) and begin anew.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="The sandbox's market.")
@click.option("--speed", type=click.FloatRange(min=0, max=1000), help="The sandbox's events per second, as a factor.")
@json_option
def up(*, as_json: bool, **asked: Any) -> int:  # noqa: ANN401  # the options above type them
    """Start everything in order of readiness and trade until Ctrl-C or --for."""
    from components.xtrader.wiring import trade

    result = trade(as_json=as_json, **asked)
    answer(result, as_json=as_json, text=_summary(result))
    return 0 if result["ok"] else 1


@cli.command()
@json_option
def status(*, as_json: bool) -> int:
    """Say of each component whether it runs and is ready; exit 1 where one is not."""
    from components.runtime.config import load
    from components.xtrader.status import conditions

    settings = load()
    found = conditions(settings.places, with_sandbox=settings.places.env == "dev")
    plain = {"ok": all(one.state == "ready" for one in found), "components": [one.plain() for one in found]}
    answer(plain, as_json=as_json, text="\n".join(one.line() for one in found))
    return 0 if plain["ok"] else 1


@cli.group()
def journal() -> None:
    """Look into a journal's folder; nothing needs to run."""


@journal.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def journal_verify(folder: Path, *, as_json: bool) -> int:
    """Follow the hash chain from the first record; exit 65 where it breaks."""
    from components.contracts.errors import DamagedData
    from components.runtime.process import EXITS
    from components.xtrader.journals import verify

    found = verify(folder)
    answer(found, as_json=as_json)
    return 0 if found["ok"] else EXITS[DamagedData]


@journal.command("dump")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--from", "from_sequence", type=click.IntRange(min=1), default=1, show_default=True)
@json_option
def journal_dump(folder: Path, from_sequence: int, *, as_json: bool) -> None:
    """Print each record, one a line."""
    from components.xtrader.journals import dump

    for row in dump(folder, from_sequence):
        entry = row.get("entry", row.get("unreadable"))
        click.echo(to_json(row) if as_json else f"{row['sequence']:>8} {row['kind'] or '?':<20} {to_json(entry)}")


@cli.group()
def config() -> None:
    """Look into the configuration; nothing needs to run."""


@config.command("check")
@json_option
def config_check(*, as_json: bool) -> None:
    """Check every table of every component; exit 78 with one line for each mistake."""
    from components.runtime.config import check_all
    from components.xtrader.schemas import models

    checked = check_all(models())
    facts = {"ok": True, "env": checked.places.env, "account": checked.places.account, "tables": sorted(checked.tables)}
    tables = ", ".join(sorted(checked.tables))
    text = f"{checked.places.env}: every table is right ({tables})"
    answer(facts, as_json=as_json, text=text)


@config.command("make-seal")
@json_option
def config_make_seal(*, as_json: bool) -> None:
    """Make the key that risk and execution share, once; an existing one is never touched."""
    from components.runtime.config import load
    from components.runtime.secrets import make_seal

    places = load().places
    made = make_seal(places)
    text = f"{places.seal()}: " + ("made" if made else "was there already, left as it is")
    answer({"made": made, "path": str(places.seal())}, as_json=as_json, text=text)


def _summary(result: dict[str, Any]) -> str:
    orders = ", ".join(f"{count} {name}" for name, count in result["orders"].items())
    held = ", ".join(f"{quantity} {symbol}" for symbol, quantity in result["positions"].items()) or "flat"
    verdict = "ok" if result["ok"] else f"not ok: {result['problem']}"
    return f"{verdict}\norders: {orders}; fills: {result['fills']}; gaps: {result['bus']['gaps']}\npositions: {held}"
