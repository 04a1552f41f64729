"""The kill drill: random processes are killed at random moments under load, and the orders are checked at the end.

The same seed gives the same schedule of kills.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from tempfile import mkdtemp
from threading import Event
from typing import Any, Final

import click

from components.contracts.errors import UsageError
from components.contracts.orders import Filled
from components.contracts.streams import ORDERS
from components.runtime.clock import NS_PER_MS, Clock, SystemClock
from components.runtime.config.settings import load_settings
from components.xtrader.drills.order_checker import Evidence, Violation, ViolationFound, check_orders
from components.xtrader.drills.target import SystemUnderTest
from components.xtrader.supervisor.processes import EXECUTION, PROCESSES
from components.xtrader.up.monitor import JournalTail, RunStatistics

KILL_DELAY_MS_MAX: Final = 1_500
"""Longer than an order lives, so that kills hit every state of an order, and times without orders."""
PAIR_PROBABILITY: Final = 0.2
"""Probability that two processes are killed at once."""
AIMED_PROBABILITY: Final = 0.5
"""Probability that a kill waits for the next journal write."""
VIOLATIONS_SHOWN_MAX: Final = 20
ORDER_VIOLATIONS: Final = (Violation.DUPLICATED, Violation.LOST, Violation.UNKNOWN, Violation.UNAPPROVED)
"""The kinds of violation that the report counts."""
PROCESS_NAMES: Final = tuple(spec.name for spec in PROCESSES)
READY_S_MAX: Final = 60.0
RECOVERY_S_MAX: Final = 40.0
"""The longest restart delay plus a start on a busy machine."""
NEXT_FILL_S_MAX: Final = 40.0
AIMED_WAIT_S_MAX: Final = 3.0
POLL_MS: Final = 25
AIMED_POLL_MS: Final = 1
LOAD_OVERRIDES: Final = {
    "XTRADER__SIGNALS__STRATEGY__COOL_DOWN_MS": "1500",
    "XTRADER__RISK__LIMITS__ORDER_RATE_PER_MINUTE_MAX": "110",
    "XTRADER__EXECUTION__REQUEST_BUDGET__ORDERS_PER_MINUTE": "110",
    "XTRADER__EXECUTION__REQUEST_BUDGET__READS_PER_MINUTE": "60",
    "XTRADER__EXECUTION__REQUEST_BUDGET__RESERVE_PER_MINUTE": "30",
}
"""As many orders as the venue's limit of 200 requests a minute allows beside reads and cancels."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill these processes together `wait_ms` after trading resumed; an aimed kill waits for the next journal write."""

    names: tuple[str, ...]
    wait_ms: int
    is_aimed: bool


def kill_schedule(names: tuple[str, ...], seed: int) -> Iterator[Kill]:
    """Yield kills without end: every process equally often, in random order, sometimes two at once."""
    random = Random(seed)
    waiting: list[str] = []
    while True:
        if len(waiting) < 2:
            waiting = [*waiting, *(name for name in random.sample(names, len(names)) if name not in waiting)]
        count = 2 if random.random() < PAIR_PROBABILITY else 1
        killed, waiting = tuple(waiting[:count]), waiting[count:]
        yield Kill(killed, random.randrange(KILL_DELAY_MS_MAX), random.random() < AIMED_PROBABILITY)


def limit_kills(schedule: Iterator[Kill], kills: int | None) -> Iterator[Kill]:
    """End a schedule after `kills` killed processes; None leaves it without end."""
    left = kills
    for kill in schedule:
        names = kill.names if left is None else kill.names[:left]
        if not names:
            return
        yield Kill(names, kill.wait_ms, kill.is_aimed)
        left = None if left is None else left - len(names)


