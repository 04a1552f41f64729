"""Many runs, one seed after the other, until enough was crashed or a promise was broken."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

from msgspec import Struct

from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.xtrader.simulation.run import CrashPlan, RunReport, SimulationRun

CRASH_POINTS_PER_RUN: Final = 25
"""Journals stay short, so that a start costs little; the calm at the end is paid for once in so many."""
NS_PER_MINUTE: Final = 60_000_000_000


class CampaignResult(Struct, frozen=True, kw_only=True):
    """What a campaign was made of."""

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
    """The run that ended the campaign, if one did."""

    def as_text(self) -> str:
        """Say it to a person; a broken promise with the command that shows it again."""
        lines = [
            f"{self.crash_points} crash points in {self.runs} runs from seed {self.first_seed}",
            f"{self.violations} violations; {self.crash_points_per_minute} crash points a minute",
            f"{self.effects} effects, {self.starts} starts in {self.simulated_s:.0f} simulated seconds",
            f"{self.approvals} approvals, {self.orders} orders, {self.fills} fills",
        ]
        for one in self.broken:
            lines += [*one.last_lines, f"seed {one.seed}: {one.problem}", f"again: {replay_command(one)}"]
        return "\n".join(lines)


def replay_command(report: RunReport) -> str:
    """Give the command that replays exactly one run."""
    how = "--runs 1" if report.crash_at is None else f"--crash-at {report.crash_at}"
    return f"xtrader simulate --seed {report.seed} {how}"


def random_runs(first_seed: int, runs: int | None, crash_points: int) -> Iterator[RunReport]:
    """Run so many seeds, or as many as it takes for so many crash points."""
    gauges: dict[str, Metrics] = {}
    plan, points = CrashPlan(crash_points=CRASH_POINTS_PER_RUN), 0
    for seed in count(first_seed):
        yield (report := SimulationRun(seed, plan, gauges).run())
        points += report.crash_points
        if seed + 1 - first_seed == runs or (runs is None and points >= crash_points):
            return


def runs_crashed_at(seed: int, effects: Iterable[int]) -> Iterator[RunReport]:
    """Run one seed again and again, and crash it once each time: before every one of these effects."""
    gauges: dict[str, Metrics] = {}
    for effect in effects:
        yield SimulationRun(seed, CrashPlan(crash_at=effect), gauges).run()


def summarize(reports: Iterator[RunReport], clock: Clock) -> CampaignResult:
    """Add up; the first broken promise ends it."""
    began_ns, done = clock.monotonic_ns(), [next(reports)]
    while not done[-1].problem and (report := next(reports, None)) is not None:
        done.append(report)
    return _totals(done, max(clock.monotonic_ns() - began_ns, 1))


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
