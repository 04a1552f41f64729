"""One command: the whole system in order of readiness, watched to its end, with an honest account of the run."""

from dataclasses import dataclass
from threading import Event
from typing import Any, Final

from components.runtime.clock import Clock
from components.xtrader.children import SIGNALS
from components.xtrader.crew import Berth, Crew
from components.xtrader.ending import AskRisk, Comparison, ReadVenue, settle
from components.xtrader.show import Show
from components.xtrader.vitals import metrics_page
from components.xtrader.watch import Journals, Seen
from components.xtrader.yard import ProcessYard

LOOK_MS: Final = 100
READY_S_MAX: Final = 60.0
METERS_EVERY_NS: Final = 1_000_000_000
UNREADY_S_MAX: Final = 20.0
"""A component that was away for longer than this was not ready to the end, even if it came back."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of."""

    seen: Seen
    yard: ProcessYard
    clock: Clock
    journals: Journals
    ask: AskRisk
    venue: ReadVenue
    stop: Event
    show: Show

    @property
    def crew(self) -> Crew:
        """Whom the run watches over."""
        return self.seen.crew


@dataclass(slots=True)
class Account:
    """What there is to say about a run once it is over."""

    begun_ns: int
    problem: str | None = None
    ready_at_end: bool = False
    comparison: Comparison | None = None


class Run:
    """One `up`, from the first process to the comparison of positions."""

    def __init__(self, parts: Parts, *, for_s: float | None) -> None:
        self._parts = parts
        self._for_s = for_s
        self._lives: dict[str, int] = {}
        self._meters_due_ns = 0
        self.account = Account(parts.seen.begun_ns)
        self._begun_monotonic_ns = parts.clock.monotonic_ns()

    def to_its_end(self) -> dict[str, Any]:
        """Start, watch, settle, stop; whatever happens, every child is stopped."""
        try:
            if self._until_ready():
                self._until_end()
                self._settle()
        finally:
            self._parts.crew.stop()
        self._parts.journals.catch_up()
        return self._summary()

    def _until_ready(self) -> bool:
        crew = self._parts.crew
        while not crew.is_ready:
            self._look()
            if self._parts.stop.is_set():
                self.account.problem = "stopped before everything was ready"
            elif self._seconds() > READY_S_MAX:
                waiting = ", ".join(f"{one.child.name}: {one.readiness.detail}" for one in _unready(crew))
                self.account.problem = f"not ready within {READY_S_MAX:.0f} s ({waiting})"
            if self.account.problem:
                return False
        self._parts.seen.ready_ns = self._parts.clock.now_ns()
        self._parts.show.say(f"everything is ready ({self._seconds():.1f} s)")
        return True

    def _until_end(self) -> None:
        ends_at_s = None if self._for_s is None else self._seconds() + self._for_s
        while not self._parts.stop.is_set() and self.account.problem is None:
            if ends_at_s is not None and self._seconds() >= ends_at_s:
                return
            self._look()

    def _settle(self) -> None:
        parts, run = self._parts, self.account
        run.ready_at_end = parts.crew.is_ready and run.problem is None
        self._read_meters()
        parts.show.say("stopping intake, cancelling what works, comparing positions")
        parts.crew.stop(SIGNALS.name)
        run.comparison = settle(parts.ask, parts.venue, parts.clock, self._wait, f"{run.begun_ns:x}")
        self._read_meters()

    def _look(self) -> None:
        self._wait(LOOK_MS)
        now_ns = self._parts.clock.monotonic_ns()
        self._parts.journals.catch_up()
        if now_ns >= self._meters_due_ns:
            self._meters_due_ns = now_ns + METERS_EVERY_NS
            self._read_meters()
        if (lost := self._parts.crew.given_up) is not None:
            self.account.problem = f"{lost.child.name} cannot run: see {self._parts.yard.log_path(lost.child)}"

    def _wait(self, wait_ms: int) -> None:
        self._parts.stop.wait(wait_ms / 1e3)
        self._parts.crew.step()
        now_ns = self._parts.clock.monotonic_ns()
        self._parts.show.tell(self._parts.seen, now_ns)

    def _read_meters(self) -> None:
        for name, berth in self._parts.crew.berths.items():
            if self._lives.setdefault(name, berth.restarts) != berth.restarts:
                self._lives[name] = berth.restarts
                self._parts.seen.meters.begin_life(name)
            pid = berth.process.pid if berth.process else 0
            page = metrics_page(self._parts.yard.health_port(berth.child, pid))
            if page is not None:
                self._parts.seen.meters.read(name, page)

    def _seconds(self) -> float:
        return (self._parts.clock.monotonic_ns() - self._begun_monotonic_ns) / 1e9

    def _after_s(self, at_ns: int) -> float:
        return round((at_ns - self.account.begun_ns) / 1e9, 3)

    def _summary(self) -> dict[str, Any]:
        run, tally, ready_ns = self.account, self._parts.seen.tally, self._parts.seen.ready_ns
        comparison = run.comparison or Comparison({}, {}, 0, run.problem or "positions were not compared")
        problem = run.problem or comparison.problem or "; ".join(self._findings(comparison))
        return {
            "ok": not problem,
            "problem": problem or None,
            "ready_s": None if ready_ns is None else self._after_s(ready_ns),
            "first_fill_s": None if tally.first_fill is None else self._after_s(tally.first_fill.at_ns),
            "orders": tally.orders(),
            "fills": tally.fills,
            "profit_and_loss": {"realised": comparison.realised, "unrealised": comparison.unrealised},
            "verdicts": {"approved": tally.allowed, "refused": dict(sorted(tally.refused.items()))},
            "bus": {"gaps": self._parts.seen.meters.gaps},
            "positions": dict(sorted(comparison.positions.items())),
            "venue_positions": dict(sorted(comparison.venue_positions.items())),
            "latency_us": self._parts.seen.meters.latency_us(),
            "restarts": {name: berth.restarts for name, berth in self._parts.crew.berths.items() if berth.restarts},
        }

    def _findings(self, comparison: Comparison) -> list[str]:
        """Name everything that a run which is ok has not."""
        tally, gaps, away = self._parts.seen.tally, self._parts.seen.meters.gaps, _away(self._parts.crew)
        unknown = tally.orders()["unknown"]
        findings = {
            "not every component was ready at the end": not self.account.ready_at_end,
            f"away for longer than {UNREADY_S_MAX:.0f} s: {', '.join(away)}": bool(away),
            "no order was filled": tally.first_fill is None,
            f"{comparison.open_orders} orders still open": comparison.open_orders > 0,
            "positions differ from the venue's": comparison.positions != comparison.venue_positions,
            f"{unknown} orders of unknown outcome": unknown > 0,
            f"{gaps} gaps on the bus": gaps > 0,
        }
        return [finding for finding, found in findings.items() if found]


def _away(crew: Crew) -> list[str]:
    return [name for name, berth in crew.berths.items() if berth.unready_ns_max > UNREADY_S_MAX * 1e9]


def _unready(crew: Crew) -> list[Berth]:
    return [berth for berth in crew.berths.values() if not berth.is_ready]
