"""Times as the venue writes and reads them: RFC3339 with nanoseconds, whole numbers inside."""

import re
from datetime import UTC, datetime

from components.sandbox.core.session import SECOND_NS

_TIMESTAMP = re.compile(r"(?P<until>[^.]*?\d)(?:\.(?P<part>\d{1,9})\d*)?(?P<zone>Z|[+-]\d\d:?\d\d)?")


def format_timestamp(at_ns: int) -> str:
    """Write a time with nine digits of a second."""
    seconds, rest_ns = divmod(at_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def format_timestamp_or_none(at_ns: int | None) -> str | None:
    """Write a time, or nothing where there is none."""
    return None if at_ns is None else format_timestamp(at_ns)


def parse_timestamp(text: str) -> int | None:
    """Read a time or a date to the nanosecond; nothing where the text is neither."""
    # A plus sign that was not encoded arrives as a space.
    found = _TIMESTAMP.fullmatch(text.strip().replace(" ", "+"))
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found["until"] + (found["zone"] or ""))
    except ValueError:
        return None
    aware = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    return int(aware.timestamp()) * SECOND_NS + int((found["part"] or "0").ljust(9, "0"))
