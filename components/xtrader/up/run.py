"""One trading run: start all processes, trade, settle, stop, and compare positions with the venue's.

Settling cancels all working orders and waits until nothing is open. `stop_running_up` ends a run from outside.
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
from components.runtime.clock import NS_PER_S, Clock
from components.runtime.filesystem import lock_holder
from components.runtime.paths import Paths
from components.xtrader.supervisor.health import fetch_metrics
from components.xtrader.supervisor.launcher import ProcessLauncher
from components.xtrader.supervisor.processes import SIGNALS, VenueEndpoints
from components.xtrader.supervisor.supervisor import ChildState, Supervisor
from components.xtrader.up.console import Output
from components.xtrader.up.monitor import JournalMonitor, RunMonitor

READY_S_MAX: Final = 60.0
UNREADY_S_MAX: Final = 20.0
"""A component that was not ready for longer fails the run, even if it recovered."""
POLL_MS: Final = 100
METRICS_EVERY_NS: Final = NS_PER_S
SETTLE_S_MAX: Final = 12.0
SETTLE_POLL_MS: Final = 150
VENUE_RESPONSE_S_MAX: Final = 3.0
STOP_POLL_MS: Final = 100
RequestRisk = Callable[[RiskRequest], RiskReply]
ReadVenuePositions = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class PositionComparison:
    """Positions according to risk and to the venue, canonical, without flat symbols."""

    positions: Mapping[str, str]
    venue_positions: Mapping[str, str]
    open_orders: int
    problem: str | None
    realised: Decimal | None = None
    unrealised: Decimal | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both are known and equal, and no order is open."""
        return self.problem is None and self.open_orders == 0 and self.positions == self.venue_positions


def settle(
    request_risk: RequestRisk, read_venue: ReadVenuePositions, clock: Clock, wait_ms: Callable[[int], None], run_id: str
) -> PositionComparison:
    """Cancel every working order until none is open and both sides agree. Return the last comparison."""
    deadline_ns = clock.monotonic_ns() + int(SETTLE_S_MAX * 1e9)
    round_number = 0
    while True:
        comparison = _compare_positions(request_risk, read_venue, CommandId(f"up-{run_id}-{round_number}"))
        if comparison.is_equal or clock.monotonic_ns() >= deadline_ns:
            return comparison
        wait_ms(SETTLE_POLL_MS)
        round_number += 1


def read_venue_positions(endpoints: VenueEndpoints | None) -> Mapping[str, str]:
    """Return the positions that the venue itself reports, independent of our journals."""
    if endpoints is None:
        raise VenueUnavailable("the sandbox has not reported its endpoints yet")
    headers = {"APCA-API-KEY-ID": endpoints.key, "APCA-API-SECRET-KEY": endpoints.secret}
    try:
        response = httpx.get(f"{endpoints.trading_url}/v2/positions", headers=headers, timeout=VENUE_RESPONSE_S_MAX)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise VenueUnavailable(f"cannot read the positions at {endpoints.trading_url}: {error}") from error
    quantities = {row["symbol"]: Decimal(row["qty"]) for row in response.json()}
    return {symbol: format_decimal(quantity) for symbol, quantity in quantities.items() if quantity != ZERO}


def _compare_positions(
    request_risk: RequestRisk, read_venue: ReadVenuePositions, command_id: CommandId
) -> PositionComparison:
    try:
        account = request_risk(AccountQuery(request_id=command_id))
        if not isinstance(account, AccountSnapshot):
            return PositionComparison({}, {}, 0, f"risk replied with {type(account).__name__} instead of the account")
        open_orders = len(account.working) + len(account.outbox) + len(account.unknown)
        if open_orders:
            request_risk(
                OperatorCommand(command_id=command_id, action=OperatorAction.CANCEL_ALL, reason="end of the run")
            )
        return PositionComparison(
            _open_positions(account), read_venue(), open_orders, None, account.realised, account.unrealised
        )
    except (PeerUnreachable, VenueUnavailable) as error:
        return PositionComparison({}, {}, 0, str(error))


def _open_positions(account: AccountSnapshot) -> Mapping[str, str]:
    return {one.symbol: format_decimal(one.quantity) for one in account.positions if one.quantity != 0}


@dataclass(frozen=True, slots=True)
class RunContext:
    """The parts of a run."""

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
        """The supervisor of the run."""
        return self.monitor.supervisor


