"""How a drill lies about the market: which fault, at which venue, when; the same seed gives the same plan.

How long the books of a venue took to be in sync again, fault by fault.

The drill that lies: faults at random in every crypto venue, and each published book held against the venue's own.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from statistics import median
from tempfile import mkdtemp
from threading import Event
from typing import Any, Final

import click

from components.contracts.errors import InvariantError, PeerUnreachable, UsageError
from components.contracts.market import BookGap, BookState, SymbolHealth
from components.contracts.streams import BOOKS
from components.contracts.values import Symbol
from components.runtime.bus.bus import Bus, open_bus
from components.runtime.clock import Clock, SystemClock
from components.runtime.config.settings import load_settings
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.service import Inbound, MessageReceived, StreamBindings, StreamLost, StreamSynced
from components.xtrader.drills.book_checker import (
    TOP_LEVELS,
    BookReplica,
    ListedInstrument,
    PublishedTop,
    instruments_by_symbol,
    levels_in_units,
)
from components.xtrader.drills.target import SandboxAdmin, SystemUnderTest
from components.xtrader.supervisor.processes import MARKET_DATA, SANDBOX

INJECTION_PAUSE_MS: Final = (250, 900)
"""Short enough that faults meet the recovery from those before, long enough that books are in sync in between."""


FRAMES_SKIPPED_MAX: Final = 5


FAULT_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "drop": {"topic": "book"},
    "duplicate": {"topic": "book"},
    "delay": {"ms": 400},
    "swap": {"topic": "book"},
    "close": {"code": 1006},
    "mute": {},
    "half_open": {},
    "ack_then_silence": {},
    "reject_subscribe": {},
    "refuse_connect": {"status": 503, "times": 2},
    "rest_stale": {"count": 200, "times": 3},
    "rest_fail": {"status": 429, "retry_after_s": 1, "times": 2},
    "rest_delay": {"ms": 300, "times": 2},
    "corrupt_json": {},
    "unknown_fields": {"times": 5},
    "ids_back": {"topic": "book", "count": 1_000},
    "crossed": {"topic": "book"},
    "cut": {},
    "serve_shutdown": {"ms": 300},
}
"""Every switch of the sandbox's crypto venues, with what makes it bite."""


RETRYABLE_REJECT_CODES: Final[Mapping[str, int]] = {"okx": 60014, "deribit": 10028}


RETRYABLE_REJECT_CODE_DEFAULT: Final = -1001
"""Refusals after which a client may ask again: a book refused for good would stay away to the end of the drill."""


NEEDS_RECONNECT: Final = frozenset(
    {"ack_then_silence", "reject_subscribe", "refuse_connect", "rest_stale", "rest_fail", "rest_delay"}
)
"""These wait for a connection, a subscription or a request: a cut brings one about."""


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """Arm these faults, so long after the last."""

    name: str
    venue: str
    wait_ms: int
    faults: tuple[Mapping[str, Any], ...]


def fault_schedule(venues: Sequence[str], seed: int) -> Iterator[FaultInjection]:
    """Draw lies without end; every kind at every venue comes once before any comes again."""
    chance = Random(seed)
    while True:
        pairs = [(kind, venue) for kind in FAULT_PARAMETERS for venue in venues]
        for kind, venue in chance.sample(pairs, len(pairs)):
            yield _injection(kind, venue, chance)


def _injection(kind: str, venue: str, chance: Random) -> FaultInjection:
    fault = {"kind": kind, "venue": venue, "skip": 0, **FAULT_PARAMETERS[kind]}
    if kind == "reject_subscribe":
        fault["code"] = RETRYABLE_REJECT_CODES.get(venue, RETRYABLE_REJECT_CODE_DEFAULT)
    if kind in NEEDS_RECONNECT:
        return FaultInjection(
            kind, venue, chance.randint(*INJECTION_PAUSE_MS), (fault, {"kind": "cut", "venue": venue})
        )
    if kind not in {"cut", "serve_shutdown"}:
        fault["skip"] = chance.randint(0, FRAMES_SKIPPED_MAX)
    return FaultInjection(kind, venue, chance.randint(*INJECTION_PAUSE_MS), (fault,))


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


READY_S_MAX: Final = 60.0


RESYNC_S_MAX: Final = 40.0


POLL_MS: Final = 20


