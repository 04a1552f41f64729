"""The drill that lies to feeds: its plan is complete, its witness misses nothing, its names are right."""

import json
from collections import Counter
from decimal import Decimal
from itertools import islice
from typing import Any

import httpx
import msgspec
import pytest

from components.contracts.errors import VenueUnavailable
from components.contracts.market import BookDelta, BookGap, BookLevels, BookSnapshot, BookState, SymbolHealth
from components.contracts.values import Symbol, Venue
from components.sandbox.crypto_venues import SIMULATED_MARKETS
from components.sandbox.transport.faults import IMMEDIATE_KINDS, CryptoFault, CryptoFaultKind
from components.xtrader.drills.book_checker import (
    TOP_LEVELS,
    BookReplica,
    ListedInstrument,
    instruments_by_symbol,
    levels_in_units,
)
from components.xtrader.drills.feed_faults import (
    FAULT_PARAMETERS,
    FRAMES_SKIPPED_MAX,
    INJECTION_PAUSE_MS,
    NEEDS_RECONNECT,
    SUBSCRIBED_SYMBOLS,
    SYMBOLS_BY_VENUE,
    RecoveryTracker,
    fault_schedule,
)
from components.xtrader.drills.target import SandboxAdmin

OKX, DERIBIT = Venue("OKX"), Venue("DERIBIT")


ONE, TWO = Symbol("OKX:ONE-USDT"), Symbol("OKX:TWO-USDT")


ALL = tuple(SYMBOLS_BY_VENUE)


ROUND = len(FAULT_PARAMETERS) * len(ALL)


MS = 1_000_000


# The plan


def test_the_same_seed_tells_the_same_lies() -> None:
    assert list(islice(fault_schedule(ALL, 7), 200)) == list(islice(fault_schedule(ALL, 7), 200))
    assert list(islice(fault_schedule(ALL, 7), 200)) != list(islice(fault_schedule(ALL, 8), 200))


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_told_at_every_venue_before_any_comes_again(seed: int) -> None:
    plan = fault_schedule(ALL, seed)
    for _ in range(3):
        told = Counter((lie.name, lie.venue) for lie in islice(plan, ROUND))
        assert told == {(kind, venue): 1 for kind in FAULT_PARAMETERS for venue in ALL}


def test_the_plan_knows_every_switch_of_the_sandbox() -> None:
    assert set(FAULT_PARAMETERS) == set(CryptoFaultKind)
    assert set(FAULT_PARAMETERS) >= NEEDS_RECONNECT


def test_each_lie_is_what_the_sandbox_understands_and_aims_at_one_venue() -> None:
    for lie in islice(fault_schedule(ALL, 3), 2 * ROUND):
        faults = [msgspec.convert(dict(one), CryptoFault) for one in lie.faults]
        assert {fault.venue for fault in faults} == {lie.venue}
        assert faults[0].kind == lie.name
        assert all(fault.skip <= FRAMES_SKIPPED_MAX for fault in faults)
        assert INJECTION_PAUSE_MS[0] <= lie.wait_ms <= INJECTION_PAUSE_MS[1]


def test_a_lie_that_waits_for_a_connection_brings_one_about_and_skips_nothing() -> None:
    for lie in islice(fault_schedule(ALL, 3), ROUND):
        kinds = [one["kind"] for one in lie.faults]
        assert kinds == ([lie.name, "cut"] if lie.name in NEEDS_RECONNECT else [lie.name])
        if lie.name in NEEDS_RECONNECT or lie.name in IMMEDIATE_KINDS:
            assert lie.faults[0]["skip"] == 0


# The witness


def shown(*texts: str) -> BookLevels:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in (text.split("x") for text in texts))


BIDS = shown("99x1", "98x2")


def snapshot(book_id: int, *, symbol: Symbol = ONE, bids: BookLevels = BIDS) -> BookSnapshot:
    return BookSnapshot(OKX, symbol, book_id, bids, shown("101x1"), 0, 0)


def delta(previous: int, book_id: int, *bids: str, symbol: Symbol = ONE) -> BookDelta:
    return BookDelta(OKX, symbol, previous, book_id, shown(*bids), (), 0, 0)


def health(state: BookState, symbol: Symbol = ONE, venue: Venue = OKX) -> SymbolHealth:
    return SymbolHealth(venue, symbol, state, "why", 0)


