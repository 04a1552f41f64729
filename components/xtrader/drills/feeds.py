"""The drill that lies: faults at random in every crypto venue, and each published book held against the venue's own."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from threading import Event
from typing import Any, Final

import click

from components.contracts.errors import InvariantError, PeerUnreachable, UsageError
from components.contracts.market import Gap, SymbolHealth
from components.contracts.topics import BOOKS
from components.contracts.values import Symbol
from components.runtime.bus import Bus, open_bus
from components.runtime.clock import Clock, SystemClock
from components.runtime.config import load
from components.runtime.lines import Lines
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.service import Heard, Inbound, Joined, Lost
from components.xtrader.children import MARKET_DATA, SANDBOX
from components.xtrader.drills.lies import Lie, lies
from components.xtrader.drills.names import Named, names_of
from components.xtrader.drills.recovery import Recoveries
from components.xtrader.drills.subject import Subject
from components.xtrader.drills.truth import SideDoor, in_units
from components.xtrader.drills.witness import TOP, Shown, Witness

READY_S_MAX: Final = 60.0
SETTLED_S_MAX: Final = 40.0
TURN_MS: Final = 20
HASTE: Final = {
    "SILENCE_MS_MAX": "2000",
    "ANSWER_MS_MAX": "1000",
    "FIRST_DATA_MS_MAX": "1500",
    "MUTE_MS_MAX": "2000",
    "BOOK_AGE_MS_MAX": "1500",
    "HEALTHY_MS": "1000",
    "RETRY_MS_MAX": "2000",
    "BREAKER_PAUSE_MS": "2000",
}
"""The bounds of patience scaled down: the sandbox's books change many times a second."""
VENUES: Final[Mapping[str, tuple[str, ...]]] = {
    "binance": ("BTC-USDT", "ETH-USDT", "BNB-BTC"),
    "binanceum": ("BTC-USDT-PERP", "1000SHIB-USDT-PERP", "BTC-USDT-261225"),
    "okx": ("BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USD-261225"),
    "deribit": ("BTC-USD-PERP", "BTC-USD-261225", "BTC-USD-261225-80000-P"),
}
"""Of every kind of contract and of every unit at least one."""
LISTENED: Final = [Symbol(f"{venue.upper()}:{one}") for venue, symbols in VENUES.items() for one in symbols]
LISTENS: Final = {
    **{
        f"XTRADER__MARKET_DATA__{venue.upper()}__SYMBOLS": json.dumps([f"{venue.upper()}:{one}" for one in symbols])
        for venue, symbols in VENUES.items()
    },
    **{f"XTRADER__MARKET_DATA__{venue.upper()}__{key}": value for venue in VENUES for key, value in HASTE.items()},
}
JUDGED_EVERY_NS: Final = 1_000_000_000
FLAWS_SHOWN_MAX: Final = 20


