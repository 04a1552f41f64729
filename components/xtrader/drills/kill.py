"""The drill that kills: random processes at random moments under load, with everything proven at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from threading import Event
from typing import Any, Final

import click

from components.contracts.errors import UsageError
from components.contracts.topics import ORDERS
from components.runtime.clock import Clock, SystemClock
from components.runtime.config import load
from components.xtrader.children import CHILDREN, EXECUTION
from components.xtrader.drills.evidence import judged
from components.xtrader.drills.plan import Blow
from components.xtrader.drills.report import Losses, report
from components.xtrader.drills.subject import Subject
from components.xtrader.drills.verdict import Finding, Flaw
from components.xtrader.tally import Tally
from components.xtrader.watch import Follower

NAMES: Final = tuple(child.name for child in CHILDREN)
READY_S_MAX: Final = 60.0
BACK_S_MAX: Final = 40.0
"""The longest pause before a restart, and a start on a busy machine."""

TRADING_S_MAX: Final = 40.0
AIM_S_MAX: Final = 3.0
LOOK_MS: Final = 25
AIM_MS: Final = 1

LOAD: Final = {
    "XTRADER__SIGNALS__STRATEGY__COOL_DOWN_MS": "1500",
    "XTRADER__RISK__LIMITS__ORDER_RATE_PER_MINUTE_MAX": "110",
    "XTRADER__EXECUTION__PACE__ORDERS_PER_MINUTE": "110",
    "XTRADER__EXECUTION__PACE__READS_PER_MINUTE": "60",
    "XTRADER__EXECUTION__PACE__RESERVE_PER_MINUTE": "30",
}
"""As many orders as the venue's 200 requests a minute leave room for beside readings and cancels."""


class KillDrill:
    """One drill; `say` hears a line for each blow."""

    def __init__(self, subject: Subject, clock: Clock, say: Callable[[str], None]) -> None:
        """Take a system that was just started."""
        self._subject, self._clock, self._say = subject, clock, say
        self._losses, self._found = Losses(), list[Finding]()
        self._orders = Follower(subject.places.journal(EXECUTION.name), ORDERS)
        self._tally = Tally()
        self._idle = Event()
        self._begun_ns = clock.monotonic_ns()

    def run(self, plan: Iterator[Blow], *, for_s: float | None, seed: int) -> dict[str, Any]:
        """Strike as planned, end the system, judge what it wrote."""
        try:
            self._strike_all(plan, for_s)
        finally:
            told = self._subject.end()
        flaws, evidence = judged(self._subject.places)
        facts = {"seed": seed, "seconds": round(self._seconds(), 1), "state": str(self._subject.state)}
        return report(self._losses, [*self._found, *flaws], evidence, told.get("restarts", {}), facts)

    def _strike_all(self, plan: Iterator[Blow], for_s: float | None) -> None:
        going = self._waited(self._all_ready, READY_S_MAX, "not everything was ready") and self._trades_again()
        self._say(f"everything is ready and trades ({self._seconds():.0f} s)" if going else "it does not trade")
        for blow in plan:
            if not going or (for_s is not None and self._seconds() >= for_s):
                return
            going = self._strike(blow) and self._trades_again()

    def _strike(self, blow: Blow) -> bool:
        self._idle.wait(blow.wait_ms / 1e3)
        if blow.is_aimed:
            self._await_write()
        away = {name: self._subject.kill(name) for name in blow.names}
        struck_ns = self._clock.monotonic_ns()
        self._losses.count(*(name for name, pid in away.items() if pid is not None))
        back = self._waited(
            lambda: not self._away(away, struck_ns), BACK_S_MAX, f"{' and '.join(blow.names)}: not back"
        )
        self._say(
            f"{self._seconds():4.0f} s: killed {' and '.join(blow.names)}"
            + (f", back after {(self._clock.monotonic_ns() - struck_ns) / 1e9:.1f} s" if back else "")
        )
        return back

    def _away(self, away: dict[str, int | None], struck_ns: int) -> bool:
        """Take out of `away` who is ready again; say whether anybody is left."""
        for name, pid in tuple(away.items()):
            if self._subject.is_ready(name, other_than=pid):
                del away[name]
                self._losses.came_back(name, (self._clock.monotonic_ns() - struck_ns) // 1_000_000)
        return bool(away)

    def _await_write(self) -> None:
        """Wait until execution writes its next record: an order is on its way right now."""
        size = self._subject.written_bytes(EXECUTION.name)
        self._poll(lambda: self._subject.written_bytes(EXECUTION.name) != size, AIM_S_MAX, AIM_MS)

    def _trades_again(self) -> bool:
        before = self._fills()
        return self._waited(lambda: self._fills() > before, TRADING_S_MAX, "no new order was filled")

    def _fills(self) -> int:
        for _, message in self._orders.new_entries():
            self._tally.count_order_event(message)
        return self._tally.fills

    def _all_ready(self) -> bool:
        return all(self._subject.is_ready(name) for name in NAMES)

    def _waited(self, probe: Callable[[], bool], within_s: float, complaint: str) -> bool:
        if self._poll(probe, within_s, LOOK_MS):
            return True
        self._found.append(Finding(Flaw.RUN, f"{complaint} within {within_s:.0f} s"))
        return False

    def _poll(self, probe: Callable[[], bool], within_s: float, every_ms: int) -> bool:
        until_ns = self._clock.monotonic_ns() + int(within_s * 1e9)
        while not probe():
            if not self._subject.is_running or self._clock.monotonic_ns() >= until_ns:
                return False
            self._idle.wait(every_ms / 1e3)
        return True

    def _seconds(self) -> float:
        return (self._clock.monotonic_ns() - self._begun_ns) / 1e9


def drill(state: Path | None, run: Path, plan: Iterator[Blow], *, for_s: float | None, seed: int) -> dict[str, Any]:
    """Start a system under load, with its state in `state` or a folder of its own, and kill it to pieces."""
    if (env := load().places.env) != "dev":
        raise UsageError(f"a drill is for the sandbox: XTRADER_ENV is {env}, not dev")
    folder = state or Path(mkdtemp(prefix="xtrader-drill-"))
    subject = Subject(folder.resolve(), run, seed=seed, overrides=LOAD)
    return KillDrill(subject, SystemClock(), lambda line: click.echo(line, err=True)).run(plan, for_s=for_s, seed=seed)
