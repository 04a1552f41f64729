"""Many simulated runs, one seed after the other, up to a number of crash points or the first violation."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

from msgspec import Struct

from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.xtrader.simulation.run import CrashPlan, RunReport, SimulationRun

CRASH_POINTS_PER_RUN: Final = 25
"""Keeps journals short, so that a restart is cheap, and pays for one liveness phase in so many crash points."""
NS_PER_MINUTE: Final = 60_000_000_000


class CampaignResult(Struct, frozen=True, kw_only=True):
    """The totals of a campaign."""

    first_seed: int
    runs: int
    crash_points: int
    effects: int
    starts: int
    approvals: int
    orders: int
    fills: int
    violations: int
    simulated_s: float
    crash_points_per_minute: int
    broken: tuple[RunReport, ...]
    """The run that violated an invariant and ended the campaign, if any."""

    def as_text(self) -> str:
        """Return the totals for a person; for a violation, with the command that replays it."""
        lines = [
            f"{self.crash_points} crash points in {self.runs} runs from seed {self.first_seed}",
            f"{self.violations} violations; {self.crash_points_per_minute} crash points per minute",
            f"{self.effects} effects, {self.starts} starts in {self.simulated_s:.0f} simulated seconds",
            f"{self.approvals} approvals, {self.orders} orders, {self.fills} fills",
        ]
        for one in self.broken:
            lines += [*one.last_lines, f"seed {one.seed}: {one.problem}", f"replay: {replay_command(one)}"]
        return "\n".join(lines)


def replay_command(report: RunReport) -> str:
    """Return the command that replays exactly this run."""
    options = "--runs 1" if report.crash_at is None else f"--crash-at {report.crash_at}"
    return f"xtrader simulate --seed {report.seed} {options}"


def random_runs(first_seed: int, runs: int | None, crash_points: int) -> Iterator[RunReport]:
    """Yield the reports of `runs` seeds, or of as many seeds as `crash_points` crash points take."""
    metrics: dict[str, Metrics] = {}
    plan, points = CrashPlan(crash_points=CRASH_POINTS_PER_RUN), 0
    for seed in count(first_seed):
        yield (report := SimulationRun(seed, plan, metrics).run())
        points += report.crash_points
        if seed + 1 - first_seed == runs or (runs is None and points >= crash_points):
            return


def runs_crashed_at(seed: int, effects: Iterable[int]) -> Iterator[RunReport]:
    """Yield one report for each of these effects: the same seed, crashed once, before that effect."""
    metrics: dict[str, Metrics] = {}
    for effect in effects:
        yield SimulationRun(seed, CrashPlan(crash_at=effect), metrics).run()


def summarize(reports: Iterator[RunReport], clock: Clock) -> CampaignResult:
    """Add the reports up; the first violation ends the campaign."""
    started_ns, done = clock.monotonic_ns(), [next(reports)]
    while not done[-1].problem and (report := next(reports, None)) is not None:
        done.append(report)
    return _totals(done, max(clock.monotonic_ns() - started_ns, 1))


def _totals(done: list[RunReport], took_ns: int) -> CampaignResult:
    points = sum(one.crash_points for one in done)
    broken = tuple(one for one in done if one.problem)
    return CampaignResult(
        first_seed=done[0].seed,
        runs=len(done),
        crash_points=points,
        effects=sum(one.effects for one in done),
        starts=sum(one.starts for one in done),
        approvals=sum(one.approvals for one in done),
        orders=sum(one.orders for one in done),
        fills=sum(one.fills for one in done),
        violations=len(broken),
        simulated_s=sum(one.simulated_s for one in done),
        crash_points_per_minute=points * NS_PER_MINUTE // took_ns,
        broken=broken,
    )
