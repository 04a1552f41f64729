"""The `xtrader` command line: the umbrella's own commands, and every component's commands under its name.

Heavy modules are imported inside the commands, so that `--help` stays fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from components.runtime.cli import LazyGroup, json_option, print_result, to_json

if TYPE_CHECKING:
    from components.xtrader.configuration import ConfigKey

COMPONENT_COMMANDS: Final = {
    "market-data": ("components.market_data.cli:cli", "Venue feeds: run, inspect, record, replay."),
    "signals": ("components.signals.cli:cli", "Features and the model: run, inspect."),
    "risk": ("components.risk.cli:cli", "Order approval: run, inspect, halt and resume."),
    "execution": ("components.execution.cli:cli", "Orders at the venue: run, inspect."),
    "sandbox": ("components.sandbox.cli:cli", "A local venue with the APIs of the real ones."),
}
KILLS_DEFAULT: Final = 20
RUN_DIR_PREFIX: Final = "xtrader-"


@click.group(
    cls=LazyGroup, lazy=COMPONENT_COMMANDS, help="A trading system on one machine: start, watch, explain, stop."
)
def cli() -> None:
    """Define the root group; the commands below register themselves with it."""


@cli.command()
@click.option("--headless", is_flag=True, help="Plain lines instead of the live view.")
@click.option("--for", "for_s", type=click.FloatRange(min=0), help="Seconds to trade, counted from ready.")
@click.option("--fresh", is_flag=True, help="Archive the old state (nothing is deleted) and start without it.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Seed of the sandbox's market.")
@click.option("--speed", type=click.FloatRange(min=0, max=1000), help="Speed of the sandbox's markets [default: 1].")
@json_option
def up(*, headless: bool, as_json: bool, **options: Any) -> int:  # noqa: ANN401  # the options above type them
    """Start all processes and trade.

    Processes start in dependency order. The run ends with Ctrl-C or after --for. On a terminal the live view is shown.
    """
    import sys

    from components.xtrader.up.console import format_summary
    from components.xtrader.wiring import run_trading

    is_live = not headless and sys.stdout.isatty()
    result = run_trading(as_json=as_json, is_live=is_live, **options)
    print_result(result, as_json=as_json, text=format_summary(result))
    return 0 if result["ok"] else 1


@cli.command()
@json_option
def status(*, as_json: bool) -> int:
    """Print the state of each component.

    Exit 1 if any is not ready.
    """
    from components.runtime.config.settings import load_settings
    from components.xtrader.supervisor.health import component_statuses

    paths = load_settings().paths
    statuses = component_statuses(paths, with_sandbox=paths.env == "dev")
    result = {"ok": all(one.state == "ready" for one in statuses), "components": [one.as_dict() for one in statuses]}
    print_result(result, as_json=as_json, text="\n".join(one.as_text() for one in statuses))
    return 0 if result["ok"] else 1


@cli.command()
@click.option(
    "--within", "within_s", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait."
)
@json_option
def down(within_s: float, *, as_json: bool) -> int:
    """Stop a running `up` gracefully.

    It ends as with Ctrl-C. Exit 69 if none is running, 1 if it does not stop in time.
    """
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
    """Check what would prevent `up` from starting.

    A fix is printed for each problem. Exit 1 if any was found.
    """
    from components.xtrader.doctor.installation import run_checks

    findings = run_checks()
    result = {"ok": not any(one.is_blocker for one in findings), "findings": [one.as_dict() for one in findings]}
    print_result(result, as_json=as_json, text="\n".join(line for one in findings for line in one.text_lines()))
    return 0 if result["ok"] else 1


@cli.command()
@click.argument("order")
@json_option
def explain(order: str, *, as_json: bool) -> int:
    """Print an order's history from the journals.

    ORDER is a client order id, an intent id, a signal id or `last`; exit 1 if it is unknown. No process needs to run. A
    signal that risk refused has a history too.
    """
    from components.xtrader.explain.explain import explain_order

    explanation = explain_order(order)
    if explanation is None:
        print_result({"order": order, "found": False}, as_json=as_json, text=f"no journal holds an order {order}")
        return 1
    result = {"found": True, **explanation.as_dict()}
    print_result(result, as_json=as_json, text="\n".join(explanation.text_lines()))
    return 0


@cli.group()
def config() -> None:
    """Inspect the configuration."""


@config.command("check")
@json_option
def config_check(*, as_json: bool) -> None:
    """Validate every configuration table.

    Exit 78 with one line for each error.
    """
    from components.runtime.config.settings import load_settings
    from components.xtrader.configuration import table_models

    settings = load_settings(table_models())
    env, tables = settings.paths.env, sorted(settings.tables)
    result = {"ok": True, "env": env, "account": settings.paths.account, "tables": tables}
    print_result(result, as_json=as_json, text=f"{env}: every table is valid ({', '.join(tables)})")


@config.command("show")
@click.option("--origins", is_flag=True, help="Name the file or variable that sets each key.")
@click.option("--table", help="Only this table, for example risk or risk.limits.")
@json_option
def config_show(table: str | None, *, origins: bool, as_json: bool) -> None:
    """Print every effective key.

    All layers are merged; secrets stay references.
    """
    from components.contracts.errors import UsageError
    from components.xtrader.configuration import list_keys, nested_values

    keys = list_keys(table)
    if not keys:
        known = ", ".join(sorted({one.name.partition(".")[0] for one in list_keys(None)}))
        raise UsageError(f"--table {table}: no such table; there are {known}")
    if as_json:
        click.echo(to_json({"config": nested_values(keys), **({"origins": _origins(keys)} if origins else {})}))
        return
    lines = [one.as_toml() for one in keys]
    width = max(map(len, lines))
    if origins:
        lines = [f"{line:<{width}}  # {one.origin}" for line, one in zip(lines, keys, strict=True)]
    click.echo("\n".join(lines))


@config.command("schema")
@json_option
def config_schema(*, as_json: bool) -> None:
    """Print the JSON schema of all tables."""
    import json

    from components.xtrader.configuration import json_schema

    schema = json_schema()
    click.echo(to_json(schema) if as_json else json.dumps(schema, indent=1))


@config.command("create-seal-key")
@json_option
def config_create_seal_key(*, as_json: bool) -> None:
    """Create the seal key.

    Risk and execution share it. An existing key is never overwritten.
    """
    from components.runtime.config.secrets import create_seal_key
    from components.runtime.config.settings import load_settings

    paths = load_settings().paths
    created = create_seal_key(paths)
    text = f"{paths.seal_key()}: " + ("created" if created else "exists already, left unchanged")
    print_result({"created": created, "path": str(paths.seal_key())}, as_json=as_json, text=text)


def _origins(keys: "list[ConfigKey]") -> dict[str, str]:
    return {one.name: one.origin for one in keys}


@cli.group()
def journal() -> None:
    """Verify a journal's hash chain, or dump it."""


