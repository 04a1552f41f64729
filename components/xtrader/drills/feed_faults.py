"""The feed drill: random faults in every crypto venue; each published book is compared with the venue's own.

The same seed gives the same schedule of faults. The report gives the recovery time of the books for each fault.
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
from components.runtime.bus.bus import CLI_CLIENT, Bus, open_bus
from components.runtime.clock import NS_PER_MS, Clock, SystemClock
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
"""Short enough that a fault can hit the recovery from the one before, long enough that books are in sync in between."""
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
"""Every fault of the sandbox's crypto venues, with parameters that make it take effect."""
RETRYABLE_REJECT_CODES: Final[Mapping[str, int]] = {"okx": 60014, "deribit": 10028}
RETRYABLE_REJECT_CODE_DEFAULT: Final = -1001
"""Reject codes after which a client retries: a subscription rejected for good would be missing until the end."""
NEEDS_RECONNECT: Final = frozenset(
    {"ack_then_silence", "reject_subscribe", "refuse_connect", "rest_stale", "rest_fail", "rest_delay"}
)
"""These take effect on the next connection, subscription or request, so each is followed by a cut."""
READY_S_MAX: Final = 60.0
RESYNC_S_MAX: Final = 40.0
POLL_MS: Final = 20
SHORT_TIMEOUTS: Final = {
    "PING_AFTER_IDLE_MS": "2000",
    "REPLY_TIMEOUT_MS": "1000",
    "FIRST_DATA_TIMEOUT_MS": "1500",
    "NO_DATA_TIMEOUT_MS": "2000",
    "BOOK_AGE_MS_MAX": "1500",
    "HEALTHY_AFTER_MS": "1000",
    "RETRY_MS_MAX": "2000",
    "BREAKER_PAUSE_MS": "2000",
}
"""Shorter timeouts than in production: the sandbox's books change many times a second."""
SYMBOLS_BY_VENUE: Final[Mapping[str, tuple[str, ...]]] = {
    "binance": ("BTC-USDT", "ETH-USDT", "BNB-BTC"),
    "binanceum": ("BTC-USDT-PERP", "1000SHIB-USDT-PERP", "BTC-USDT-261225"),
    "okx": ("BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USD-261225"),
    "deribit": ("BTC-USD-PERP", "BTC-USD-261225", "BTC-USD-261225-80000-P"),
}
"""At least one symbol of every contract kind and of every unit."""
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


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """Arm these faults `wait_ms` after the injection before."""

    name: str
    venue: str
    wait_ms: int
    faults: tuple[Mapping[str, Any], ...]


def fault_schedule(venues: Sequence[str], seed: int) -> Iterator[FaultInjection]:
    """Yield injections without end; every kind occurs at every venue once before any is repeated."""
    random = Random(seed)
    while True:
        pairs = [(kind, venue) for kind in FAULT_PARAMETERS for venue in venues]
        for kind, venue in random.sample(pairs, len(pairs)):
            yield _injection(kind, venue, random)


def _injection(kind: str, venue: str, random: Random) -> FaultInjection:
    fault = {"kind": kind, "venue": venue, "skip": 0, **FAULT_PARAMETERS[kind]}
    if kind == "reject_subscribe":
        fault["code"] = RETRYABLE_REJECT_CODES.get(venue, RETRYABLE_REJECT_CODE_DEFAULT)
    if kind in NEEDS_RECONNECT:
        return FaultInjection(
            kind, venue, random.randint(*INJECTION_PAUSE_MS), (fault, {"kind": "cut", "venue": venue})
        )
    if kind not in {"cut", "serve_shutdown"}:
        fault["skip"] = random.randint(0, FRAMES_SKIPPED_MAX)
    return FaultInjection(kind, venue, random.randint(*INJECTION_PAUSE_MS), (fault,))


@dataclass(slots=True)
class Outage:
    """One injected fault and its effect on the venue's books."""

    name: str
    venue: str
    injected_ns: int
    unsynced: set[str] = field(default_factory=set)
    state: BookState = BookState.SYNCED
    recovered_ns: int | None = None


