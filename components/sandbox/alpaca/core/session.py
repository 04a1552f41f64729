"""When the venue trades: always, or on weekdays from 9:30 to 16:00 in New York."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

NEW_YORK = ZoneInfo("America/New_York")
PRE_MARKET_OPEN, MARKET_OPEN, MARKET_CLOSE, AFTER_HOURS_CLOSE = time(4), time(9, 30), time(16), time(20)
SECOND_NS = 1_000_000_000


class SessionName(StrEnum):
    """The sessions one can ask for."""

    ALWAYS = "always"
    NYSE = "nyse"


class SessionPhase(StrEnum):
    """What may trade now."""

    CLOSED = "closed"
    EXTENDED = "extended"
    OPEN = "open"


class TradingSession(Struct, frozen=True):
    """One of the two sessions; holidays are not modelled."""

    name: SessionName

    def phase(self, now_ns: int) -> SessionPhase:
        """Return what may trade at this moment."""
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
        """Return the next opening after this moment."""
        return self._next(now_ns, MARKET_OPEN)

    def next_close(self, now_ns: int) -> datetime:
        """Return the next close after this moment."""
        return self._next(now_ns, MARKET_CLOSE)

    def day_order_expires_at_ns(self, now_ns: int) -> int | None:
        """Return when a DAY order sent now expires; never where the session never ends."""
        if self.name is SessionName.ALWAYS:
            return None
        return int(self.next_close(now_ns).timestamp()) * SECOND_NS

    def _next(self, now_ns: int, at: time) -> datetime:
        local = new_york_time(now_ns)
        if self.name is SessionName.ALWAYS:
            # A session that never ends still needs dates that parse: far enough that nobody waits for them.
            return datetime(local.year + 2, 1, 1, tzinfo=NEW_YORK)
        day = local.date()
        while not _is_trading_day(day) or datetime.combine(day, at, NEW_YORK) <= local:
            day += timedelta(days=1)
        return datetime.combine(day, at, NEW_YORK)


def new_york_time(now_ns: int) -> datetime:
    """Return the wall clock of the exchange, cut to microseconds."""
    seconds, rest_ns = divmod(now_ns, SECOND_NS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000).astimezone(NEW_YORK)


def trading_days(first: date, last: date) -> list[date]:
    """List the days with a session, both ends included."""
    span = (last - first).days
    return [day for day in (first + timedelta(days=n) for n in range(span + 1)) if _is_trading_day(day)]


def _is_trading_day(day: date) -> bool:
    return day.isoweekday() <= 5
