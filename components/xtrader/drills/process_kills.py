"""Whom a drill kills, and when: the same seed gives the same plan.

What a drill has to say: kills and recovery by process, orders, and each proof that held or did not.

The drill that kills: random processes at random moments under load, with everything proven at the end.
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
from components.runtime.clock import Clock, SystemClock
from components.runtime.config.settings import load_settings
from components.xtrader.drills.order_checker import Evidence, Violation, ViolationFound, check_orders
from components.xtrader.drills.target import SystemUnderTest
from components.xtrader.supervisor.processes import EXECUTION, PROCESSES
from components.xtrader.up.monitor import JournalTail, RunStatistics

KILL_DELAY_MS_MAX: Final = 1_500
"""Longer than an order lives, so that kills fall into every moment of its life and between orders too."""


PAIR_PROBABILITY: Final = 0.2


AIMED_PROBABILITY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill these at once, so long after trading goes on; an aimed blow falls when the next record is written."""

    names: tuple[str, ...]
    wait_ms: int
    is_aimed: bool


def kill_schedule(names: tuple[str, ...], seed: int) -> Iterator[Kill]:
    """Draw blows without end: everybody's turn comes equally often, in an order of chance, sometimes two at once."""
    chance = Random(seed)
    waiting: list[str] = []
    while True:
        if len(waiting) < 2:
            waiting = [*waiting, *(name for name in chance.sample(names, len(names)) if name not in waiting)]
        count = 2 if chance.random() < PAIR_PROBABILITY else 1
        struck, waiting = tuple(waiting[:count]), waiting[count:]
        yield Kill(struck, chance.randrange(KILL_DELAY_MS_MAX), chance.random() < AIMED_PROBABILITY)


def limit_kills(plan: Iterator[Kill], kills: int | None) -> Iterator[Kill]:
    """Cut a plan after so many kills; None leaves it without end."""
    left = kills
    for blow in plan:
        names = blow.names if left is None else blow.names[:left]
        if not names:
            return
        yield Kill(names, blow.wait_ms, blow.is_aimed)
        left = None if left is None else left - len(names)


VIOLATIONS_SHOWN_MAX = 20