class FeedDrill:
    """One drill; `say` hears how it goes."""

    def __init__(self, subject: Subject, clock: Clock, say: Callable[[str], None]) -> None:
        """Take a system that was just started."""
        self._subject, self._clock, self._say = subject, clock, say
        self._witness, self._recoveries = Witness(), Recoveries()
        self._waiting: dict[str, list[Shown]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._flaws: list[str] = []
        self._names: Mapping[Symbol, Named] = {}
        self._idle = Event()
        self._begun_ns = clock.monotonic_ns()

    def run(self, plan: Iterator[Lie], *, for_s: float) -> dict[str, Any]:
        """Lie as planned for so long, let the books settle, judge everything that was published."""
        try:
            self._await_ready()
            door = SideDoor(self._admin_url())
            bus = self._open_bus()
            try:
                listed = names_of(door.venues())
                self._names = {symbol: listed[symbol] for symbol in LISTENED}
                self._lie(bus, door, plan, for_s)
            finally:
                bus.close()
                door.close()
        finally:
            self._subject.end()
        return self._report()

    def _lie(self, bus: Bus, door: SideDoor, plan: Iterator[Lie], for_s: float) -> None:
        self._listen(bus, door, READY_S_MAX, until=self._all_synced)
        self._say(f"{len(self._witness.states)} books are in sync ({self._seconds():.0f} s)")
        until_ns = self._clock.monotonic_ns() + int(for_s * 1e9)
        for lie in plan:
            if self._clock.monotonic_ns() >= until_ns:
                break
            self._listen(bus, door, lie.wait_ms / 1e3)
            self._recoveries.struck(lie.name, lie.venue, self._clock.monotonic_ns())
            for fault in lie.faults:
                door.arm(fault)
        door.clear()
        if not self._listen(bus, door, SETTLED_S_MAX, until=self._all_synced):
            away = sorted(set(self._names) - set(self._witness.synced()))
            self._flaws.append(f"not in sync {SETTLED_S_MAX:.0f} s after the last fault: {', '.join(away)}")
        self._listen(bus, door, 1.0)
        self._judge(door)

    def _listen(self, bus: Bus, door: SideDoor, for_s: float, *, until: Callable[[], bool] | None = None) -> bool:
        """Hear what is published, judge it as it comes; True where what was waited for has happened."""
        until_ns = self._clock.monotonic_ns() + int(for_s * 1e9)
        judged_ns = self._clock.monotonic_ns()
        while (now_ns := self._clock.monotonic_ns()) < until_ns:
            for inbound in (*bus.receive(TURN_MS), *bus.tend()):
                self._hear(inbound)
            if now_ns - judged_ns > JUDGED_EVERY_NS:
                self._judge(door)
                judged_ns = now_ns
            if until is not None and until():
                return True
        return False

    def _hear(self, inbound: Inbound) -> None:
        match inbound:
            case Joined(messages=messages):
                self._witness.begin(messages)
            case Lost():
                self._counts["rejoined"] += 1
            case Heard(body=SymbolHealth() as health):
                self._witness.hear(health)
                self._recoveries.hear(health, self._clock.monotonic_ns())
            case Heard(body=body):
                shown = self._witness.hear(body)
                if shown is not None:
                    self._waiting[shown.symbol].append(shown)
                elif isinstance(body, Gap):
                    self._counts["gaps"] += 1
            case _:
                raise InvariantError(f"a drill hears no {type(inbound).__name__}")

    def _judge(self, door: SideDoor) -> None:
        waiting, self._waiting = self._waiting, defaultdict(list)
        for symbol, shown in waiting.items():
            named = self._names.get(Symbol(symbol))
            if named is None:
                self._flaws.append(f"{symbol} was published, and no venue lists it")
                continue
            truths = door.books(named.venue, named.native, [one.book_id for one in shown], TOP)
            for one, truth in zip(shown, truths, strict=True):
                self._hold(one, truth, named.unit)

    def _hold(self, shown: Shown, truth: dict[str, Any] | None, unit: Decimal) -> None:
        if truth is None:
            self._counts["forgotten"] += 1
            return
        self._counts["compared"] += 1
        expected = {side: in_units(truth[side], unit) for side in ("bids", "asks")}
        if shown.plain() != expected:
            self._counts["wrong"] += 1
            self._flaws.append(f"{shown.symbol} at {shown.book_id}: {shown.plain()} is not {expected}")

    def _all_synced(self) -> bool:
        return bool(self._names) and set(self._names) <= set(self._witness.synced())

    def _await_ready(self) -> None:
        until_ns = self._clock.monotonic_ns() + int(READY_S_MAX * 1e9)
        waiting = (MARKET_DATA.name, SANDBOX.name)
        while not all(self._subject.is_ready(name) for name in waiting):
            if not self._subject.is_running or self._clock.monotonic_ns() > until_ns:
                raise PeerUnreachable(f"market_data was not ready within {READY_S_MAX:.0f} s: {self._subject.state}")
            self._idle.wait(TURN_MS / 1e3)

    def _admin_url(self) -> str:
        manifest = self._subject.manifest(SANDBOX.name)
        if manifest is None:
            raise PeerUnreachable("the sandbox is not running")
        return str(manifest.endpoints["admin"])

    def _open_bus(self) -> Bus:
        lines = Lines(component="verb", hears={BOOKS: None})
        return open_bus(self._subject.places.run, lines, clock=self._clock, metrics=Metrics("verb", ""), log=logger())

    def _report(self) -> dict[str, Any]:
        flaws = [*self._witness.flaws, *self._flaws]
        return {
            "ok": not flaws and self._counts["compared"] > 0 and not self._counts["forgotten"],
            "seconds": round(self._seconds(), 1),
            "state": str(self._subject.state),
            "books": len(self._names),
            "lies": len(self._recoveries.told),
            "compared": self._counts["compared"],
            "wrong": self._counts["wrong"],
            "forgotten": self._counts["forgotten"],
            "undetected_gaps": len(self._witness.flaws) + self._counts["wrong"],
            "gaps_told": self._counts["gaps"],
            "rejoined": self._counts["rejoined"],
            "by_fault": self._recoveries.table(),
            "findings": flaws[:FLAWS_SHOWN_MAX],
        }

    def _seconds(self) -> float:
        return (self._clock.monotonic_ns() - self._begun_ns) / 1e9


def feed_text(told: Mapping[str, Any]) -> str:
    """Write what a person reads."""
    rows = [f"{'fault':<18} {'told':>5} {'hurt':>5} {'back':>5} {'back p50':>10} {'max':>10}"]
    for name, one in told["by_fault"].items():
        times = " ".join(f"{_seconds(one[key]):>10}" for key in ("back_ms_p50", "back_ms_max"))
        rows.append(f"{name:<18} {one['told']:>5} {one['hurt']:>5} {one['back']:>5} {times}")
    rows += [
        f"{told['lies']} lies about {told['books']} books in {told['seconds']:.0f} s",
        f"{told['compared']} published tops held against the venues' own: {told['wrong']} wrong",
        f"gaps found {told['gaps_told']}, undetected {told['undetected_gaps']}",
        *told["findings"],
        "ok" if told["ok"] else f"not ok; everything is in {told['state']}",
    ]
    return "\n".join(rows)


def _seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1e3:.2f} s"


def drill_feeds(state: Path | None, run: Path, *, for_s: float, seed: int) -> dict[str, Any]:
    """Start a system that listens to every crypto venue, and lie to it."""
    if (env := load().places.env) != "dev":
        raise UsageError(f"a drill is for the sandbox: XTRADER_ENV is {env}, not dev")
    folder = state or Path(mkdtemp(prefix="xtrader-drill-"))
    subject = Subject(folder.resolve(), run, seed=seed, overrides=LISTENS)
    drill = FeedDrill(subject, SystemClock(), lambda line: click.echo(line, err=True))
    return drill.run(lies(tuple(VENUES), seed), for_s=for_s)
