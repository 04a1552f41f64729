"""The umbrella's verbs, and every component's verbs under its name.

The verbs that look into the configuration; nothing needs to run.

The verbs that look into a journal's folder; nothing needs to run.

The drills' verbs.

The verb `xtrader simulate`.
"""

from typing import TYPE_CHECKING, Any

import click

from components.runtime.cli import LazyGroup, json_option, print_result, to_json

if TYPE_CHECKING:
    from components.xtrader.configuration import ConfigKey
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

LAZY_COMMANDS = {
    "market-data": ("components.market_data.cli:cli", "Venue feeds: run, and look into them."),
    "signals": ("components.signals.cli:cli", "Features and the model: run, and look into them."),
    "risk": ("components.risk.cli:cli", "The only gate: run, look into it, halt and resume."),
    "execution": ("components.execution.cli:cli", "Orders at the venue: run, and look into them."),
    "sandbox": ("components.sandbox.cli:cli", "A local venue that speaks Alpaca's protocols."),
    "config": ("components.xtrader.cli:config", "What is configured, and where each key comes from."),
    "journal": ("components.xtrader.cli:journal", "Verify a journal's hash chain, or read it."),
    "drill": ("components.xtrader.cli:drill", "Hurt a system of its own, and prove what it kept."),
    "simulate": ("components.xtrader.cli:simulate", "Crash all four at every effect, in one process."),
}


@click.group(
    cls=LazyGroup, lazy=LAZY_COMMANDS, help="Trade on one machine: start everything, watch it, ask it questions."
)
def cli() -> None:
    """Group the verbs."""