@dataclass(slots=True)
class RecoveryTracker:
    """All injected faults; a book that loses sync is attributed to the newest fault at its venue."""

    outages: list[Outage] = field(default_factory=list)

    def on_fault(self, name: str, venue: str, now_ns: int) -> Outage:
        """Record an injected fault."""
        self.outages.append(Outage(name, venue, now_ns))
        return self.outages[-1]

    def on_health(self, health: SymbolHealth, now_ns: int) -> None:
        """Attribute a loss of sync to the newest fault at the venue.

        A resync counts for every fault that waits for the symbol.
        """
        outages = [one for one in self.outages if one.venue == health.venue.lower()]
        if health.state is not BookState.SYNCED:
            if outages:
                outages[-1].unsynced.add(health.symbol)
                outages[-1].state, outages[-1].recovered_ns = health.state, None
            return
        for outage in outages:
            if health.symbol in outage.unsynced:
                outage.unsynced.discard(health.symbol)
                if not outage.unsynced:
                    outage.recovered_ns = now_ns

    def rows_by_fault(self) -> dict[str, Any]:
        """Return for each fault how often it was injected, how often a book lost sync, and the recovery times."""
        by_name: dict[str, list[Outage]] = defaultdict(list)
        for one in self.outages:
            by_name[one.name].append(one)
        return {name: _row(outages) for name, outages in sorted(by_name.items())}


def _row(outages: Iterable[Outage]) -> Mapping[str, Any]:
    outages = tuple(outages)
    affected = [one for one in outages if one.state is not BookState.SYNCED]
    recovery_ms = [
        (one.recovered_ns - one.injected_ns) // NS_PER_MS for one in affected if one.recovered_ns is not None
    ]
    return {
        "injected": len(outages),
        "affected": len(affected),
        "recovered": len(recovery_ms),
        "recovery_ms_p50": round(median(recovery_ms)) if recovery_ms else None,
        "recovery_ms_max": max(recovery_ms, default=None),
    }


