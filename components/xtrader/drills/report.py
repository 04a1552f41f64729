"""What a drill has to say: kills and recovery by process, orders, and each proof that held or did not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from components.contracts.orders import Filled
from components.xtrader.drills.verdict import Evidence, Violation, ViolationFound

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