@cli.command()
@click.option("--headless", is_flag=True, help="Plain lines also on a terminal.")
@click.option("--for", "for_s", type=click.FloatRange(min=0), help="Seconds to trade, counted from ready.")
@click.option("--fresh", is_flag=True, help="Set the old state aside (never deleted) and begin anew.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="The sandbox's market.")
@click.option("--speed", type=click.FloatRange(min=0, max=1000), help="The sandbox's events per second, as a factor.")
@json_option
def up(*, headless: bool, as_json: bool, **options: Any) -> int:  # noqa: ANN401  # the options above type them
    """Start everything in order of readiness and trade until Ctrl-C or --for; on a terminal with a live view."""
    import sys

    from components.xtrader.up.console import format_summary
    from components.xtrader.wiring import run_trading

    live = not headless and sys.stdout.isatty()
    result = run_trading(as_json=as_json, live=live, **options)
    print_result(result, as_json=as_json, text=format_summary(result))
    return 0 if result["ok"] else 1


@cli.command()
@json_option
def status(*, as_json: bool) -> int:
    """Say of each component whether it runs and is ready; exit 1 where one is not."""
    from components.runtime.config.settings import load_settings
    from components.xtrader.supervisor.health import component_statuses

    settings = load_settings()
    found = component_statuses(settings.paths, with_sandbox=settings.paths.env == "dev")
    plain = {"ok": all(one.state == "ready" for one in found), "components": [one.as_dict() for one in found]}
    print_result(plain, as_json=as_json, text="\n".join(one.as_text() for one in found))
    return 0 if plain["ok"] else 1


@cli.command()
@click.option("--within", "within_s", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds.")
@json_option
def down(within_s: float, *, as_json: bool) -> int:
    """Stop a running `up` in order, as Ctrl-C there would; exit 69 where none runs, 1 where it does not stop."""
    from threading import Event

    from components.runtime.clock import SystemClock
    from components.runtime.config.settings import load_settings
    from components.xtrader.up.run import stop_running_up

    pid, stopped = stop_running_up(load_settings().paths, SystemClock(), lambda ms: Event().wait(ms / 1e3), within_s)
    text = f"process {pid} stopped" if stopped else f"process {pid} still runs after {within_s:.0f} s"
    print_result({"pid": pid, "stopped": stopped}, as_json=as_json, text=text)
    return 0 if stopped else 1


@cli.command()
@json_option
def doctor(*, as_json: bool) -> int:
    """Look for whatever would keep `up` from running, and say how to mend it; exit 1 where something would."""
    from components.xtrader.doctor.installation import run_checks

    found = run_checks()
    facts = {"ok": not any(one.is_blocker for one in found), "findings": [one.as_dict() for one in found]}
    print_result(facts, as_json=as_json, text="\n".join(line for one in found for line in one.text_lines()))
    return 0 if facts["ok"] else 1


@cli.command()
@click.argument("order")
@json_option
def explain(order: str, *, as_json: bool) -> int:
    """Tell an order's whole story from the journals: its client order, intent or signal id, or `last`; exit 1 if none.

    Nothing needs to run. A signal that risk refused has a story too.
    """
    from components.xtrader.explain.explain import explain_order

    story = explain_order(order)
    if story is None:
        print_result({"order": order, "found": False}, as_json=as_json, text=f"no journal knows an order {order}")
        return 1
    print_result({"found": True, **story.as_dict()}, as_json=as_json, text="\n".join(story.text_lines()))
    return 0


@click.group()
def config() -> None:
    """Look into the configuration; nothing needs to run."""


@config.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check every table of every component; exit 78 with one line for each mistake."""
    from components.runtime.config.settings import check_all
    from components.xtrader.configuration import table_models

    checked = check_all(table_models())
    facts = {"ok": True, "env": checked.paths.env, "account": checked.paths.account, "tables": sorted(checked.tables)}
    tables = ", ".join(sorted(checked.tables))
    text = f"{checked.paths.env}: every table is right ({tables})"
    print_result(facts, as_json=as_json, text=text)


@config.command()
@click.option("--origins", is_flag=True, help="Name the file or variable that decides each key.")
@click.option("--table", help="Only this table, as risk or risk.limits.")
@json_option
def show(table: str | None, *, origins: bool, as_json: bool) -> None:
    """Show every key as it holds, all layers together; secrets stay references."""
    from components.contracts.errors import UsageError
    from components.xtrader.configuration import list_keys, nested_values

    found = list_keys(table)
    if not found:
        known = ", ".join(sorted({one.name.partition(".")[0] for one in list_keys(None)}))
        raise UsageError(f"--table {table}: no such table; there are {known}")
    if as_json:
        click.echo(to_json({"config": nested_values(found), **({"origins": _origins(found)} if origins else {})}))
    else:
        width = max(len(one.as_toml()) for one in found)
        click.echo(
            "\n".join(f"{one.as_toml():<{width}}  # {one.origin}" if origins else one.as_toml() for one in found)
        )


@config.command()
@json_option
def schema(*, as_json: bool) -> None:
    """Print the JSON schema of all tables: each key with its kind and range."""
    import json

    from components.xtrader.configuration import json_schema

    found = json_schema()
    click.echo(to_json(found) if as_json else json.dumps(found, indent=1))


@config.command("make-seal")
@json_option
def create_seal_key(*, as_json: bool) -> None:
    """Make the key that risk and execution share, once; an existing one is never touched."""
    from components.runtime.config.secrets import create_seal_key as make
    from components.runtime.config.settings import load_settings

    places = load_settings().paths
    made = make(places)
    text = f"{places.seal_key()}: " + ("made" if made else "was there already, left as it is")
    print_result({"made": made, "path": str(places.seal_key())}, as_json=as_json, text=text)


def _origins(keys: "list[ConfigKey]") -> dict[str, str]:
    return {one.name: one.origin for one in keys}


@click.group()
def journal() -> None:
    """Look into a journal's folder; nothing needs to run."""


@journal.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def journal_verify(folder: Path, *, as_json: bool) -> int:
    """Follow the hash chain from the first record; exit 65 where it breaks."""
    from components.contracts.errors import CorruptData
    from components.runtime.cli import EXIT_CODES
    from components.xtrader.journals import verify

    found = verify(folder)
    print_result(found, as_json=as_json)
    return 0 if found["ok"] else EXIT_CODES[CorruptData]


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


KILLS_DEFAULT: Final = 20


@click.group(help="Hurt a system of its own on purpose, and prove what it kept.")
def drill() -> None:
    """Group the drills."""


@drill.command()
@click.option("--kills", type=click.IntRange(min=1), help=f"How many processes to kill [default: {KILLS_DEFAULT}].")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same plan.")
@click.option("--for", "for_s", type=click.FloatRange(min=1), help="Kill for so many seconds; with --kills, at most.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder to keep the state in; else it is a passing one.")
@json_option
def kill(*, kills: int | None, seed: int, for_s: float | None, state: Path | None, as_json: bool) -> int:
    """Kill random processes of a trading system; exit 0 only if nothing was doubled or lost.

    The system is an `up` of its own in the sandbox, beside any other that runs. A folder of state is kept where the
    proof fails.
    """
    from components.xtrader.drills.process_kills import (
        PROCESS_NAMES,
        kill_report_text,
        kill_schedule,
        limit_kills,
        run_kill_drill,
    )

    plan = limit_kills(kill_schedule(PROCESS_NAMES, seed), kills if kills or for_s else KILLS_DEFAULT)
    with TemporaryDirectory(prefix="xtrader-") as run:
        found = run_kill_drill(state, Path(run), plan, for_s=for_s, seed=seed)
    if found["ok"] and state is None:
        shutil.rmtree(found["state"], ignore_errors=True)
    print_result(found, as_json=as_json, text=kill_report_text(found))
    return 0 if found["ok"] else 1


@drill.command()
@click.option("--for", "for_s", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Lie so long.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same lies.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder to keep the state in; else it is a passing one.")
@json_option
def feeds(*, for_s: float, seed: int, state: Path | None, as_json: bool) -> int:
    """Break the crypto venues' feeds at random; exit 0 only if every published book was the venue's own.

    Connections are cut, mute or slow, frames lost, doubled, swapped or nonsense, images old or refused. Each published
    top is held against the venue's book at the same id.
    """
    from components.xtrader.drills.feed_faults import feed_report_text, run_feed_drill

    with TemporaryDirectory(prefix="xtrader-") as run:
        found = run_feed_drill(state, Path(run), for_s=for_s, seed=seed)
    if found["ok"] and state is None:
        shutil.rmtree(found["state"], ignore_errors=True)
    print_result(found, as_json=as_json, text=feed_report_text(found))
    return 0 if found["ok"] else 1


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first run's seed.")
@click.option("--runs", type=click.IntRange(min=1), help="So many runs, whatever they crash.")
@click.option(
    "--crash-points", type=click.IntRange(min=1), default=1_000, show_default=True, help="As many runs as this takes."
)
@click.option("--every", type=click.IntRange(min=1), help="One seed only, crashed before each of its first effects.")
@click.option("--crash-at", type=click.IntRange(min=1), help="One run of it: crashed before this effect.")
@json_option
def simulate(
    *, seed: int, runs: int | None, crash_points: int, every: int | None, crash_at: int | None, as_json: bool
) -> int:
    """Crash all four services at random effects and hold them to their promises; exit 1 with the seed of a broken one.

    Nothing real is touched: files, clocks, network and venue are simulated, and one seed always gives the same run.
    """
    from components.runtime.clock import SystemClock
    from components.xtrader.simulation.campaign import random_runs, runs_crashed_at, summarize

    if crash_at is not None:
        reports = runs_crashed_at(seed, (crash_at,))
    elif every is not None:
        reports = runs_crashed_at(seed, range(1, every + 1))
    else:
        reports = random_runs(seed, runs, crash_points)
    figures = summarize(reports, SystemClock())
    print_result(figures, as_json=as_json, text=figures.as_text())
    return 1 if figures.violations else 0