@dataclass(slots=True)
class KillStatistics:
    """How often each process was killed, and how long it took to be ready again."""

    recovery_ms: dict[str, list[int]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def count_kills(self, *names: str) -> None:
        """Count a kill of each of these processes."""
        self.kills.update(names)

    def record_recovery(self, name: str, took_ms: int) -> None:
        """Record how long a process took to be ready again."""
        self.recovery_ms.setdefault(name, []).append(took_ms)

    def as_dict(self) -> dict[str, Any]:
        """Return kills and recovery times by process."""
        return {name: self._row(name) for name in sorted(self.kills)}

    def _row(self, name: str) -> dict[str, Any]:
        took = self.recovery_ms.get(name, [])
        return {
            "kills": self.kills[name],
            "recovery_ms_p50": round(median(took)) if took else None,
            "recovery_ms_max": max(took, default=None),
        }


def kill_report(
    statistics: KillStatistics,
    violations: Sequence[ViolationFound],
    evidence: Evidence | None,
    restarts: Mapping[str, int],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the report; `ok` only if no check failed."""
    counts = Counter(one.violation for one in violations)
    return {
        "ok": not violations,
        **facts,
        "kills": statistics.kills.total(),
        "by_process": statistics.as_dict(),
        "orders": len(evidence.listed) if evidence else None,
        "fills": sum(isinstance(one, Filled) for one in evidence.orders) if evidence else None,
        **{violation.value: counts[violation] for violation in ORDER_VIOLATIONS},
        "positions_equal": evidence is not None and not counts[Violation.POSITIONS],
        "journals_ok": not counts[Violation.JOURNAL],
        "positions": dict(evidence.venue_positions) if evidence else None,
        "restarts": dict(restarts),
        "violations": [f"{one.violation}: {one.detail}" for one in violations[:VIOLATIONS_SHOWN_MAX]],
    }


def kill_report_text(report: Mapping[str, Any]) -> str:
    """Return the report for a person."""
    rows = [f"{'process':<12} {'kills':>5} {'recovery p50':>12} {'max':>10}"]
    for name, one in report["by_process"].items():
        p50, longest = _format_seconds(one["recovery_ms_p50"]), _format_seconds(one["recovery_ms_max"])
        rows.append(f"{name:<12} {one['kills']:>5} {p50:>12} {longest:>10}")
    counts = ", ".join(f"{name} {report[name]}" for name in ORDER_VIOLATIONS)
    rows += [
        f"{report['kills']} kills in {report['seconds']:.0f} s (seed {report['seed']})",
        f"{report['orders']} orders, {report['fills']} fills: {counts}",
        f"positions equal the venue's: {_yes_or_no(holds=report['positions_equal'])}",
        f"journals verify: {_yes_or_no(holds=report['journals_ok'])}",
        *report["violations"],
        "ok" if report["ok"] else f"not ok; the state is in {report['state']}",
    ]
    return "\n".join(rows)


def _format_seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1e3:.1f} s"


def _yes_or_no(*, holds: bool) -> str:
    return "yes" if holds else "NO"


class KillDrill:
    """One drill; `log` receives a line for each kill."""

    def __init__(self, system: SystemUnderTest, clock: Clock, log: Callable[[str], None]) -> None:
        """Attach to a system that was just started."""
        self._system, self._clock, self._log = system, clock, log
        self._kill_statistics, self._violations = KillStatistics(), list[ViolationFound]()
        self._order_journal = JournalTail(system.paths.journal(EXECUTION.name), ORDERS)
        self._run_statistics = RunStatistics()
        self._idle = Event()
        self._started_ns = clock.monotonic_ns()

    def run(self, schedule: Iterator[Kill], *, for_s: float | None, seed: int) -> dict[str, Any]:
        """Kill processes as scheduled, stop the system, check its orders, and return the report."""
        try:
            self._execute(schedule, for_s)
        finally:
            summary = self._system.stop()
        violations, evidence = check_orders(self._system.paths)
        facts = {"seed": seed, "seconds": round(self._elapsed_s(), 1), "state": str(self._system.state)}
        return kill_report(
            self._kill_statistics, [*self._violations, *violations], evidence, summary.get("restarts", {}), facts
        )

    def _execute(self, schedule: Iterator[Kill], for_s: float | None) -> None:
        is_ready = self._await_or_report(self._all_ready, READY_S_MAX, "not all processes were ready")
        is_trading = is_ready and self._await_fill()
        started = f"all processes are ready, orders are filled ({self._elapsed_s():.0f} s)"
        self._log(started if is_trading else "no order was filled")
        for kill in schedule:
            if not is_trading or (for_s is not None and self._elapsed_s() >= for_s):
                return
            is_trading = self._kill(kill) and self._await_fill()

    def _kill(self, kill: Kill) -> bool:
        self._idle.wait(kill.wait_ms / 1e3)
        if kill.is_aimed:
            self._await_journal_write()
        down = {name: self._system.kill(name) for name in kill.names}
        killed_ns = self._clock.monotonic_ns()
        self._kill_statistics.count_kills(*(name for name, pid in down.items() if pid is not None))
        names = " and ".join(kill.names)
        recovered = self._await_or_report(
            lambda: not self._any_down(down, killed_ns), RECOVERY_S_MAX, f"{names}: not ready again"
        )
        took_s = (self._clock.monotonic_ns() - killed_ns) / 1e9
        again = f", ready again after {took_s:.1f} s" if recovered else ""
        self._log(f"{self._elapsed_s():4.0f} s: killed {names}{again}")
        return recovered

    def _any_down(self, down: dict[str, int | None], killed_ns: int) -> bool:
        """Remove from `down` the processes that are ready again; return whether any is left."""
        for name, pid in tuple(down.items()):
            if self._system.is_ready(name, other_than_pid=pid):
                del down[name]
                self._kill_statistics.record_recovery(name, (self._clock.monotonic_ns() - killed_ns) // NS_PER_MS)
        return bool(down)

    def _await_journal_write(self) -> None:
        """Wait until execution writes its next record, so that an order is in flight at this moment."""
        size = self._system.journal_bytes(EXECUTION.name)
        self._poll(lambda: self._system.journal_bytes(EXECUTION.name) != size, AIMED_WAIT_S_MAX, AIMED_POLL_MS)

    def _await_fill(self) -> bool:
        before = self._fills()
        return self._await_or_report(lambda: self._fills() > before, NEXT_FILL_S_MAX, "no new order was filled")

    def _fills(self) -> int:
        for _, message in self._order_journal.new_entries():
            self._run_statistics.count_order_event(message)
        return self._run_statistics.fills

    def _all_ready(self) -> bool:
        return all(self._system.is_ready(name) for name in PROCESS_NAMES)

    def _await_or_report(self, probe: Callable[[], bool], within_s: float, problem: str) -> bool:
        if self._poll(probe, within_s, POLL_MS):
            return True
        self._violations.append(ViolationFound(Violation.RUN, f"{problem} within {within_s:.0f} s"))
        return False

    def _poll(self, probe: Callable[[], bool], within_s: float, every_ms: int) -> bool:
        until_ns = self._clock.monotonic_ns() + int(within_s * 1e9)
        while not probe():
            if not self._system.is_running or self._clock.monotonic_ns() >= until_ns:
                return False
            self._idle.wait(every_ms / 1e3)
        return True

    def _elapsed_s(self) -> float:
        return (self._clock.monotonic_ns() - self._started_ns) / 1e9


def run_kill_drill(
    state: Path | None, run_dir: Path, schedule: Iterator[Kill], *, for_s: float | None, seed: int
) -> dict[str, Any]:
    """Start a system under load, kill its processes, and return the report. Its state is in `state` or a new folder."""
    if (env := load_settings().paths.env) != "dev":
        raise UsageError(f"a drill runs in the sandbox only, but XTRADER_ENV is {env}, not dev")
    folder = state or Path(mkdtemp(prefix="xtrader-drill-"))
    system = SystemUnderTest(folder.resolve(), run_dir, seed=seed, overrides=LOAD_OVERRIDES)
    return KillDrill(system, SystemClock(), lambda line: click.echo(line, err=True)).run(
        schedule, for_s=for_s, seed=seed
    )
