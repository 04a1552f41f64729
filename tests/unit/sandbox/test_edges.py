"""Small pure parts of the venue: stamps, limits, sessions, subscriptions, faults, bars."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import UsageError
from components.sandbox.alpaca.core.market_history import extend_bar, is_complete, start_bar
from components.sandbox.alpaca.core.responses import asset_id
from components.sandbox.alpaca.core.session import (
    SECOND_NS,
    SessionName,
    SessionPhase,
    TradingSession,
    format_timestamp,
    parse_timestamp,
)
from components.sandbox.alpaca.core.subscriptions import Subscriptions
from components.sandbox.config import parse_symbols
from components.sandbox.numerics import format_decimal
from components.sandbox.transport.faults import AlpacaFault, AlpacaFaultKind, AlpacaFaultSwitches
from components.sandbox.transport.rate_limits import FixedWindowLimit
from tests.support.sandbox_venue import NOON_NS

HOUR_NS = 3_600 * SECOND_NS


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_a_decimal_is_written_without_exponent_or_idle_zeros_and_reads_back(value: Decimal) -> None:
    text = format_decimal(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


@given(st.integers(0, 4 * 10**18))
def test_a_stamp_reads_back_to_the_nanosecond(at_ns: int) -> None:
    assert parse_timestamp(format_timestamp(at_ns)) == at_ns


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("2026-11-20T12:00:00-05:00", NOON_NS),
        ("2026-11-20T17:00:00.000000001Z", NOON_NS + 1),
        ("2026-11-20T17:00:00 00:00", NOON_NS),
        ("2026-11-20", NOON_NS - 17 * HOUR_NS),
        ("yesterday", None),
        ("2026-13-20", None),
    ],
)
def test_a_time_is_read_in_every_dress(text: str, at_ns: int | None) -> None:
    assert parse_timestamp(text) == at_ns


def test_the_limit_counts_a_minute_and_begins_anew() -> None:
    limit = FixedWindowLimit(per_minute=2)
    assert [limit.try_acquire(NOON_NS) for _ in range(3)] == [True, True, False]
    assert limit.headers()["X-RateLimit-Remaining"] == "0"
    assert limit.headers()["X-RateLimit-Reset"] == str(NOON_NS // SECOND_NS + 60)
    assert limit.try_acquire(NOON_NS + 60 * SECOND_NS)


@pytest.mark.parametrize(
    ("hours", "phase"),
    [
        (-9, SessionPhase.CLOSED),
        (-3, SessionPhase.EXTENDED),
        (0, SessionPhase.OPEN),
        (4, SessionPhase.EXTENDED),
        (8, SessionPhase.CLOSED),
        (24, SessionPhase.CLOSED),
    ],
)
def test_the_session_follows_the_clock_of_new_york(hours: int, phase: SessionPhase) -> None:
    assert TradingSession(SessionName.NYSE).phase(NOON_NS + hours * HOUR_NS) is phase


def test_the_next_open_after_friday_noon_is_on_monday() -> None:
    session = TradingSession(SessionName.NYSE)
    assert session.next_open(NOON_NS).isoformat() == "2026-11-23T09:30:00-05:00"
    assert session.next_close(NOON_NS).isoformat() == "2026-11-20T16:00:00-05:00"


def test_the_default_session_never_ends() -> None:
    session = TradingSession(SessionName.ALWAYS)
    assert session.phase(NOON_NS + 30 * HOUR_NS) is SessionPhase.OPEN
    assert session.day_order_expires_at_ns(NOON_NS) is None


def test_too_many_symbols_leave_the_set_as_it_was() -> None:
    held = Subscriptions(2, frozenset({"A", "B", "C"}))
    assert held.add({"trades": ["A"], "quotes": ["A", "B"]})
    assert not held.add({"quotes": ["C"]})
    assert not held.add({"quotes": ["*"]})
    assert held.add({"bars": ["*"]})
    assert held.document()["quotes"] == ["A", "B"]
    assert held.includes("bars", "Z")
    assert not held.includes("quotes", "C")


def test_a_fault_strikes_when_it_should_and_is_counted() -> None:
    faults = AlpacaFaultSwitches()
    faults.arm(AlpacaFault(kind=AlpacaFaultKind.LOSE_EVENT, skip=1, times=2))
    assert [faults.trigger(AlpacaFaultKind.LOSE_EVENT) is not None for _ in range(5)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert (faults.armed[0].seen, faults.armed[0].done) == (5, 2)


def test_a_request_fault_waits_for_its_request() -> None:
    faults = AlpacaFaultSwitches()
    faults.arm(AlpacaFault(kind=AlpacaFaultKind.ANSWER))
    assert faults.trigger_request(AlpacaFaultKind.ANSWER, "GET", "/v2/orders") is None
    assert faults.trigger_request(AlpacaFaultKind.ANSWER, "POST", "/v2/orders") is not None
    assert faults.trigger_request(AlpacaFaultKind.ANSWER, "POST", "/v2/orders") is None


def test_a_condition_lasts_until_it_is_cleared() -> None:
    faults = AlpacaFaultSwitches()
    faults.arm(AlpacaFault(kind=AlpacaFaultKind.SILENCE_STREAM))
    assert faults.active_condition(AlpacaFaultKind.SILENCE_STREAM)
    assert faults.active_condition(AlpacaFaultKind.SILENCE_STREAM)
    faults.clear()
    assert faults.active_condition(AlpacaFaultKind.SILENCE_STREAM) is None


def test_a_bar_holds_its_minute() -> None:
    bar = start_bar("AAPL", Decimal(10), 100, NOON_NS + 5)
    bar = extend_bar(extend_bar(bar, Decimal(12), 100), Decimal(9), 200)
    assert [bar.open, bar.high, bar.low, bar.close] == [Decimal(price) for price in (10, 12, 9, 9)]
    assert (bar.volume, bar.count) == (400, 3)
    assert (bar.at_ns, bar.average) == (NOON_NS, Decimal(10))
    assert is_complete(bar, NOON_NS + 60 * SECOND_NS)
    assert not is_complete(bar, NOON_NS + 59 * SECOND_NS)


def test_an_asset_keeps_its_id() -> None:
    assert asset_id("AAPL") == asset_id("AAPL") != asset_id("MSFT")


def test_symbols_are_read_once_each() -> None:
    assert parse_symbols("aapl, MSFT,AAPL") == ("AAPL", "MSFT")


@pytest.mark.parametrize("text", ["", "A1", "TOOLONG", ",".join(f"{a}{b}" for a in "ABCDEF" for b in "ABCDEF")])
def test_what_is_no_list_of_symbols_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_symbols(text)
