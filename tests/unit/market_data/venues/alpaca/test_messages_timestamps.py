"""A timestamp is parsed to the exact nanosecond or rejected."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.market_data.venues.alpaca.messages import parse_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def exact(second: datetime, fraction: str) -> int:
    whole = (second - EPOCH) // timedelta(seconds=1)
    return whole * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=OFFSETS),  # noqa: DTZ001
    st.text("0123456789", max_size=9),
)
def test_every_instant_is_read_to_the_nanosecond(at: datetime, fraction: str) -> None:
    second = at.replace(microsecond=0)
    text = second.isoformat()
    head, zone = text[:19], text[19:]
    assert parse_timestamp(f"{head}{'.' + fraction if fraction else ''}{zone}") == exact(second, fraction)


@given(st.integers(0, 4_102_444_800), st.integers(0, 999_999_999))
def test_the_usual_form_is_read_to_the_nanosecond(second: int, nanosecond: int) -> None:
    text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert parse_timestamp(f"{text}.{nanosecond:09d}Z") == second * 1_000_000_000 + nanosecond


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-20T14:31:24.700123456Z", 1_795_185_084_700_123_456),
        ("2026-11-20T14:31:24Z", 1_795_185_084_000_000_000),
        ("2026-11-20t14:31:24.7z", 1_795_185_084_700_000_000),
        ("2026-11-20T09:31:24.70012345-05:00", 1_795_185_084_700_123_450),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_known_forms_are_read(text: str, nanoseconds: int) -> None:
    assert parse_timestamp(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-20",
        "2026-11-20T14:31:24",
        "2026-11-20 14:31:24Z",
        "2026-11-20T14:31:24.Z",
        "2026-11-20T14:31:24.7001234567Z",
        "2026-11-20T14:31:24.70012345_Z",
        "2026-11-20T14:31:24.70012345٣Z",
        "2026-11-20T14:31:24.700123456",
        "2026-11-20T14:31:24.700123456ZZ",
        "2026-11-20T24:00:00Z",
        "2026-11-20T14:31:60Z",
        "2026-02-30T14:31:24Z",
        "2026-11-20T14:31:24+25:00",
        "+026-11-20T14:31:24Z",
    ],
)
def test_a_text_that_is_no_instant_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_timestamp(text)
