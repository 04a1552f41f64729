"""Trading sessions, timestamps, and the venue's adjustable clock.

A market is open always, or on weekdays from 9:30 to 16:00 in New York. Times are integer nanoseconds; as text they are
RFC 3339 with nanoseconds.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from components.sandbox.numerics import MILLISECOND_NS, SECOND_NS

NEW_YORK = ZoneInfo("America/New_York")
PRE_MARKET_OPEN, MARKET_OPEN, MARKET_CLOSE, AFTER_HOURS_CLOSE = time(4), time(9, 30), time(16), time(20)
_TIMESTAMP = re.compile(r"(?P<until>[^.]*?\d)(?:\.(?P<part>\d{1,9})\d*)?(?P<zone>Z|[+-]\d\d:?\d\d)?")


class SessionName(StrEnum):
    """Names of the sessions."""

    ALWAYS = "always"
    NYSE = "nyse"


class SessionPhase(StrEnum):
    """Phase of the trading day."""

    CLOSED = "closed"
    EXTENDED = "extended"
    OPEN = "open"


class TradingSession(Struct, frozen=True):
    """Opening hours of the market; holidays are not modelled."""

    name: SessionName

    def phase(self, now_ns: int) -> SessionPhase:
        """Return the phase at this time."""
        local = new_york_time(now_ns)
        if self.name is SessionName.ALWAYS or (
            _is_trading_day(local.date()) and MARKET_OPEN <= local.time() < MARKET_CLOSE
        ):
            return SessionPhase.OPEN
        return (
            SessionPhase.EXTENDED
            if _is_trading_day(local.date()) and PRE_MARKET_OPEN <= local.time() < AFTER_HOURS_CLOSE
            else SessionPhase.CLOSED
        )

    def next_open(self, now_ns: int) -> datetime:
        """Return the next opening after this time."""
        return self._next(now_ns, MARKET_OPEN)

    def next_close(self, now_ns: int) -> datetime:
        """Return the next close after this time."""
        return self._next(now_ns, MARKET_CLOSE)

    def day_order_expires_at_ns(self, now_ns: int) -> int | None:
        """Return when a DAY order sent now expires; None if the market never closes."""
        if self.name is SessionName.ALWAYS:
            return None
        return int(self.next_close(now_ns).timestamp()) * SECOND_NS

    def _next(self, now_ns: int, at: time) -> datetime:
        local = new_york_time(now_ns)
        if self.name is SessionName.ALWAYS:
            # Clients expect dates for a market that never closes too; these are too far away to matter.
            return datetime(local.year + 2, 1, 1, tzinfo=NEW_YORK)
        day = local.date()
        while not _is_trading_day(day) or datetime.combine(day, at, NEW_YORK) <= local:
            day += timedelta(days=1)
        return datetime.combine(day, at, NEW_YORK)


def new_york_time(now_ns: int) -> datetime:
    """Return the local time in New York, truncated to microseconds."""
    seconds, rest_ns = divmod(now_ns, SECOND_NS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000).astimezone(NEW_YORK)


def trading_days(first: date, last: date) -> list[date]:
    """Return the trading days between two dates, both inclusive."""
    span = (last - first).days
    return [day for day in (first + timedelta(days=n) for n in range(span + 1)) if _is_trading_day(day)]


def _is_trading_day(day: date) -> bool:
    return day.isoweekday() <= 5


def format_timestamp(at_ns: int) -> str:
    """Format a time with nanoseconds."""
    seconds, rest_ns = divmod(at_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def format_timestamp_or_none(at_ns: int | None) -> str | None:
    """Format a time; return None for None."""
    return None if at_ns is None else format_timestamp(at_ns)


def parse_timestamp(text: str) -> int | None:
    """Parse a time or a date to the nanosecond; return None for invalid text."""
    # A plus sign that was not URL-encoded arrives as a space.
    found = _TIMESTAMP.fullmatch(text.strip().replace(" ", "+"))
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found["until"] + (found["zone"] or ""))
    except ValueError:
        return None
    aware = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    return int(aware.timestamp()) * SECOND_NS + int((found["part"] or "0").ljust(9, "0"))


class AdjustableClock:
    """The real time plus an offset that the admin API can increase; it never goes back."""

    def __init__(self, real_ns: Callable[[], int]) -> None:
        self._real_ns = real_ns
        self._ahead_ns = 0

    def now_ns(self) -> int:
        """Return the venue's time."""
        return self._real_ns() + self._ahead_ns

    def advance(self, ahead_ms: int) -> None:
        """Set the clock forward."""
        self._ahead_ns += ahead_ms * MILLISECOND_NS
