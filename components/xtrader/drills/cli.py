"""The drills' verbs."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from components.runtime.cli import answer, json_option

KILLS: Final = 20


@click.group(help="Hurt a system of its own on purpose, and prove what it kept.")
def cli() -> None:
    """Group the drills."""


@cli.command()
@click.option("--kills", type=click.IntRange(min=1), help=f"How many processes to kill [default: {KILLS}].")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same plan.")
@click.option("--for", "for_s", type=click.FloatRange(min=1), help="Kill for so many seconds; with --kills, at most.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder to keep the state in; else it is a passing one.")
@json_option
def kill(*, kills: int | None, seed: int, for_s: float | None, state: Path | None, as_json: bool) -> int:
    """Kill random processes of a trading system; exit 0 only if nothing was doubled or lost.

    The system is an `up` of its own in the sandbox, beside any other that runs. A folder of state is kept where the
    proof fails.
    """
    from components.xtrader.drills.kill import NAMES, drill
    from components.xtrader.drills.plan import blows, limited
    from components.xtrader.drills.report import text

    plan = limited(blows(NAMES, seed), kills if kills or for_s else KILLS)
    with TemporaryDirectory(prefix="xtrader-") as run:
        found = drill(state, Path(run), plan, for_s=for_s, seed=seed)
    if found["ok"] and state is None:
        shutil.rmtree(found["state"], ignore_errors=True)
    answer(found, as_json=as_json, text=text(found))
    return 0 if found["ok"] else 1


@cli.command()
@click.option("--for", "for_s", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Lie so long.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Same seed, same lies.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder to keep the state in; else it is a passing one.")
@json_option
def feeds(*, for_s: float, seed: int, state: Path | None, as_json: bool) -> int:
    """Break the crypto venues' feeds at random; exit 0 only if every published book was the venue's own.

    Connections are cut, mute or slow, frames lost, doubled, swapped or nonsense, images old or refused. Each published
    top is held against the venue's book at the same id.
    """
    from components.xtrader.drills.feeds import drill_feeds, feed_text

    with TemporaryDirectory(prefix="xtrader-") as run:
        found = drill_feeds(state, Path(run), for_s=for_s, seed=seed)
    if found["ok"] and state is None:
        shutil.rmtree(found["state"], ignore_errors=True)
    answer(found, as_json=as_json, text=feed_text(found))
    return 0 if found["ok"] else 1
