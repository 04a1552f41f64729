"""The output of a run: plain lines, the explanation of the first fill, and the summary at the end."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import click

from components.xtrader.explain.history import OrderHistory
from components.xtrader.explain.text import summary_text
from components.xtrader.up.monitor import RunMonitor

STATUS_EVERY_NS: Final = 5_000_000_000
ModelNameLookup = Callable[[OrderHistory], str | None]


class Output(Protocol):
    """Where a run reports its progress: plain lines or the live view."""

    def event(self, line: str) -> None:
        """Print one event."""
        ...

    def update(self, monitor: RunMonitor, now_ns: int) -> None:
        """Show the current state; called several times a second."""
        ...

    def close(self) -> None:
        """Close the output, leaving on the terminal what is worth keeping."""
        ...


class FirstFillExplanation:
    """The explanation of the first fill, made once."""

    def __init__(self, model_name_of: ModelNameLookup) -> None:
        self._model_name_of = model_name_of
        self.headline = ""
        self.sentences: tuple[str, ...] = ()

    def update(self, monitor: RunMonitor) -> bool:
        """Return True once: when the first fill has been found and explained."""
        fill = monitor.statistics.first_fill
        if fill is None or self.sentences:
            return False
        history = monitor.histories.history_of(fill)
        after_s = (fill.at_ns - monitor.started_at_ns) / 1e9
        self.headline = f"first fill after {after_s:.1f} s ({fill.client_order_id}):"
        self.sentences = tuple(summary_text(history, self._model_name_of(history)))
        return True


class PlainOutput:
    """One line for each event, and a status line every few seconds."""

    def __init__(self, model_name_of: ModelNameLookup, *, to_errors: bool) -> None:
        """`to_errors` keeps standard output free for the JSON summary."""
        self._to_errors = to_errors
        self._first_fill = FirstFillExplanation(model_name_of)
        self._status_due_ns = 0

    def event(self, line: str) -> None:
        """Print one line."""
        click.echo(line, err=self._to_errors)

    def update(self, monitor: RunMonitor, now_ns: int) -> None:
        """Explain the first fill, and print a status line if one is due."""
        if self._first_fill.update(monitor):
            self.event(self._first_fill.headline)
            for sentence in self._first_fill.sentences:
                self.event(f"  {sentence}")
        if monitor.ready_at_ns is not None and now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + STATUS_EVERY_NS
            self.event(status_line(monitor))

    def close(self) -> None:
        """Do nothing: no resource is held."""


def status_line(monitor: RunMonitor) -> str:
    """Return the state of the run in one line."""
    statistics = monitor.statistics
    orders = ", ".join(f"{count} {name}" for name, count in statistics.order_counts().items())
    refused = ", ".join(f"{code} {count}" for code, count in statistics.refusals_by_check.most_common(3))
    decisions = f"{statistics.approved_signals} approved" + (f", refused: {refused}" if refused else "")
    return f"orders: {orders}; fills: {statistics.fills}; {decisions}; gaps: {monitor.metrics.gaps}"


def format_summary(result: Mapping[str, Any]) -> str:
    """Return the summary of a run; the first line says whether it was ok."""
    decisions = result["decisions"]
    rows = {
        "orders": f"{_format_counts(result['orders'])}; fills: {result['fills']}",
        "decisions": f"{decisions['approved']} approved; refused: {_format_counts(decisions['refused'])}",
        "positions": _format_counts(result["positions"], nothing="flat"),
        "P&L": _format_profit_and_loss(result["profit_and_loss"]),
        "latency": _format_latency(result["latency_us"]["tick_to_order"]),
        "bus": f"gaps: {result['bus']['gaps']}; restarts: {_format_counts(result['restarts'])}",
    }
    outcome = "ok" if result["ok"] else f"not ok: {result['problem']}"
    return "\n".join([outcome, *(f"{name + ':':<11} {text}" for name, text in rows.items())])


def _format_counts(counts: Mapping[str, Any], nothing: str = "none") -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or nothing


def _format_profit_and_loss(result: Mapping[str, Decimal | None]) -> str:
    known = {name: amount for name, amount in result.items() if amount is not None}
    return ", ".join(f"{name} {amount:+.2f} dollars" for name, amount in known.items()) or "unknown"


def _format_latency(quantiles_us: Mapping[str, float]) -> str:
    spans = ", ".join(f"{name} {value / 1e3:.1f} ms" for name, value in quantiles_us.items())
    return f"tick to order {spans}" if spans else "no order was measured"
