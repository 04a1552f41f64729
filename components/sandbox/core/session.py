"""When the venue trades: always, or on weekdays from 9:30 to 16:00 in New York."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

NEW_YORK = ZoneInfo("America/New_York")
PRE, OPEN, CLOSE, POST = time(4), time(9, 30), time(16), time(20)
NANOSECONDS = 1_000_000_000


class SessionName(StrEnum):
    """The sessions one can ask for."""

    ALWAYS = "always"
    NYSE = "nyse"


class Phase(StrEnum):
    """What may trade now."""

    CLOSED = "closed"
    EXTENDED = "extended"
    OPEN = "open"


class Session(Struct, frozen=True):
    """One of the two sessions; holidays are not modelled."""

    name: SessionName

    def phase(self, now_ns: int) -> Phase:
        """Return what may trade at this moment."""
        local = in_new_york(now_ns)
        if self.name is SessionName.ALWAYS or (_trades_on(local.date()) and OPEN <= local.time() < CLOSE):
            return Phase.OPEN
        return Phase.EXTENDED if _trades_on(local.date()) and PRE <= local.time() < POST else Phase.CLOSED

    def next_open(self, now_ns: int) -> datetime:
        """Return the next opening after this moment."""
        return self._next(now_ns, OPEN)

    def next_close(self, now_ns: int) -> datetime:
        """Return the next close after this moment."""
        return self._next(now_ns, CLOSE)

    def day_order_ends_at_ns(self, now_ns: int) -> int | None:
        """Return when a DAY order sent now expires; never where the session never ends."""
        if self.name is SessionName.ALWAYS:
            return None
        return int(self.next_close(now_ns).timestamp()) * NANOSECONDS

    def _next(self, now_ns: int, at: time) -> datetime:
        local = in_new_york(now_ns)
        if self.name is SessionName.ALWAYS:
            # A session that never ends still needs dates that parse: far enough that nobody waits for them.
            return datetime(local.year + 2, 1, 1, tzinfo=NEW_YORK)
        day = local.date()
        while not _trades_on(day) or datetime.combine(day, at, NEW_YORK) <= local:
            day += timedelta(days=1)
        return datetime.combine(day, at, NEW_YORK)


def in_new_york(now_ns: int) -> datetime:
    """Return the wall clock of the exchange, cut to microseconds."""
    seconds, rest_ns = divmod(now_ns, NANOSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000).astimezone(NEW_YORK)


def trading_days(first: date, last: date) -> list[date]:
    """List the days with a session, both ends included."""
    span = (last - first).days
    return [day for day in (first + timedelta(days=n) for n in range(span + 1)) if _trades_on(day)]


def _trades_on(day: date) -> bool:
    return day.isoweekday() <= 5
