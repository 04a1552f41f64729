"""Many runs, one seed after the other, until enough was crashed or a promise was broken."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.xtrader.simulation.run import Report, Run

CRASH_POINTS_PER_RUN: Final = 25
"""Journals stay short, so that a start costs little; the calm at the end is paid for once in so many."""
NS_PER_MINUTE: Final = 60_000_000_000


class Figures(Struct, frozen=True, kw_only=True):
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
    broken: tuple[Report, ...]
    """The run that ended the campaign, if one did."""

    def text(self) -> str:
        """Say it to a person; a broken promise with the command that shows it again."""
        lines = [
            f"{self.crash_points} crash points in {self.runs} runs from seed {self.first_seed}",
            f"{self.violations} violations; {self.crash_points_per_minute} crash points a minute",
            f"{self.effects} effects, {self.starts} starts in {self.simulated_s:.0f} simulated seconds",
            f"{self.approvals} approvals, {self.orders} orders, {self.fills} fills",
        ]
        for one in self.broken:
            lines += [*one.last_lines, f"seed {one.seed}: {one.problem}", f"again: {again(one.seed)}"]
        return "\n".join(lines)


def again(seed: int) -> str:
    """Give the command that replays exactly one run."""
    return f"xtrader simulate --seed {seed} --runs 1"


def simulate(first_seed: int, runs: int | None, crash_points: int, clock: Clock) -> Figures:
    """Run so many seeds, or as many as it takes for so many crash points; the first broken promise ends it."""
    began_ns = clock.monotonic_ns()
    reports: list[Report] = []
    for report in _reports(first_seed):
        reports.append(report)
        points = sum(one.crash_points for one in reports)
        if report.problem or (len(reports) >= runs if runs is not None else points >= crash_points):
            break
    return _figures(first_seed, reports, max(clock.monotonic_ns() - began_ns, 1))


def _reports(seed: int) -> Iterator[Report]:
    gauges: dict[str, Metrics] = {}
    while True:
        yield Run(seed, CRASH_POINTS_PER_RUN, gauges).to_its_end()
        seed += 1


def _figures(first_seed: int, reports: list[Report], took_ns: int) -> Figures:
    points = sum(one.crash_points for one in reports)
    broken = tuple(one for one in reports if one.problem)
    return Figures(
        first_seed=first_seed,
        runs=len(reports),
        crash_points=points,
        effects=sum(one.effects for one in reports),
        starts=sum(one.starts for one in reports),
        approvals=sum(one.approvals for one in reports),
        orders=sum(one.orders for one in reports),
        fills=sum(one.fills for one in reports),
        violations=len(broken),
        simulated_s=sum(one.simulated_s for one in reports),
        crash_points_per_minute=points * NS_PER_MINUTE // took_ns,
        broken=broken,
    )