def test_a_witness_puts_a_book_together_from_snapshot_and_deltas() -> None:
    witness = BookReplica()
    witness.apply(snapshot(10))
    after = witness.apply(delta(10, 12, "99x0", "100x3"))
    assert after is not None
    assert (after.book_id, after.bids, after.asks) == (12, shown("100x3", "98x2"), shown("101x1"))
    assert (witness.violations, witness.message_counts) == ([], {"BookSnapshot": 1, "BookDelta": 1})


def test_a_delta_that_does_not_chain_is_held_against_who_said_it() -> None:
    witness = BookReplica()
    witness.apply(snapshot(10))
    assert witness.apply(delta(11, 12, "99x5")) is None
    assert witness.violations == [f"{ONE}: a delta from 11 where 10 was shown"]
    assert witness.apply(delta(10, 13, "99x5")) is not None


def test_a_delta_before_any_snapshot_is_held_against_who_said_it() -> None:
    witness = BookReplica()
    assert witness.apply(delta(10, 11, "99x5", symbol=TWO)) is None
    assert witness.violations == [f"{TWO}: a delta from 10 where nothing was shown"]


def test_a_wrong_delta_shows_as_a_book_that_is_not_the_venues() -> None:
    witness = BookReplica()
    witness.apply(snapshot(10))
    right, wrong = {"bids": [["99", "5"], ["98", "2"]], "asks": [["101", "1"]]}, delta(10, 11, "99x4")
    after = witness.apply(wrong)
    assert after is not None
    assert after.as_strings() != right
    again = witness.apply(delta(11, 12, "99x5.0"))
    assert again is not None
    assert again.as_strings() == right


def test_a_snapshot_replaces_what_was_there() -> None:
    witness = BookReplica()
    witness.apply(snapshot(10))
    after = witness.apply(snapshot(5, bids=shown("97x1")))
    assert after is not None
    assert (after.book_id, after.bids) == (5, shown("97x1"))


def test_only_the_best_ten_are_compared() -> None:
    witness = BookReplica()
    after = witness.apply(snapshot(1, bids=shown(*(f"{price}x1" for price in range(50, 80)))))
    assert after is not None
    assert (len(after.bids), after.bids[0], TOP_LEVELS) == (10, (Decimal(79), Decimal(1)), 10)


def test_who_joins_anew_forgets_the_books_from_before() -> None:
    witness = BookReplica()
    witness.apply(snapshot(10))
    witness.reset((snapshot(30, symbol=TWO), health(BookState.SYNCED, TWO), BookGap(OKX, ONE, 1, 3, 0)))
    assert (set(witness.books), list(witness.synced_symbols()), len(witness.gaps)) == ({TWO}, [TWO], 1)
    assert witness.apply(delta(10, 11, "99x5")) is None
    assert len(witness.violations) == 1


def test_a_book_counts_as_synced_by_the_last_word_on_it() -> None:
    witness = BookReplica()
    for state in (BookState.SYNCED, BookState.GAP):
        assert witness.apply(health(state)) is None
    assert list(witness.synced_symbols()) == []


# Recovery times


def test_a_recovery_lasts_until_every_book_that_broke_is_back() -> None:
    recoveries = RecoveryTracker()
    recoveries.on_fault("cut", "okx", 0)
    recoveries.on_health(health(BookState.GAP), 10 * MS)
    recoveries.on_health(health(BookState.GAP, TWO), 20 * MS)
    recoveries.on_health(health(BookState.SYNCED), 300 * MS)
    assert recoveries.rows_by_fault()["cut"]["back"] == 0
    recoveries.on_health(health(BookState.SYNCED, TWO), 700 * MS)
    row = {"told": 1, "hurt": 1, "back": 1, "back_ms_p50": 700, "back_ms_max": 700}
    assert recoveries.rows_by_fault() == {"cut": row}


def test_a_lie_that_hurt_nobody_has_no_recovery() -> None:
    recoveries = RecoveryTracker()
    recoveries.on_fault("unknown_fields", "okx", 0)
    recoveries.on_health(health(BookState.SYNCED), 5 * MS)
    row = {"told": 1, "hurt": 0, "back": 0, "back_ms_p50": None, "back_ms_max": None}
    assert recoveries.rows_by_fault() == {"unknown_fields": row}


def test_what_breaks_at_one_venue_is_not_laid_to_a_lie_at_another() -> None:
    recoveries = RecoveryTracker()
    recoveries.on_fault("drop", "okx", 0)
    recoveries.on_fault("cut", "deribit", 1 * MS)
    recoveries.on_health(health(BookState.GAP), 2 * MS)
    recoveries.on_health(health(BookState.SYNCED), 52 * MS)
    assert (recoveries.rows_by_fault()["drop"]["back_ms_max"], recoveries.rows_by_fault()["cut"]["hurt"]) == (52, 0)


