"""The verb `xtrader simulate`."""

import click

from components.runtime.cli import json_option, print_result


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
