"""The end of a run: cancel what works, wait until nothing is open, hold our positions against the venue's.

One command: the whole system in order of readiness, watched to its end, with an honest account of the run.

Stops a running `up` from outside: asks it as Ctrl-C would, and waits until it has let go of its lock.
"""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from threading import Event
from typing import Any, Final

import httpx

from components.contracts.decisions import (
    AccountQuery,
    AccountSnapshot,
    OperatorAction,
    OperatorCommand,
    RiskReply,
    RiskRequest,
)
from components.contracts.errors import PeerUnreachable, StorageError, VenueUnavailable
from components.contracts.values import ZERO, CommandId, format_decimal
from components.runtime.clock import Clock
from components.runtime.filesystem import lock_holder
from components.runtime.paths import Paths
from components.xtrader.supervisor.health import fetch_metrics
from components.xtrader.supervisor.launcher import ProcessLauncher
from components.xtrader.supervisor.processes import SIGNALS, VenueEndpoints
from components.xtrader.supervisor.supervisor import ChildState, Supervisor
from components.xtrader.up.console import Output
from components.xtrader.up.monitor import JournalMonitor, RunMonitor

SETTLE_S_MAX: Final = 12.0


SETTLE_POLL_MS: Final = 150


VENUE_RESPONSE_S_MAX: Final = 3.0


RequestRisk = Callable[[RiskRequest], RiskReply]


ReadVenuePositions = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class PositionComparison:
    """Positions as risk sees them and as the venue states them, canonical, flat symbols left out."""

    positions: Mapping[str, str]
    venue_positions: Mapping[str, str]
    open_orders: int
    problem: str | None
    realised: Decimal | None = None
    unrealised: Decimal | None = None

    @property
    def is_equal(self) -> bool:
        """Say whether both are known and the same, with nothing open."""
        return self.problem is None and self.open_orders == 0 and self.positions == self.venue_positions


def settle(
    request_risk: RequestRisk, read_venue: ReadVenuePositions, clock: Clock, wait_ms: Callable[[int], None], run_id: str
) -> PositionComparison:
    """Cancel every working order, wait until nothing is open and both sides agree, or say what they said last."""
    deadline_ns = clock.monotonic_ns() + int(SETTLE_S_MAX * 1e9)
    round_number = 0
    while True:
        comparison = _compare_positions(request_risk, read_venue, CommandId(f"up-{run_id}-{round_number}"))
        if comparison.is_equal or clock.monotonic_ns() >= deadline_ns:
            return comparison
        wait_ms(SETTLE_POLL_MS)
        round_number += 1


def read_venue_positions(endpoints: VenueEndpoints | None) -> Mapping[str, str]:
    """Ask the venue itself, not our own journals."""
    if endpoints is None:
        raise VenueUnavailable("the sandbox has not said where it is")
    headers = {"APCA-API-KEY-ID": endpoints.key, "APCA-API-SECRET-KEY": endpoints.secret}
    try:
        answer = httpx.get(f"{endpoints.trading_url}/v2/positions", headers=headers, timeout=VENUE_RESPONSE_S_MAX)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise VenueUnavailable(f"positions at {endpoints.trading_url}: {error}") from error
    held = {row["symbol"]: Decimal(row["qty"]) for row in answer.json()}
    return {symbol: format_decimal(quantity) for symbol, quantity in held.items() if quantity != ZERO}


def _compare_positions(
    request_risk: RequestRisk, read_venue: ReadVenuePositions, command_id: CommandId
) -> PositionComparison:
    try:
        account = request_risk(AccountQuery(request_id=command_id))
        if not isinstance(account, AccountSnapshot):
            return PositionComparison({}, {}, 0, f"risk answered {type(account).__name__} instead of the account")
        open_orders = len(account.working) + len(account.outbox) + len(account.unknown)
        if open_orders:
            request_risk(
                OperatorCommand(command_id=command_id, action=OperatorAction.CANCEL_ALL, reason="the run ends")
            )
        return PositionComparison(
            _open_positions(account), read_venue(), open_orders, None, account.realised, account.unrealised
        )
    except (PeerUnreachable, VenueUnavailable) as error:
        return PositionComparison({}, {}, 0, str(error))


def _open_positions(account: AccountSnapshot) -> Mapping[str, str]:
    return {one.symbol: format_decimal(one.quantity) for one in account.positions if one.quantity != 0}


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


STOP_POLL_MS: Final = 100


def stop_running_up(paths: Paths, clock: Clock, wait_ms: Callable[[int], object], within_s: float) -> tuple[int, bool]:
    """Ask the running `up` to stop; give its process id and whether it is gone by then."""
    lock = paths.lock("up")
    pid = lock_holder(lock)
    if pid is None:
        raise PeerUnreachable(f"nothing to stop: no `xtrader up` holds {lock}")
    _send_sigterm(pid)
    until_ns = clock.monotonic_ns() + int(within_s * 1e9)
    while lock_holder(lock) == pid:
        if clock.monotonic_ns() >= until_ns:
            return pid, False
        wait_ms(STOP_POLL_MS)
    return pid, True


def _send_sigterm(pid: int) -> None:
    try:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise StorageError(f"process {pid} belongs to another user: run this as that user") from error
