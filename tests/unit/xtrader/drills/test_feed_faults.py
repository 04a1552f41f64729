"""The schedule of feed faults is complete and reproducible; recovery times are attributed to the right fault."""

from collections import Counter
from itertools import islice

import msgspec
import pytest

from components.contracts.market import BookState, SymbolHealth
from components.contracts.values import Symbol, Venue
from components.sandbox.transport.faults import IMMEDIATE_KINDS, CryptoFault, CryptoFaultKind
from components.xtrader.drills.feed_faults import (
    FAULT_PARAMETERS,
    FRAMES_SKIPPED_MAX,
    INJECTION_PAUSE_MS,
    NEEDS_RECONNECT,
    SYMBOLS_BY_VENUE,
    RecoveryTracker,
    fault_schedule,
)

OKX, DERIBIT = Venue("OKX"), Venue("DERIBIT")
ONE, TWO = Symbol("OKX:ONE-USDT"), Symbol("OKX:TWO-USDT")
ALL = tuple(SYMBOLS_BY_VENUE)
ROUND = len(FAULT_PARAMETERS) * len(ALL)
MS = 1_000_000


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert list(islice(fault_schedule(ALL, 7), 200)) == list(islice(fault_schedule(ALL, 7), 200))
    assert list(islice(fault_schedule(ALL, 7), 200)) != list(islice(fault_schedule(ALL, 8), 200))


@pytest.mark.parametrize("seed", range(5))
def test_every_fault_occurs_at_every_venue_before_any_is_repeated(seed: int) -> None:
    plan = fault_schedule(ALL, seed)
    for _ in range(3):
        injected = Counter((injection.name, injection.venue) for injection in islice(plan, ROUND))
        assert injected == {(kind, venue): 1 for kind in FAULT_PARAMETERS for venue in ALL}


def test_the_schedule_covers_every_fault_of_the_sandbox() -> None:
    assert set(FAULT_PARAMETERS) == set(CryptoFaultKind)
    assert set(FAULT_PARAMETERS) >= NEEDS_RECONNECT


def test_each_injection_is_valid_and_for_one_venue() -> None:
    for injection in islice(fault_schedule(ALL, 3), 2 * ROUND):
        faults = [msgspec.convert(dict(one), CryptoFault) for one in injection.faults]
        assert {fault.venue for fault in faults} == {injection.venue}
        assert faults[0].kind == injection.name
        assert all(fault.skip <= FRAMES_SKIPPED_MAX for fault in faults)
        assert INJECTION_PAUSE_MS[0] <= injection.wait_ms <= INJECTION_PAUSE_MS[1]


def test_a_fault_that_needs_a_reconnect_is_followed_by_a_cut_and_skips_nothing() -> None:
    for injection in islice(fault_schedule(ALL, 3), ROUND):
        kinds = [one["kind"] for one in injection.faults]
        assert kinds == ([injection.name, "cut"] if injection.name in NEEDS_RECONNECT else [injection.name])
        if injection.name in NEEDS_RECONNECT or injection.name in IMMEDIATE_KINDS:
            assert injection.faults[0]["skip"] == 0


def health(state: BookState, symbol: Symbol = ONE, venue: Venue = OKX) -> SymbolHealth:
    return SymbolHealth(venue, symbol, state, "why", 0)


def test_a_recovery_lasts_until_every_affected_book_is_in_sync() -> None:
    tracker = RecoveryTracker()
    tracker.on_fault("cut", "okx", 0)
    tracker.on_health(health(BookState.GAP), 10 * MS)
    tracker.on_health(health(BookState.GAP, TWO), 20 * MS)
    tracker.on_health(health(BookState.SYNCED), 300 * MS)
    assert tracker.rows_by_fault()["cut"]["recovered"] == 0
    tracker.on_health(health(BookState.SYNCED, TWO), 700 * MS)
    row = {"injected": 1, "affected": 1, "recovered": 1, "recovery_ms_p50": 700, "recovery_ms_max": 700}
    assert tracker.rows_by_fault() == {"cut": row}


def test_a_fault_without_effect_has_no_recovery() -> None:
    tracker = RecoveryTracker()
    tracker.on_fault("unknown_fields", "okx", 0)
    tracker.on_health(health(BookState.SYNCED), 5 * MS)
    row = {"injected": 1, "affected": 0, "recovered": 0, "recovery_ms_p50": None, "recovery_ms_max": None}
    assert tracker.rows_by_fault() == {"unknown_fields": row}


def test_a_loss_of_sync_is_attributed_to_a_fault_at_the_same_venue() -> None:
    tracker = RecoveryTracker()
    tracker.on_fault("drop", "okx", 0)
    tracker.on_fault("cut", "deribit", 1 * MS)
    tracker.on_health(health(BookState.GAP), 2 * MS)
    tracker.on_health(health(BookState.SYNCED), 52 * MS)
    assert (tracker.rows_by_fault()["drop"]["recovery_ms_max"], tracker.rows_by_fault()["cut"]["affected"]) == (52, 0)


def test_a_loss_of_sync_before_the_first_fault_is_not_attributed() -> None:
    tracker = RecoveryTracker()
    tracker.on_health(health(BookState.GAP), 1)
    assert tracker.rows_by_fault() == {}
