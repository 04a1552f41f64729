"""How long the books of a venue took to be in sync again, fault by fault."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from components.contracts.market import BookState, SymbolHealth

NS_PER_MS: Final = 1_000_000


@dataclass(slots=True)
class Outage:
    """One lie and what it did."""

    name: str
    venue: str
    injected_ns: int
    unsynced: set[str] = field(default_factory=set)
    state: BookState = BookState.SYNCED
    recovered_ns: int | None = None


@dataclass(slots=True)
class RecoveryTracker:
    """Every lie told so far; the newest at a venue owns what breaks there."""

    outages: list[Outage] = field(default_factory=list)

    def on_fault(self, name: str, venue: str, now_ns: int) -> Outage:
        """Begin with a lie."""
        self.outages.append(Outage(name, venue, now_ns))
        return self.outages[-1]

    def on_health(self, health: SymbolHealth, now_ns: int) -> None:
        """Give a loss of trust to the newest lie at its venue, and a return of it to every lie that waits for it."""
        here = [one for one in self.outages if one.venue == health.venue.lower()]
        if health.state is not BookState.SYNCED:
            if here:
                here[-1].unsynced.add(health.symbol)
                here[-1].state, here[-1].recovered_ns = health.state, None
            return
        for outage in here:
            if health.symbol in outage.unsynced:
                outage.unsynced.discard(health.symbol)
                if not outage.unsynced:
                    outage.recovered_ns = now_ns

    def rows_by_fault(self) -> dict[str, Any]:
        """List by fault: how often it was told, how often a book went out of sync, how long until all were back."""
        by_name: dict[str, list[Outage]] = defaultdict(list)
        for one in self.outages:
            by_name[one.name].append(one)
        return {name: _row(outages) for name, outages in sorted(by_name.items())}


def _row(outages: Iterable[Outage]) -> Mapping[str, Any]:
    outages = tuple(outages)
    hurt = [one for one in outages if one.state is not BookState.SYNCED]
    took_ms = [(one.recovered_ns - one.injected_ns) // NS_PER_MS for one in hurt if one.recovered_ns is not None]
    return {
        "told": len(outages),
        "hurt": len(hurt),
        "back": len(took_ms),
        "back_ms_p50": round(median(took_ms)) if took_ms else None,
        "back_ms_max": max(took_ms, default=None),
    }