@dataclass(slots=True)
class RunOutcome:
    """What is known of a run when it is over."""

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
        """Start, watch, settle and stop; return the summary. Every child is stopped, whatever fails."""
        try:
            if self._wait_until_ready():
                self._trade_until_stopped()
                self._settle()
        finally:
            self._context.supervisor.stop()
        self._context.journals.poll()
        return self._summary()

    def _wait_until_ready(self) -> bool:
        supervisor = self._context.supervisor
        while not supervisor.is_ready:
            self._poll()
            if self._context.stop_requested.is_set():
                self.outcome.problem = "stopped before everything was ready"
            elif self._elapsed_s() > READY_S_MAX:
                waiting = ", ".join(f"{one.spec.name}: {one.readiness.detail}" for one in _unready_children(supervisor))
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
        context, outcome = self._context, self.outcome
        outcome.ready_at_end = context.supervisor.is_ready and outcome.problem is None
        self._read_metrics()
        context.output.event("stopping signals, cancelling working orders, comparing positions")
        context.supervisor.stop(SIGNALS.name)
        outcome.comparison = settle(
            context.request_risk, context.read_venue, context.clock, self._wait, f"{outcome.started_at_ns:x}"
        )
        self._read_metrics()

    def _poll(self) -> None:
        self._wait(POLL_MS)
        now_ns = self._context.clock.monotonic_ns()
        self._context.journals.poll()
        if now_ns >= self._metrics_due_ns:
            self._metrics_due_ns = now_ns + METRICS_EVERY_NS
            self._read_metrics()
        if (failed := self._context.supervisor.permanent_failure) is not None:
            self.outcome.problem = f"{failed.spec.name} cannot run: see {self._context.launcher.log_path(failed.spec)}"

    def _wait(self, wait_ms: int) -> None:
        self._context.stop_requested.wait(wait_ms / 1e3)
        self._context.supervisor.step()
        now_ns = self._context.clock.monotonic_ns()
        self._context.output.update(self._context.monitor, now_ns)

    def _read_metrics(self) -> None:
        for name, child in self._context.supervisor.children.items():
            if self._restarts_seen.setdefault(name, child.restarts) != child.restarts:
                self._restarts_seen[name] = child.restarts
                self._context.monitor.metrics.on_restart(name)
            pid = child.process.pid if child.process else 0
            page = fetch_metrics(self._context.launcher.health_port(child.spec, pid))
            if page is not None:
                self._context.monitor.metrics.update(name, page)

    def _elapsed_s(self) -> float:
        return (self._context.clock.monotonic_ns() - self._started_monotonic_ns) / 1e9

    def _seconds_after_start(self, at_ns: int) -> float:
        return round((at_ns - self.outcome.started_at_ns) / 1e9, 3)

    def _summary(self) -> dict[str, Any]:
        monitor, supervisor = self._context.monitor, self._context.supervisor
        statistics = monitor.statistics
        missing = PositionComparison({}, {}, 0, self.outcome.problem or "positions were not compared")
        comparison = self.outcome.comparison or missing
        problem = self.outcome.problem or comparison.problem or "; ".join(self._problems(comparison))
        ready_at_ns, fill = monitor.ready_at_ns, statistics.first_fill
        return {
            "ok": not problem,
            "problem": problem or None,
            "ready_s": None if ready_at_ns is None else self._seconds_after_start(ready_at_ns),
            "first_fill_s": None if fill is None else self._seconds_after_start(fill.at_ns),
            "orders": statistics.order_counts(),
            "fills": statistics.fills,
            "profit_and_loss": {"realised": comparison.realised, "unrealised": comparison.unrealised},
            "decisions": {
                "approved": statistics.approved_signals,
                "refused": dict(sorted(statistics.refusals_by_check.items())),
            },
            "bus": {"gaps": monitor.metrics.gaps},
            "positions": dict(sorted(comparison.positions.items())),
            "venue_positions": dict(sorted(comparison.venue_positions.items())),
            "latency_us": monitor.metrics.latency_us(),
            "restarts": {name: child.restarts for name, child in supervisor.children.items() if child.restarts},
        }

    def _problems(self, comparison: PositionComparison) -> list[str]:
        """Return every reason why the run is not ok."""
        monitor, unready = self._context.monitor, _unready_too_long(self._context.supervisor)
        statistics, gaps = monitor.statistics, monitor.metrics.gaps
        unknown = statistics.order_counts()["unknown"]
        problems = {
            "not every component was ready at the end": not self.outcome.ready_at_end,
            f"not ready for longer than {UNREADY_S_MAX:.0f} s: {', '.join(unready)}": bool(unready),
            "no order was filled": statistics.first_fill is None,
            f"{comparison.open_orders} orders still open": comparison.open_orders > 0,
            "positions differ from the venue's": comparison.positions != comparison.venue_positions,
            f"{unknown} orders of unknown outcome": unknown > 0,
            f"{gaps} gaps on the bus": gaps > 0,
        }
        return [problem for problem, exists in problems.items() if exists]


def _unready_too_long(supervisor: Supervisor) -> list[str]:
    return [name for name, child in supervisor.children.items() if child.unready_ns_max > UNREADY_S_MAX * 1e9]


def _unready_children(supervisor: Supervisor) -> list[ChildState]:
    return [child for child in supervisor.children.values() if not child.is_ready]


def stop_running_up(paths: Paths, clock: Clock, wait_ms: Callable[[int], object], within_s: float) -> tuple[int, bool]:
    """Send SIGTERM to the running `up`; return its process id, and whether it ended within the timeout."""
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
