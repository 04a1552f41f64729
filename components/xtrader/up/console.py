"""How `up` speaks to whoever started it: plain lines here, a live view on a terminal.

The account of a run, in the lines that a person reads when it is over.
"""

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
    """What a run says."""

    def event(self, line: str) -> None:
        """Tell one thing that happened."""
        ...

    def update(self, monitor: RunMonitor, now_ns: int) -> None:
        """Show how things are; called several times a second."""
        ...

    def close(self) -> None:
        """End, and leave behind what is worth keeping."""
        ...


class FirstFillExplanation:
    """The first fill in plain words, told once."""

    def __init__(self, model_name_of: ModelNameLookup) -> None:
        self._model_name_of = model_name_of
        self.headline = ""
        self.sentences: tuple[str, ...] = ()

    def update(self, monitor: RunMonitor) -> bool:
        """Look for the first fill; true the one time that it is found."""
        fill = monitor.statistics.first_fill
        if fill is None or self.sentences:
            return False
        story = monitor.histories.history_of(fill)
        after_s = (fill.at_ns - monitor.started_at_ns) / 1e9
        self.headline = f"first fill after {after_s:.1f} s ({fill.client_order_id}):"
        self.sentences = tuple(summary_text(story, self._model_name_of(story)))
        return True


class PlainOutput:
    """One line for each thing that happens, and one every few seconds for how things are."""

    def __init__(self, model_name_of: ModelNameLookup, *, to_errors: bool) -> None:
        """Leave standard output to the answer where a machine reads it."""
        self._to_errors = to_errors
        self._first_fill = FirstFillExplanation(model_name_of)
        self._status_due_ns = 0

    def event(self, line: str) -> None:
        """Print it."""
        click.echo(line, err=self._to_errors)

    def update(self, monitor: RunMonitor, now_ns: int) -> None:
        """Explain the first fill, and give a status line when it is due."""
        if self._first_fill.update(monitor):
            self.event(self._first_fill.headline)
            for sentence in self._first_fill.sentences:
                self.event(f"  {sentence}")
        if monitor.ready_at_ns is not None and now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + STATUS_EVERY_NS
            self.event(status_line(monitor))

    def close(self) -> None:
        """Nothing is held."""


def status_line(monitor: RunMonitor) -> str:
    """Say in one line how a run goes."""
    tally = monitor.statistics
    orders = ", ".join(f"{count} {name}" for name, count in tally.order_counts().items())
    refused = ", ".join(f"{code} {count}" for code, count in tally.refusals_by_check.most_common(3))
    verdicts = f"{tally.approved_signals} approved" + (f", refused: {refused}" if refused else "")
    return f"orders: {orders}; fills: {tally.fills}; {verdicts}; gaps: {monitor.metrics.gaps}"


def format_summary(result: Mapping[str, Any]) -> str:
    """Say how it went; the first line is the verdict."""
    rows = {
        "orders": f"{_format_counts(result['orders'])}; fills: {result['fills']}",
        "verdicts": f"{result['verdicts']['approved']} approved; refused: {_format_counts(result['verdicts']['refused'])}",
        "positions": _format_counts(result["positions"], nothing="flat"),
        "result": _format_profit_and_loss(result["profit_and_loss"]),
        "latency": _format_latency(result["latency_us"]["tick_to_order"]),
        "bus": f"gaps: {result['bus']['gaps']}; restarts: {_format_counts(result['restarts'])}",
    }
    verdict = "ok" if result["ok"] else f"not ok: {result['problem']}"
    return "\n".join([verdict, *(f"{name + ':':<10} {text}" for name, text in rows.items())])


def _format_counts(counts: Mapping[str, Any], nothing: str = "none") -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or nothing


def _format_profit_and_loss(result: Mapping[str, Decimal | None]) -> str:
    known = {name: amount for name, amount in result.items() if amount is not None}
    return ", ".join(f"{name} {amount:+.2f} dollars" for name, amount in known.items()) or "not known"


def _format_latency(quantiles_us: Mapping[str, float]) -> str:
    spans = ", ".join(f"{name} {value / 1e3:.1f} ms" for name, value in quantiles_us.items())
    return f"tick to order {spans}" if spans else "no order was measured"