@journal.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def journal_verify(folder: Path, *, as_json: bool) -> int:
    """Verify the hash chain from the first record.

    Exit 65 if it is broken.
    """
    from components.contracts.errors import CorruptData
    from components.runtime.cli import EXIT_CODES
    from components.xtrader.journals import verify

    result = verify(folder)
    print_result(result, as_json=as_json)
    return 0 if result["ok"] else EXIT_CODES[CorruptData]


@journal.command("dump")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "from_sequence",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Sequence of the first record.",
)
@json_option
def journal_dump(folder: Path, from_sequence: int, *, as_json: bool) -> None:
    """Print the records, one per line."""
    from components.xtrader.journals import dump

    for row in dump(folder, from_sequence):
        entry = row.get("entry", row.get("unreadable"))
        click.echo(to_json(row) if as_json else f"{row['sequence']:>8} {row['kind'] or '?':<20} {to_json(entry)}")


@cli.group()
def drill() -> None:
    """Inject faults and check that nothing is lost."""


@drill.command("kill")
@click.option("--kills", type=click.IntRange(min=1), help=f"Number of processes to kill [default: {KILLS_DEFAULT}].")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same schedule.")
@click.option("--for", "for_s", type=click.FloatRange(min=1), help="Seconds to kill; with --kills the upper bound.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for the state; else a temporary one.")
@json_option
def drill_kill(*, kills: int | None, seed: int, for_s: float | None, state: Path | None, as_json: bool) -> int:
    """Kill random processes of a trading system.

    Exit 0 only if no order was duplicated or lost. The drill starts an `up` of its own in the sandbox, beside any other
    that is running. A temporary state folder is kept if a check fails.
    """
    from tempfile import TemporaryDirectory

    from components.xtrader.drills.process_kills import (
        PROCESS_NAMES,
        kill_report_text,
        kill_schedule,
        limit_kills,
        run_kill_drill,
    )

    schedule = limit_kills(kill_schedule(PROCESS_NAMES, seed), kills if kills or for_s else KILLS_DEFAULT)
    with TemporaryDirectory(prefix=RUN_DIR_PREFIX) as run_dir:
        report = run_kill_drill(state, Path(run_dir), schedule, for_s=for_s, seed=seed)
    return _print_drill(report, kill_report_text(report), is_temporary=state is None, as_json=as_json)


