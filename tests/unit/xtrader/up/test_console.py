"""Plain output explains the first fill once and prints a status line; the summary says how the run went."""

from decimal import Decimal
from typing import Any

import pytest

from components.xtrader.explain.history import RecentHistories
from components.xtrader.supervisor.processes import PROCESSES
from components.xtrader.supervisor.supervisor import Supervisor
from components.xtrader.up.console import PlainOutput, format_summary
from components.xtrader.up.monitor import RunMonitor, RunStatistics
from tests.support.order_records import decision, intent, order_events
from tests.support.sample_messages import AT_NS
from tests.support.supervisor_fakes import FakeClock, FakeLauncher


@pytest.fixture
def monitor() -> RunMonitor:
    supervisor = Supervisor(PROCESSES, FakeLauncher(), FakeClock(), lambda _: None)
    return RunMonitor("dev/sandbox", AT_NS, supervisor, RunStatistics(), RecentHistories())


def trade(monitor: RunMonitor) -> None:
    for sequence, event in enumerate(order_events()):
        monitor.statistics.count_order_event(event)
        monitor.histories.add_order_event(sequence, event)
    for sequence, one in enumerate((decision(), decision(intent("demo-abc-2"), allowed=False))):
        monitor.statistics.count_decision(one)
        monitor.histories.add_decision(sequence, one)


def test_the_first_fill_is_explained_once(monitor: RunMonitor, capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainOutput(lambda _: "demo version 1", to_errors=False)
    lines.update(monitor, 0)
    assert capsys.readouterr().out == ""
    trade(monitor)
    lines.update(monitor, 1)
    first, quoted, *_ = capsys.readouterr().out.splitlines()
    assert first == "first fill after 0.0 s (demo-abc-1-0-1):"
    assert quoted.startswith("  SPY was quoted 559.95 bid")
    lines.update(monitor, 2)
    assert capsys.readouterr().out == ""


def test_a_status_line_is_printed_every_few_seconds_once_all_is_ready(
    monitor: RunMonitor, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = PlainOutput(lambda _: None, to_errors=True)
    monitor.ready_at_ns = 1
    for now_ns in (0, 1, 5_000_000_000):
        lines.update(monitor, now_ns)
    printed = capsys.readouterr().err.splitlines()
    assert printed == ["orders: 0 submitted, 0 filled, 0 rejected, 0 unknown; fills: 0; 0 approved; gaps: 0"] * 2


RESULT: dict[str, Any] = {
    "ok": True,
    "problem": None,
    "orders": {"submitted": 2, "filled": 1},
    "fills": 1,
    "decisions": {"approved": 2, "refused": {"duplicate": 3}},
    "positions": {"SPY": "2"},
    "profit_and_loss": {"realised": Decimal("1.5"), "unrealised": Decimal("-0.25")},
    "latency_us": {"tick_to_order": {"p50": 4_500.0, "p99": 9_100.0}},
    "bus": {"gaps": 0},
    "restarts": {"risk": 1},
}


def test_the_summary_of_a_run() -> None:
    assert format_summary(RESULT).splitlines() == [
        "ok",
        "orders:     2 submitted, 1 filled; fills: 1",
        "decisions:  2 approved; refused: 3 duplicate",
        "positions:  2 SPY",
        "P&L:        realised +1.50 dollars, unrealised -0.25 dollars",
        "latency:    tick to order p50 4.5 ms, p99 9.1 ms",
        "bus:        gaps: 0; restarts: 1 risk",
    ]


def test_the_summary_of_a_run_that_never_started() -> None:
    nothing: dict[str, Any] = {
        **RESULT,
        "ok": False,
        "problem": "stopped before everything was ready",
        "positions": {},
        "profit_and_loss": {"realised": None, "unrealised": None},
        "latency_us": {"tick_to_order": {}},
    }
    text = format_summary(nothing)
    assert text.startswith("not ok: stopped before everything was ready\n")
    assert "P&L:        unknown" in text
    assert "latency:    no order was measured" in text