def test_trouble_before_the_first_lie_belongs_to_nobody() -> None:
    recoveries = RecoveryTracker()
    recoveries.on_health(health(BookState.GAP), 1)
    assert recoveries.rows_by_fault() == {}


# Names and units


def listing(symbol: str, base: str, quote: str, kind: str = "spot", **other: Any) -> dict[str, Any]:
    facts = {"expiry_ms": 0, "strike": None, "option_type": None, "contract": "1"}
    return {"symbol": symbol, "base": base, "quote": quote, "kind": kind} | facts | other


DAY_MS = 1_798_156_800_000  # 25 December 2026


@pytest.mark.parametrize(
    ("venue", "listed", "symbol", "unit"),
    [
        ("binance", listing("BTCUSDT", "BTC", "USDT"), "BINANCE:BTC-USDT", "1"),
        ("binanceum", listing("1000SHIBUSDT", "1000SHIB", "USDT", "perpetual"), "BINANCEUM:1000SHIB-USDT-PERP", "1"),
        (
            "binanceum",
            listing("BTCUSDT_261225", "BTC", "USDT", "future", expiry_ms=DAY_MS),
            "BINANCEUM:BTC-USDT-261225",
            "1",
        ),
        ("okx", listing("BTC-USDT", "BTC", "USDT", contract="0.01"), "OKX:BTC-USDT", "1"),
        ("okx", listing("BTC-USDT-SWAP", "BTC", "USDT", "perpetual", contract="0.01"), "OKX:BTC-USDT-PERP", "0.01"),
        ("okx", listing("BTC-USD-SWAP", "BTC", "USD", "perpetual", contract="100"), "OKX:BTC-USD-PERP", "100"),
        ("deribit", listing("BTC-PERPETUAL", "BTC", "USD", "perpetual", contract="10"), "DERIBIT:BTC-USD-PERP", "1"),
        (
            "deribit",
            listing("X", "BTC", "BTC", "option", expiry_ms=DAY_MS, strike="80000", option_type="put"),
            "DERIBIT:BTC-USD-261225-80000-P",
            "1",
        ),
        (
            "deribit",
            listing("Y", "BTC", "USDC", "option", expiry_ms=DAY_MS, strike="0.5", option_type="call"),
            "DERIBIT:BTC-USDC-261225-0.5-C",
            "1",
        ),
    ],
)
def test_names_and_units_come_from_the_listing(venue: str, listed: dict[str, Any], symbol: str, unit: str) -> None:
    assert instruments_by_symbol({venue: {"listings": [listed]}}) == {
        symbol: ListedInstrument(venue, listed["symbol"], Decimal(unit))
    }


def test_everything_that_the_drill_listens_to_is_listed_by_the_sandbox() -> None:
    venues = {
        name: {"listings": msgspec.to_builtins(seeded.instruments, str_keys=True)}
        for name, seeded in SIMULATED_MARKETS.items()
    }
    assert set(SUBSCRIBED_SYMBOLS) <= set(instruments_by_symbol(venues))


def test_the_venues_levels_are_written_in_units_and_plainly() -> None:
    assert levels_in_units([["100.50", "250"], ["1E+2", "0.1"]], Decimal("0.01")) == [
        ["100.5", "2.5"],
        ["100", "0.001"],
    ]


# The side door


def door(answer: httpx.Response | httpx.HTTPError) -> tuple[SandboxAdmin, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return answer

    opened = SandboxAdmin("http://sandbox")
    opened._client = httpx.Client(base_url="http://sandbox", transport=httpx.MockTransport(handle))  # noqa: SLF001 -- the one way to it without a socket
    return opened, asked


def test_the_side_door_asks_for_many_ids_at_once() -> None:
    opened, asked = door(httpx.Response(200, json={"books": [None, {"bids": []}]}))
    assert opened.books("okx", "BTC-USDT", [1, 2], 10) == [None, {"bids": []}]
    assert (asked[0].url.path, json.loads(asked[0].content)) == ("/books/okx/BTC-USDT", {"ids": [1, 2], "depth": 10})


@pytest.mark.parametrize(
    "answer", [httpx.Response(500), httpx.Response(200, content=b"{"), httpx.ConnectError("refused")]
)
def test_a_side_door_that_does_not_answer_is_an_unavailable_venue(answer: httpx.Response | httpx.HTTPError) -> None:
    opened, _ = door(answer)
    with pytest.raises(VenueUnavailable, match="side door"):
        opened.venues()
