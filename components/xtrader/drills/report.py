"""What a drill has to say: kills and recovery by process, orders, and each proof that held or did not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from components.contracts.orders import Filled
from components.xtrader.drills.verdict import Evidence, Finding, Flaw

FINDINGS_SHOWN_MAX = 20


@dataclass(slots=True)
class Losses:
    """Who was killed, and how long each took to be ready again."""

    back_ms: dict[str, list[int]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def count(self, *names: str) -> None:
        """Note who was just killed."""
        self.kills.update(names)

    def came_back(self, name: str, took_ms: int) -> None:
        """Note that one is ready again."""
        self.back_ms.setdefault(name, []).append(took_ms)

    def plain(self) -> dict[str, Any]:
        """Give names and values."""
        return {name: self._of(name) for name in sorted(self.kills)}

    def _of(self, name: str) -> dict[str, Any]:
        took = self.back_ms.get(name, [])
        return {
            "kills": self.kills[name],
            "back_ms_p50": round(median(took)) if took else None,
            "back_ms_max": max(took, default=None),
        }


def report(
    losses: Losses,
    found: Sequence[Finding],
    evidence: Evidence | None,
    restarts: Mapping[str, int],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Put everything together; ok only where no proof failed."""
    flaws = Counter(one.flaw for one in found)
    return {
        "ok": not found,
        **facts,
        "kills": losses.kills.total(),
        "by_process": losses.plain(),
        "orders": len(evidence.listed) if evidence else None,
        "fills": sum(isinstance(one, Filled) for one in evidence.orders) if evidence else None,
        **{flaw.value: flaws[flaw] for flaw in (Flaw.DOUBLED, Flaw.LOST, Flaw.UNKNOWN, Flaw.UNAPPROVED)},
        "positions_equal": evidence is not None and not flaws[Flaw.POSITIONS],
        "journals_ok": not flaws[Flaw.JOURNAL],
        "positions": dict(evidence.venue_positions) if evidence else None,
        "restarts": dict(restarts),
        "findings": [f"{one.flaw}: {one.detail}" for one in found[:FINDINGS_SHOWN_MAX]],
    }


def text(told: Mapping[str, Any]) -> str:
    """Write what a person reads."""
    rows = [f"{'killed':<12} {'times':>5} {'back p50':>10} {'max':>10}"]
    for name, one in told["by_process"].items():
        p50, longest = _seconds(one["back_ms_p50"]), _seconds(one["back_ms_max"])
        rows.append(f"{name:<12} {one['kills']:>5} {p50:>10} {longest:>10}")
    flaws = ", ".join(f"{name} {told[name]}" for name in ("doubled", "lost", "unknown", "unapproved"))
    rows += [
        f"{told['kills']} kills in {told['seconds']:.0f} s (seed {told['seed']})",
        f"{told['orders']} orders, {told['fills']} fills: {flaws}",
        f"positions are the venue's: {_word(holds=told['positions_equal'])}",
        f"journals are whole: {_word(holds=told['journals_ok'])}",
        *told["findings"],
        "ok" if told["ok"] else f"not ok; everything is in {told['state']}",
    ]
    return "\n".join(rows)


def _seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1e3:.1f} s"


def _word(*, holds: bool) -> str:
    return "yes" if holds else "NO"
