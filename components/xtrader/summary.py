"""The account of a run, in the lines that a person reads when it is over."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


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