@dataclass(slots=True)
class KillStatistics:
    """Who was killed, and how long each took to be ready again."""

    recovery_ms: dict[str, list[int]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def count_kills(self, *names: str) -> None:
        """Note who was just killed."""
        self.kills.update(names)

    def record_recovery(self, name: str, took_ms: int) -> None:
        """Note that one is ready again."""
        self.recovery_ms.setdefault(name, []).append(took_ms)

    def as_dict(self) -> dict[str, Any]:
        """Give names and values."""
        return {name: self._row(name) for name in sorted(self.kills)}

    def _row(self, name: str) -> dict[str, Any]:
        took = self.recovery_ms.get(name, [])
        return {
            "kills": self.kills[name],
            "back_ms_p50": round(median(took)) if took else None,
            "back_ms_max": max(took, default=None),
        }


def kill_report(
    statistics: KillStatistics,
    violations: Sequence[ViolationFound],
    evidence: Evidence | None,
    restarts: Mapping[str, int],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Put everything together; ok only where no proof failed."""
    flaws = Counter(one.violation for one in violations)
    return {
        "ok": not violations,
        **facts,
        "kills": statistics.kills.total(),
        "by_process": statistics.as_dict(),
        "orders": len(evidence.listed) if evidence else None,
        "fills": sum(isinstance(one, Filled) for one in evidence.orders) if evidence else None,
        **{
            flaw.value: flaws[flaw]
            for flaw in (Violation.DOUBLED, Violation.LOST, Violation.UNKNOWN, Violation.UNAPPROVED)
        },
        "positions_equal": evidence is not None and not flaws[Violation.POSITIONS],
        "journals_ok": not flaws[Violation.JOURNAL],
        "positions": dict(evidence.venue_positions) if evidence else None,
        "restarts": dict(restarts),
        "findings": [f"{one.violation}: {one.detail}" for one in violations[:VIOLATIONS_SHOWN_MAX]],
    }


def kill_report_text(report: Mapping[str, Any]) -> str:
    """Write what a person reads."""
    rows = [f"{'killed':<12} {'times':>5} {'back p50':>10} {'max':>10}"]
    for name, one in report["by_process"].items():
        p50, longest = _format_seconds(one["back_ms_p50"]), _format_seconds(one["back_ms_max"])
        rows.append(f"{name:<12} {one['kills']:>5} {p50:>10} {longest:>10}")
    flaws = ", ".join(f"{name} {report[name]}" for name in ("doubled", "lost", "unknown", "unapproved"))
    rows += [
        f"{report['kills']} kills in {report['seconds']:.0f} s (seed {report['seed']})",
        f"{report['orders']} orders, {report['fills']} fills: {flaws}",
        f"positions are the venue's: {_yes_or_no(holds=report['positions_equal'])}",
        f"journals are whole: {_yes_or_no(holds=report['journals_ok'])}",
        *report["findings"],
        "ok" if report["ok"] else f"not ok; everything is in {report['state']}",
    ]
    return "\n".join(rows)


def _format_seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1e3:.1f} s"


def _yes_or_no(*, holds: bool) -> str:
    return "yes" if holds else "NO"


PROCESS_NAMES: Final = tuple(child.name for child in PROCESSES)


READY_S_MAX: Final = 60.0


RECOVERY_S_MAX: Final = 40.0
"""The longest pause before a restart, and a start on a busy machine."""


NEXT_FILL_S_MAX: Final = 40.0


AIMED_WAIT_S_MAX: Final = 3.0


POLL_MS: Final = 25


AIMED_POLL_MS: Final = 1


LOAD_OVERRIDES: Final = {
    "XTRADER__SIGNALS__STRATEGY__COOL_DOWN_MS": "1500",
    "XTRADER__RISK__LIMITS__ORDER_RATE_PER_MINUTE_MAX": "110",
    "XTRADER__EXECUTION__PACE__ORDERS_PER_MINUTE": "110",
    "XTRADER__EXECUTION__PACE__READS_PER_MINUTE": "60",
    "XTRADER__EXECUTION__PACE__RESERVE_PER_MINUTE": "30",
}
"""As many orders as the venue's 200 requests a minute leave room for beside readings and cancels."""


class KillDrill:
    """One drill; `say` hears a line for each blow."""

    def __init__(self, system: SystemUnderTest, clock: Clock, log: Callable[[str], None]) -> None:
        """Take a system that was just started."""
        self._system, self._clock, self._log = system, clock, log
        self._kill_statistics, self._violations = KillStatistics(), list[ViolationFound]()
        self._order_journal = JournalTail(system.paths.journal(EXECUTION.name), ORDERS)
        self._run_statistics = RunStatistics()
        self._idle = Event()
        self._started_ns = clock.monotonic_ns()

    def run(self, plan: Iterator[Kill], *, for_s: float | None, seed: int) -> dict[str, Any]:
        """Strike as planned, end the system, judge what it wrote."""
        try:
            self._execute(plan, for_s)
        finally:
            told = self._system.stop()
        flaws, evidence = check_orders(self._system.paths)
        facts = {"seed": seed, "seconds": round(self._elapsed_s(), 1), "state": str(self._system.state)}
        return kill_report(
            self._kill_statistics, [*self._violations, *flaws], evidence, told.get("restarts", {}), facts
        )

    def _execute(self, plan: Iterator[Kill], for_s: float | None) -> None:
        going = self._await_or_report(self._all_ready, READY_S_MAX, "not everything was ready") and self._await_fill()
        self._log(f"everything is ready and trades ({self._elapsed_s():.0f} s)" if going else "it does not trade")
        for blow in plan:
            if not going or (for_s is not None and self._elapsed_s() >= for_s):
                return
            going = self._kill(blow) and self._await_fill()

    def _kill(self, kill: Kill) -> bool:
        self._idle.wait(kill.wait_ms / 1e3)
        if kill.is_aimed:
            self._await_journal_write()
        away = {name: self._system.kill(name) for name in kill.names}
        struck_ns = self._clock.monotonic_ns()
        self._kill_statistics.count_kills(*(name for name, pid in away.items() if pid is not None))
        back = self._await_or_report(
            lambda: not self._any_down(away, struck_ns), RECOVERY_S_MAX, f"{' and '.join(kill.names)}: not back"
        )
        self._log(
            f"{self._elapsed_s():4.0f} s: killed {' and '.join(kill.names)}"
            + (f", back after {(self._clock.monotonic_ns() - struck_ns) / 1e9:.1f} s" if back else "")
        )
        return back

    def _any_down(self, down: dict[str, int | None], killed_ns: int) -> bool:
        """Take out of `away` who is ready again; say whether anybody is left."""
        for name, pid in tuple(down.items()):
            if self._system.is_ready(name, other_than_pid=pid):
                del down[name]
                self._kill_statistics.record_recovery(name, (self._clock.monotonic_ns() - killed_ns) // 1_000_000)
        return bool(down)

    def _await_journal_write(self) -> None:
        """Wait until execution writes its next record: an order is on its way right now."""
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
    state: Path | None, run_dir: Path, plan: Iterator[Kill], *, for_s: float | None, seed: int
) -> dict[str, Any]:
    """Start a system under load, with its state in `state` or a folder of its own, and kill it to pieces."""
    if (env := load_settings().paths.env) != "dev":
        raise UsageError(f"a drill is for the sandbox: XTRADER_ENV is {env}, not dev")
    folder = state or Path(mkdtemp(prefix="xtrader-drill-"))
    subject = SystemUnderTest(folder.resolve(), run_dir, seed=seed, overrides=LOAD_OVERRIDES)
    return KillDrill(subject, SystemClock(), lambda line: click.echo(line, err=True)).run(plan, for_s=for_s, seed=seed)
