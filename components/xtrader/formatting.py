"""Timestamps and durations as text."""

from datetime import UTC, datetime
from typing import Final

from components.runtime.clock import NS_PER_S

MS_PER_S: Final = 1_000
S_PER_MINUTE: Final = 60
MINUTES_PER_HOUR: Final = 60


def format_timestamp(at_ns: int) -> str:
    """Return a wall-clock time in UTC, to the microsecond."""
    seconds, rest_ns = divmod(at_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest_ns // 1_000:06d} UTC"


def format_time(at_ns: int) -> str:
    """Return hours, minutes and seconds in UTC."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC):%H:%M:%S}"


def format_duration(duration_ms: float) -> str:
    """Return a duration in milliseconds, seconds or minutes, whichever suits its length."""
    if duration_ms < MS_PER_S:
        return f"{duration_ms:.1f} ms"
    seconds = duration_ms / MS_PER_S
    return f"{seconds:.1f} s" if seconds < S_PER_MINUTE else format_elapsed(seconds)


def format_elapsed(seconds: float) -> str:
    """Return a longer duration as 1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds), S_PER_MINUTE)
    hours, minutes = divmod(minutes, MINUTES_PER_HOUR)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
