"""One command: the whole system in order of readiness, watched to its end, with an honest account of the run."""

from dataclasses import dataclass
from threading import Event
from typing import Any, Final

from components.runtime.clock import Clock
from components.xtrader.children import SIGNALS
from components.xtrader.crew import ChildState, Supervisor
from components.xtrader.ending import PositionComparison, ReadVenuePositions, RequestRisk, settle
from components.xtrader.show import Output
from components.xtrader.vitals import fetch_metrics
from components.xtrader.watch import JournalMonitor, RunMonitor
from components.xtrader.yard import ProcessLauncher

POLL_MS: Final = 100
READY_S_MAX: Final = 60.0
METRICS_EVERY_NS: Final = 1_000_000_000
UNREADY_S_MAX: Final = 20.0
"""A component that was away for longer than this was not ready to the end, even if it came back."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run is made of."""

    monitor: RunMonitor
    launcher: ProcessLauncher
    clock: Clock
    journals: JournalMonitor
    request_risk: RequestRisk
    read_venue: ReadVenuePositions
    stop_requested: Event
    output: Output

    @property
    def supervisor(self) -> Supervisor:
        """Whom the run watches over."""
        return self.monitor.supervisor


@dataclass(slots=True)
class RunOutcome:
    """What there is to say about a run once it is over."""

    started_at_ns: int
    problem: str | None = None
    ready_at_end: bool = False
    comparison: PositionComparison | None = None


class TradingRun:
    """One `up`, from the first process to the comparison of positions."""

    def __init__(self, context: RunContext, *, for_s: float | None) -> None:
        self._context = context
        self._for_s = for_s
        self._restarts_seen: dict[str, int] = {}
        self._metrics_due_ns = 0
        self.outcome = RunOutcome(context.monitor.started_at_ns)
        self._started_monotonic_ns = context.clock.monotonic_ns()

    def run(self) -> dict[str, Any]:
        """Start, watch, settle, stop; whatever happens, every child is stopped."""
        try:
            if self._wait_until_ready():
                self._trade_until_stopped()
                self._settle()
        finally:
            self._context.supervisor.stop()
        self._context.journals.poll()
        return self._summary()

    def _wait_until_ready(self) -> bool:
        crew = self._context.supervisor
        while not crew.is_ready:
            self._poll()
            if self._context.stop_requested.is_set():
                self.outcome.problem = "stopped before everything was ready"
            elif self._elapsed_s() > READY_S_MAX:
                waiting = ", ".join(f"{one.spec.name}: {one.readiness.detail}" for one in _unready_children(crew))
                self.outcome.problem = f"not ready within {READY_S_MAX:.0f} s ({waiting})"
            if self.outcome.problem:
                return False
        self._context.monitor.ready_at_ns = self._context.clock.now_ns()
        self._context.output.event(f"everything is ready ({self._elapsed_s():.1f} s)")
        return True

    def _trade_until_stopped(self) -> None:
        ends_at_s = None if self._for_s is None else self._elapsed_s() + self._for_s
        while not self._context.stop_requested.is_set() and self.outcome.problem is None:
            if ends_at_s is not None and self._elapsed_s() >= ends_at_s:
                return
            self._poll()

    def _settle(self) -> None:
        parts, run = self._context, self.outcome
        run.ready_at_end = parts.supervisor.is_ready and run.problem is None
        self._read_metrics()
        parts.output.event("stopping intake, cancelling what works, comparing positions")
        parts.supervisor.stop(SIGNALS.name)
        run.comparison = settle(parts.request_risk, parts.read_venue, parts.clock, self._wait, f"{run.started_at_ns:x}")
        self._read_metrics()

    def _poll(self) -> None:
        self._wait(POLL_MS)
        now_ns = self._context.clock.monotonic_ns()
        self._context.journals.poll()
        if now_ns >= self._metrics_due_ns:
            self._metrics_due_ns = now_ns + METRICS_EVERY_NS
            self._read_metrics()
        if (lost := self._context.supervisor.permanent_failure) is not None:
            self.outcome.problem = f"{lost.spec.name} cannot run: see {self._context.launcher.log_path(lost.spec)}"

    def _wait(self, wait_ms: int) -> None:
        self._context.stop_requested.wait(wait_ms / 1e3)
        self._context.supervisor.step()
        now_ns = self._context.clock.monotonic_ns()
        self._context.output.update(self._context.monitor, now_ns)

    def _read_metrics(self) -> None:
        for name, berth in self._context.supervisor.children.items():
            if self._restarts_seen.setdefault(name, berth.restarts) != berth.restarts:
                self._restarts_seen[name] = berth.restarts
                self._context.monitor.metrics.on_restart(name)
            pid = berth.process.pid if berth.process else 0
            page = fetch_metrics(self._context.launcher.health_port(berth.spec, pid))
            if page is not None:
                self._context.monitor.metrics.update(name, page)

    def _elapsed_s(self) -> float:
        return (self._context.clock.monotonic_ns() - self._started_monotonic_ns) / 1e9

    def _seconds_after_start(self, at_ns: int) -> float:
        return round((at_ns - self.outcome.started_at_ns) / 1e9, 3)

    def _summary(self) -> dict[str, Any]:
        run, tally, ready_ns = self.outcome, self._context.monitor.statistics, self._context.monitor.ready_at_ns
        comparison = run.comparison or PositionComparison({}, {}, 0, run.problem or "positions were not compared")
        problem = run.problem or comparison.problem or "; ".join(self._problems(comparison))
        return {
            "ok": not problem,
            "problem": problem or None,
            "ready_s": None if ready_ns is None else self._seconds_after_start(ready_ns),
            "first_fill_s": None if tally.first_fill is None else self._seconds_after_start(tally.first_fill.at_ns),
            "orders": tally.order_counts(),
            "fills": tally.fills,
            "profit_and_loss": {"realised": comparison.realised, "unrealised": comparison.unrealised},
            "verdicts": {"approved": tally.approved_signals, "refused": dict(sorted(tally.refusals_by_check.items()))},
            "bus": {"gaps": self._context.monitor.metrics.gaps},
            "positions": dict(sorted(comparison.positions.items())),
            "venue_positions": dict(sorted(comparison.venue_positions.items())),
            "latency_us": self._context.monitor.metrics.latency_us(),
            "restarts": {
                name: berth.restarts for name, berth in self._context.supervisor.children.items() if berth.restarts
            },
        }

    def _problems(self, comparison: PositionComparison) -> list[str]:
        """Name everything that a run which is ok has not."""
        tally, gaps, away = (
            self._context.monitor.statistics,
            self._context.monitor.metrics.gaps,
            _unready_too_long(self._context.supervisor),
        )
        unknown = tally.order_counts()["unknown"]
        findings = {
            "not every component was ready at the end": not self.outcome.ready_at_end,
            f"away for longer than {UNREADY_S_MAX:.0f} s: {', '.join(away)}": bool(away),
            "no order was filled": tally.first_fill is None,
            f"{comparison.open_orders} orders still open": comparison.open_orders > 0,
            "positions differ from the venue's": comparison.positions != comparison.venue_positions,
            f"{unknown} orders of unknown outcome": unknown > 0,
            f"{gaps} gaps on the bus": gaps > 0,
        }
        return [finding for finding, found in findings.items() if found]


def _unready_too_long(supervisor: Supervisor) -> list[str]:
    return [name for name, berth in supervisor.children.items() if berth.unready_ns_max > UNREADY_S_MAX * 1e9]


def _unready_children(supervisor: Supervisor) -> list[ChildState]:
    return [berth for berth in supervisor.children.values() if not berth.is_ready]
