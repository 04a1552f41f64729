"""The replica reports every delta that does not chain; symbols and units come from the listings."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from components.contracts.market import BookDelta, BookGap, BookLevels, BookSnapshot, BookState, SymbolHealth
from components.contracts.values import Symbol, Venue
from components.sandbox.crypto_venues import SIMULATED_MARKETS
from components.xtrader.drills.book_checker import (
    TOP_LEVELS,
    BookReplica,
    ListedInstrument,
    instruments_by_symbol,
    levels_in_units,
)
from components.xtrader.drills.feed_faults import SUBSCRIBED_SYMBOLS

OKX, DERIBIT = Venue("OKX"), Venue("DERIBIT")
ONE, TWO = Symbol("OKX:ONE-USDT"), Symbol("OKX:TWO-USDT")


def levels(*texts: str) -> BookLevels:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in (text.split("x") for text in texts))


BIDS = levels("99x1", "98x2")


def snapshot(book_id: int, *, symbol: Symbol = ONE, bids: BookLevels = BIDS) -> BookSnapshot:
    return BookSnapshot(OKX, symbol, book_id, bids, levels("101x1"), 0, 0)


def delta(previous: int, book_id: int, *bids: str, symbol: Symbol = ONE) -> BookDelta:
    return BookDelta(OKX, symbol, previous, book_id, levels(*bids), (), 0, 0)


def health(state: BookState, symbol: Symbol = ONE, venue: Venue = OKX) -> SymbolHealth:
    return SymbolHealth(venue, symbol, state, "why", 0)


def test_a_replica_is_built_from_snapshot_and_deltas() -> None:
    replica = BookReplica()
    replica.apply(snapshot(10))
    after = replica.apply(delta(10, 12, "99x0", "100x3"))
    assert after is not None
    assert (after.book_id, after.bids, after.asks) == (12, levels("100x3", "98x2"), levels("101x1"))
    assert (replica.violations, replica.message_counts) == ([], {"BookSnapshot": 1, "BookDelta": 1})


def test_a_delta_that_does_not_chain_is_a_violation() -> None:
    replica = BookReplica()
    replica.apply(snapshot(10))
    assert replica.apply(delta(11, 12, "99x5")) is None
    assert replica.violations == [f"{ONE}: delta continues 11, last published is 10"]
    assert replica.apply(delta(10, 13, "99x5")) is not None


def test_a_delta_before_any_snapshot_is_a_violation() -> None:
    replica = BookReplica()
    assert replica.apply(delta(10, 11, "99x5", symbol=TWO)) is None
    assert replica.violations == [f"{TWO}: delta continues 10, last published is nothing"]


def test_a_wrong_delta_shows_as_a_book_that_is_not_the_venues() -> None:
    replica = BookReplica()
    replica.apply(snapshot(10))
    right, wrong = {"bids": [["99", "5"], ["98", "2"]], "asks": [["101", "1"]]}, delta(10, 11, "99x4")
    after = replica.apply(wrong)
    assert after is not None
    assert after.as_strings() != right
    again = replica.apply(delta(11, 12, "99x5.0"))
    assert again is not None
    assert again.as_strings() == right


def test_a_snapshot_replaces_the_book() -> None:
    replica = BookReplica()
    replica.apply(snapshot(10))
    after = replica.apply(snapshot(5, bids=levels("97x1")))
    assert after is not None
    assert (after.book_id, after.bids) == (5, levels("97x1"))


def test_only_the_best_ten_are_compared() -> None:
    replica = BookReplica()
    after = replica.apply(snapshot(1, bids=levels(*(f"{price}x1" for price in range(50, 80)))))
    assert after is not None
    assert (len(after.bids), after.bids[0], TOP_LEVELS) == (10, (Decimal(79), Decimal(1)), 10)


def test_a_resync_drops_the_earlier_books() -> None:
    replica = BookReplica()
    replica.apply(snapshot(10))
    replica.reset((snapshot(30, symbol=TWO), health(BookState.SYNCED, TWO), BookGap(OKX, ONE, 1, 3, 0)))
    assert (set(replica.books), list(replica.synced_symbols()), len(replica.gaps)) == ({TWO}, [TWO], 1)
    assert replica.apply(delta(10, 11, "99x5")) is None
    assert len(replica.violations) == 1


def test_a_book_is_synced_by_its_last_health_message() -> None:
    replica = BookReplica()
    for state in (BookState.SYNCED, BookState.GAP):
        assert replica.apply(health(state)) is None
    assert list(replica.synced_symbols()) == []


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


def test_every_subscribed_symbol_is_listed_by_the_sandbox() -> None:
    venues = {
        name: {"listings": msgspec.to_builtins(seeded.instruments, str_keys=True)}
        for name, seeded in SIMULATED_MARKETS.items()
    }
    assert set(SUBSCRIBED_SYMBOLS) <= set(instruments_by_symbol(venues))


def test_the_venues_levels_are_converted_to_units() -> None:
    assert levels_in_units([["100.50", "250"], ["1E+2", "0.1"]], Decimal("0.01")) == [
        ["100.5", "2.5"],
        ["100", "0.001"],
    ]
