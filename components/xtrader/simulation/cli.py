"""The verb `xtrader simulate`."""

import click

from components.runtime.cli import answer, json_option


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first run's seed.")
@click.option("--runs", type=click.IntRange(min=1), help="So many runs, whatever they crash.")
@click.option(
    "--crash-points", type=click.IntRange(min=1), default=1_000, show_default=True, help="As many runs as this takes."
)
@json_option
def simulate(*, seed: int, runs: int | None, crash_points: int, as_json: bool) -> int:
    """Crash all four services at random effects and hold them to their promises; exit 1 with the seed of a broken one.

    Nothing real is touched: files, clocks, network and venue are simulated, and one seed always gives the same run.
    """
    from components.runtime.clock import SystemClock
    from components.xtrader.simulation.campaign import simulate as run_all

    figures = run_all(seed, runs, crash_points, SystemClock())
    answer(figures, as_json=as_json, text=figures.text())
    return 1 if figures.violations else 0
