"""Trading sessions and timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.sandbox.alpaca.core.session import (
    SessionName,
    SessionPhase,
    TradingSession,
    format_timestamp,
    parse_timestamp,
)
from components.sandbox.numerics import SECOND_NS
from tests.support.sandbox_venue import NOON_NS

HOUR_NS = 3_600 * SECOND_NS


@given(st.integers(0, 4 * 10**18))
def test_a_timestamp_parses_back_to_the_nanosecond(at_ns: int) -> None:
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
def test_every_form_of_a_timestamp_is_parsed(text: str, at_ns: int | None) -> None:
    assert parse_timestamp(text) == at_ns


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
def test_the_session_phase_follows_new_york_time(hours: int, phase: SessionPhase) -> None:
    assert TradingSession(SessionName.NYSE).phase(NOON_NS + hours * HOUR_NS) is phase


def test_the_next_open_after_friday_noon_is_on_monday() -> None:
    session = TradingSession(SessionName.NYSE)
    assert session.next_open(NOON_NS).isoformat() == "2026-11-23T09:30:00-05:00"
    assert session.next_close(NOON_NS).isoformat() == "2026-11-20T16:00:00-05:00"


def test_the_default_session_never_closes() -> None:
    session = TradingSession(SessionName.ALWAYS)
    assert session.phase(NOON_NS + 30 * HOUR_NS) is SessionPhase.OPEN
    assert session.day_order_expires_at_ns(NOON_NS) is None