@drill.command("feeds")
@click.option(
    "--for", "for_s", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds of faults."
)
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same faults.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for the state; else a temporary one.")
@json_option
def drill_feeds(*, for_s: float, seed: int, state: Path | None, as_json: bool) -> int:
    """Inject random faults into the crypto feeds.

    Exit 0 only if every published book equals the venue's book. Connections are cut, silent or slow; frames are lost,
    duplicated, reordered or corrupt; snapshots are stale or refused. Each published top of book is compared with the
    venue's book at the same id.
    """
    from tempfile import TemporaryDirectory

    from components.xtrader.drills.feed_faults import feed_report_text, run_feed_drill

    with TemporaryDirectory(prefix=RUN_DIR_PREFIX) as run_dir:
        report = run_feed_drill(state, Path(run_dir), for_s=for_s, seed=seed)
    return _print_drill(report, feed_report_text(report), is_temporary=state is None, as_json=as_json)


def _print_drill(report: dict[str, Any], text: str, *, is_temporary: bool, as_json: bool) -> int:
    """Print a drill's report and return the exit code; the temporary state of a passed drill is removed."""
    import shutil

    if report["ok"] and is_temporary:
        shutil.rmtree(report["state"], ignore_errors=True)
    print_result(report, as_json=as_json, text=text)
    return 0 if report["ok"] else 1


@cli.command()
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the first run.")
@click.option("--runs", type=click.IntRange(min=1), help="Number of runs; --crash-points is ignored.")
@click.option(
    "--crash-points", type=click.IntRange(min=1), default=1_000, show_default=True, help="Stop after this many crashes."
)
@click.option("--every", type=click.IntRange(min=1), help="Run one seed this often, crashed before effect 1, 2, ...")
@click.option("--crash-at", type=click.IntRange(min=1), help="Run one seed once, crashed before this effect.")
@json_option
def simulate(
    *, seed: int, runs: int | None, crash_points: int, every: int | None, crash_at: int | None, as_json: bool
) -> int:
    """Crash all four services at random effects.

    Invariants are checked at every effect; exit 1 with the seed of a violation. Files, clocks, network and venue are
    simulated. The same seed always gives the same run.
    """
    from components.runtime.clock import SystemClock
    from components.xtrader.simulation.campaign import random_runs, runs_crashed_at, summarize

    if crash_at is not None:
        reports = runs_crashed_at(seed, (crash_at,))
    elif every is not None:
        reports = runs_crashed_at(seed, range(1, every + 1))
    else:
        reports = random_runs(seed, runs, crash_points)
    result = summarize(reports, SystemClock())
    print_result(result, as_json=as_json, text=result.as_text())
    return 1 if result.violations else 0