SHORT_TIMEOUTS: Final = {
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


SYMBOLS_BY_VENUE: Final[Mapping[str, tuple[str, ...]]] = {
    "binance": ("BTC-USDT", "ETH-USDT", "BNB-BTC"),
    "binanceum": ("BTC-USDT-PERP", "1000SHIB-USDT-PERP", "BTC-USDT-261225"),
    "okx": ("BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USD-261225"),
    "deribit": ("BTC-USD-PERP", "BTC-USD-261225", "BTC-USD-261225-80000-P"),
}
"""Of every kind of contract and of every unit at least one."""


SUBSCRIBED_SYMBOLS: Final = [
    Symbol(f"{venue.upper()}:{one}") for venue, symbols in SYMBOLS_BY_VENUE.items() for one in symbols
]


CONFIG_OVERRIDES: Final = {
    **{
        f"XTRADER__MARKET_DATA__{venue.upper()}__SYMBOLS": json.dumps([f"{venue.upper()}:{one}" for one in symbols])
        for venue, symbols in SYMBOLS_BY_VENUE.items()
    },
    **{
        f"XTRADER__MARKET_DATA__{venue.upper()}__{key}": value
        for venue in SYMBOLS_BY_VENUE
        for key, value in SHORT_TIMEOUTS.items()
    },
}


COMPARE_EVERY_NS: Final = 1_000_000_000


VIOLATIONS_SHOWN_MAX: Final = 20


class FeedDrill:
    """One drill; `say` hears how it goes."""

    def __init__(self, system: SystemUnderTest, clock: Clock, log: Callable[[str], None]) -> None:
        """Take a system that was just started."""
        self._system, self._clock, self._log = system, clock, log
        self._replica, self._recovery_tracker = BookReplica(), RecoveryTracker()
        self._uncompared: dict[str, list[PublishedTop]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._violations: list[str] = []
        self._instruments: Mapping[Symbol, ListedInstrument] = {}
        self._idle = Event()
        self._started_ns = clock.monotonic_ns()

    def run(self, plan: Iterator[FaultInjection], *, for_s: float) -> dict[str, Any]:
        """Lie as planned for so long, let the books settle, judge everything that was published."""
        try:
            self._await_ready()
            door = SandboxAdmin(self._admin_url())
            bus = self._open_bus()
            try:
                listed = instruments_by_symbol(door.venues())
                self._instruments = {symbol: listed[symbol] for symbol in SUBSCRIBED_SYMBOLS}
                self._inject_faults(bus, door, plan, for_s)
            finally:
                bus.close()
                door.close()
        finally:
            self._system.stop()
        return self._report()

    def _inject_faults(self, bus: Bus, admin: SandboxAdmin, plan: Iterator[FaultInjection], for_s: float) -> None:
        self._follow_books(bus, admin, READY_S_MAX, until=self._all_synced)
        self._log(f"{len(self._replica.health)} books are in sync ({self._elapsed_s():.0f} s)")
        until_ns = self._clock.monotonic_ns() + int(for_s * 1e9)
        for lie in plan:
            if self._clock.monotonic_ns() >= until_ns:
                break
            self._follow_books(bus, admin, lie.wait_ms / 1e3)
            self._recovery_tracker.on_fault(lie.name, lie.venue, self._clock.monotonic_ns())
            for fault in lie.faults:
                admin.arm_fault(fault)
        admin.clear_faults()
        if not self._follow_books(bus, admin, RESYNC_S_MAX, until=self._all_synced):
            away = sorted(set(self._instruments) - set(self._replica.synced_symbols()))
            self._violations.append(f"not in sync {RESYNC_S_MAX:.0f} s after the last fault: {', '.join(away)}")
        self._follow_books(bus, admin, 1.0)
        self._compare_published(admin)

    def _follow_books(
        self, bus: Bus, admin: SandboxAdmin, for_s: float, *, until: Callable[[], bool] | None = None
    ) -> bool:
        """Hear what is published, judge it as it comes; True where what was waited for has happened."""
        until_ns = self._clock.monotonic_ns() + int(for_s * 1e9)
        judged_ns = self._clock.monotonic_ns()
        while (now_ns := self._clock.monotonic_ns()) < until_ns:
            for inbound in (*bus.receive(POLL_MS), *bus.poll_background()):
                self._apply(inbound)
            if now_ns - judged_ns > COMPARE_EVERY_NS:
                self._compare_published(admin)
                judged_ns = now_ns
            if until is not None and until():
                return True
        return False

    def _apply(self, inbound: Inbound) -> None:
        match inbound:
            case StreamSynced(snapshot=messages):
                self._replica.reset(messages)
            case StreamLost():
                self._counts["rejoined"] += 1
            case MessageReceived(body=SymbolHealth() as health):
                self._replica.apply(health)
                self._recovery_tracker.on_health(health, self._clock.monotonic_ns())
            case MessageReceived(body=body):
                shown = self._replica.apply(body)
                if shown is not None:
                    self._uncompared[shown.symbol].append(shown)
                elif isinstance(body, BookGap):
                    self._counts["gaps"] += 1
            case _:
                raise InvariantError(f"a drill hears no {type(inbound).__name__}")

    def _compare_published(self, admin: SandboxAdmin) -> None:
        waiting, self._uncompared = self._uncompared, defaultdict(list)
        for symbol, shown in waiting.items():
            named = self._instruments.get(Symbol(symbol))
            if named is None:
                self._violations.append(f"{symbol} was published, and no venue lists it")
                continue
            truths = admin.books(named.venue, named.native, [one.book_id for one in shown], TOP_LEVELS)
            for one, truth in zip(shown, truths, strict=True):
                self._compare(one, truth, named.unit)

    def _compare(self, published: PublishedTop, venue_book: dict[str, Any] | None, unit: Decimal) -> None:
        if venue_book is None:
            self._counts["forgotten"] += 1
            return
        self._counts["compared"] += 1
        expected = {side: levels_in_units(venue_book[side], unit) for side in ("bids", "asks")}
        if published.as_strings() != expected:
            self._counts["wrong"] += 1
            self._violations.append(
                f"{published.symbol} at {published.book_id}: {published.as_strings()} is not {expected}"
            )

    def _all_synced(self) -> bool:
        return bool(self._instruments) and set(self._instruments) <= set(self._replica.synced_symbols())

    def _await_ready(self) -> None:
        until_ns = self._clock.monotonic_ns() + int(READY_S_MAX * 1e9)
        waiting = (MARKET_DATA.name, SANDBOX.name)
        while not all(self._system.is_ready(name) for name in waiting):
            if not self._system.is_running or self._clock.monotonic_ns() > until_ns:
                raise PeerUnreachable(f"market_data was not ready within {READY_S_MAX:.0f} s: {self._system.state}")
            self._idle.wait(POLL_MS / 1e3)

    def _admin_url(self) -> str:
        manifest = self._system.manifest(SANDBOX.name)
        if manifest is None:
            raise PeerUnreachable("the sandbox is not running")
        return str(manifest.endpoints["admin"])

    def _open_bus(self) -> Bus:
        lines = StreamBindings(component="verb", subscribes={BOOKS: None})
        return open_bus(self._system.paths.run, lines, clock=self._clock, metrics=Metrics("verb", ""), log=logger())

    def _report(self) -> dict[str, Any]:
        flaws = [*self._replica.violations, *self._violations]
        return {
            "ok": not flaws and self._counts["compared"] > 0 and not self._counts["forgotten"],
            "seconds": round(self._elapsed_s(), 1),
            "state": str(self._system.state),
            "books": len(self._instruments),
            "lies": len(self._recovery_tracker.outages),
            "compared": self._counts["compared"],
            "wrong": self._counts["wrong"],
            "forgotten": self._counts["forgotten"],
            "undetected_gaps": len(self._replica.violations) + self._counts["wrong"],
            "gaps_told": self._counts["gaps"],
            "rejoined": self._counts["rejoined"],
            "by_fault": self._recovery_tracker.rows_by_fault(),
            "findings": flaws[:VIOLATIONS_SHOWN_MAX],
        }

    def _elapsed_s(self) -> float:
        return (self._clock.monotonic_ns() - self._started_ns) / 1e9


def feed_report_text(report: Mapping[str, Any]) -> str:
    """Write what a person reads."""
    rows = [f"{'fault':<18} {'told':>5} {'hurt':>5} {'back':>5} {'back p50':>10} {'max':>10}"]
    for name, one in report["by_fault"].items():
        times = " ".join(f"{_format_seconds(one[key]):>10}" for key in ("back_ms_p50", "back_ms_max"))
        rows.append(f"{name:<18} {one['told']:>5} {one['hurt']:>5} {one['back']:>5} {times}")
    rows += [
        f"{report['lies']} lies about {report['books']} books in {report['seconds']:.0f} s",
        f"{report['compared']} published tops held against the venues' own: {report['wrong']} wrong",
        f"gaps found {report['gaps_told']}, undetected {report['undetected_gaps']}",
        *report["findings"],
        "ok" if report["ok"] else f"not ok; everything is in {report['state']}",
    ]
    return "\n".join(rows)


def _format_seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1e3:.2f} s"


def run_feed_drill(state: Path | None, run_dir: Path, *, for_s: float, seed: int) -> dict[str, Any]:
    """Start a system that listens to every crypto venue, and lie to it."""
    if (env := load_settings().paths.env) != "dev":
        raise UsageError(f"a drill is for the sandbox: XTRADER_ENV is {env}, not dev")
    folder = state or Path(mkdtemp(prefix="xtrader-drill-"))
    subject = SystemUnderTest(folder.resolve(), run_dir, seed=seed, overrides=CONFIG_OVERRIDES)
    drill = FeedDrill(subject, SystemClock(), lambda line: click.echo(line, err=True))
    return drill.run(fault_schedule(tuple(SYMBOLS_BY_VENUE), seed), for_s=for_s)
