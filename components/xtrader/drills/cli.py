"""The drills' verbs."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from components.runtime.cli import json_option, print_result

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
    from components.xtrader.drills.kill import PROCESS_NAMES, run_kill_drill
    from components.xtrader.drills.plan import kill_schedule, limit_kills
    from components.xtrader.drills.report import kill_report_text

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
    from components.xtrader.drills.feeds import feed_report_text, run_feed_drill

    with TemporaryDirectory(prefix="xtrader-") as run:
        found = run_feed_drill(state, Path(run), for_s=for_s, seed=seed)
    if found["ok"] and state is None:
        shutil.rmtree(found["state"], ignore_errors=True)
    print_result(found, as_json=as_json, text=feed_report_text(found))
    return 0 if found["ok"] else 1
