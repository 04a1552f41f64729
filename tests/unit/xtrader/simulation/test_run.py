"""A simulated run violates no invariant, and depends on nothing but its seed."""

from components.runtime.metrics import Metrics
from components.xtrader.simulation.run import CrashPlan, SimulationRun


def test_a_run_violates_no_invariant_and_reaches_the_venue() -> None:
    reports = [SimulationRun(seed, CrashPlan(crash_points=10), {}).run() for seed in (1, 2, 3)]
    assert [one.problem for one in reports] == [""] * 3
    assert min(one.crash_points for one in reports) >= 10
    assert sum(one.fills for one in reports) > 0


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    metrics: dict[str, Metrics] = {}
    first, again, other = (SimulationRun(seed, CrashPlan(crash_points=5), metrics).run() for seed in (7, 7, 8))
    assert first == again
    assert first.trace != other.trace