class FeedDrill:
    """One drill; `log` receives its progress."""

    def __init__(self, system: SystemUnderTest, clock: Clock, log: Callable[[str], None]) -> None:
        """Attach to a system that was just started."""
        self._system, self._clock, self._log = system, clock, log
        self._replica, self._recovery_tracker = BookReplica(), RecoveryTracker()
        self._uncompared: dict[str, list[PublishedTop]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._violations: list[str] = []
        self._instruments: Mapping[Symbol, ListedInstrument] = {}
        self._idle = Event()
        self._started_ns = clock.monotonic_ns()

    def run(self, schedule: Iterator[FaultInjection], *, for_s: float) -> dict[str, Any]:
        """Inject faults for `for_s` seconds, wait until all books are in sync, and return the report."""
        try:
            self._await_ready()
            admin = SandboxAdmin(self._admin_url())
            bus = self._open_bus()
            try:
                listed = instruments_by_symbol(admin.venues())
                self._instruments = {symbol: listed[symbol] for symbol in SUBSCRIBED_SYMBOLS}
                self._inject_faults(bus, admin, schedule, for_s)
            finally:
                bus.close()
                admin.close()
        finally:
            self._system.stop()
        return self._report()

    def _inject_faults(self, bus: Bus, admin: SandboxAdmin, schedule: Iterator[FaultInjection], for_s: float) -> None:
        self._follow_books(bus, admin, READY_S_MAX, until=self._all_synced)
        self._log(f"{len(self._replica.health)} books are in sync ({self._elapsed_s():.0f} s)")
        until_ns = self._clock.monotonic_ns() + int(for_s * 1e9)
        for injection in schedule:
            if self._clock.monotonic_ns() >= until_ns:
                break
            self._follow_books(bus, admin, injection.wait_ms / 1e3)
            self._recovery_tracker.on_fault(injection.name, injection.venue, self._clock.monotonic_ns())
            for fault in injection.faults:
                admin.arm_fault(fault)
        admin.clear_faults()
        if not self._follow_books(bus, admin, RESYNC_S_MAX, until=self._all_synced):
            unsynced = sorted(set(self._instruments) - set(self._replica.synced_symbols()))
            self._violations.append(f"not in sync {RESYNC_S_MAX:.0f} s after the last fault: {', '.join(unsynced)}")
        self._follow_books(bus, admin, 1.0)
        self._compare_published(admin)

    def _follow_books(
        self, bus: Bus, admin: SandboxAdmin, for_s: float, *, until: Callable[[], bool] | None = None
    ) -> bool:
        """Receive and compare published books for `for_s` seconds; return True as soon as `until` holds."""
        until_ns = self._clock.monotonic_ns() + int(for_s * 1e9)
        compared_ns = self._clock.monotonic_ns()
        while (now_ns := self._clock.monotonic_ns()) < until_ns:
            for inbound in (*bus.receive(POLL_MS), *bus.poll_background()):
                self._apply(inbound)
            if now_ns - compared_ns > COMPARE_EVERY_NS:
                self._compare_published(admin)
                compared_ns = now_ns
            if until is not None and until():
                return True
        return False

    def _apply(self, inbound: Inbound) -> None:
        match inbound:
            case StreamSynced(snapshot=messages):
                self._replica.reset(messages)
            case StreamLost():
                self._counts["resynced"] += 1
            case MessageReceived(body=SymbolHealth() as health):
                self._replica.apply(health)
                self._recovery_tracker.on_health(health, self._clock.monotonic_ns())
            case MessageReceived(body=body):
                published = self._replica.apply(body)
                if published is not None:
                    self._uncompared[published.symbol].append(published)
                elif isinstance(body, BookGap):
                    self._counts["gaps"] += 1
            case _:
                raise InvariantError(f"unexpected input {type(inbound).__name__}: the drill subscribes to books only")

    def _compare_published(self, admin: SandboxAdmin) -> None:
        uncompared, self._uncompared = self._uncompared, defaultdict(list)
        for symbol, published in uncompared.items():
            instrument = self._instruments.get(Symbol(symbol))
            if instrument is None:
                self._violations.append(f"{symbol} was published, but no venue lists it")
                continue
            ids = [one.book_id for one in published]
            venue_books = admin.books(instrument.venue, instrument.native, ids, TOP_LEVELS)
            for one, venue_book in zip(published, venue_books, strict=True):
                self._compare(one, venue_book, instrument.unit)

    def _compare(self, published: PublishedTop, venue_book: dict[str, Any] | None, unit: Decimal) -> None:
        if venue_book is None:
            self._counts["expired"] += 1
            return
        self._counts["compared"] += 1
        expected = {side: levels_in_units(venue_book[side], unit) for side in ("bids", "asks")}
        if published.as_strings() != expected:
            self._counts["wrong"] += 1
            where = f"{published.symbol} at {published.book_id}"
            self._violations.append(f"{where}: {published.as_strings()} is not {expected}")

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
        bindings = StreamBindings(component=CLI_CLIENT, subscribes={BOOKS: None})
        return open_bus(
            self._system.paths.run, bindings, clock=self._clock, metrics=Metrics(CLI_CLIENT, ""), log=logger()
        )

    def _report(self) -> dict[str, Any]:
        violations = [*self._replica.violations, *self._violations]
        return {
            "ok": not violations and self._counts["compared"] > 0 and not self._counts["expired"],
            "seconds": round(self._elapsed_s(), 1),
            "state": str(self._system.state),
            "books": len(self._instruments),
            "faults": len(self._recovery_tracker.outages),
            "compared": self._counts["compared"],
            "wrong": self._counts["wrong"],
            "expired": self._counts["expired"],
            "undetected_gaps": len(self._replica.violations) + self._counts["wrong"],
            "gaps_reported": self._counts["gaps"],
            "resynced": self._counts["resynced"],
            "by_fault": self._recovery_tracker.rows_by_fault(),
            "violations": violations[:VIOLATIONS_SHOWN_MAX],
        }

    def _elapsed_s(self) -> float:
        return (self._clock.monotonic_ns() - self._started_ns) / 1e9


def feed_report_text(report: Mapping[str, Any]) -> str:
    """Return the report for a person."""
    rows = [f"{'fault':<18} {'injected':>8} {'affected':>8} {'recovered':>9} {'recovery p50':>12} {'max':>10}"]
    for name, one in report["by_fault"].items():
        p50, longest = _format_seconds(one["recovery_ms_p50"]), _format_seconds(one["recovery_ms_max"])
        counts = f"{one['injected']:>8} {one['affected']:>8} {one['recovered']:>9}"
        rows.append(f"{name:<18} {counts} {p50:>12} {longest:>10}")
    rows += [
        f"{report['faults']} faults, {report['books']} books in {report['seconds']:.0f} s",
        f"{report['compared']} published tops compared with the venues' books: {report['wrong']} wrong",
        f"gaps reported {report['gaps_reported']}, undetected {report['undetected_gaps']}",
        *report["violations"],
        "ok" if report["ok"] else f"not ok; the state is in {report['state']}",
    ]
    return "\n".join(rows)


def _format_seconds(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1e3:.2f} s"


def run_feed_drill(state: Path | None, run_dir: Path, *, for_s: float, seed: int) -> dict[str, Any]:
    """Start a system that subscribes to every crypto venue, inject faults, and return the report."""
    if (env := load_settings().paths.env) != "dev":
        raise UsageError(f"a drill runs in the sandbox only, but XTRADER_ENV is {env}, not dev")
    folder = state or Path(mkdtemp(prefix="xtrader-drill-"))
    system = SystemUnderTest(folder.resolve(), run_dir, seed=seed, overrides=CONFIG_OVERRIDES)
    drill = FeedDrill(system, SystemClock(), lambda line: click.echo(line, err=True))
    return drill.run(fault_schedule(tuple(SYMBOLS_BY_VENUE), seed), for_s=for_s)
