"""Reads a venue's RFC 3339 time stamp into whole nanoseconds without passing through a float or a microsecond."""

import re
from datetime import date
from functools import lru_cache
from typing import Final

NS_PER_S: Final = 1_000_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_SECOND_PATTERN: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", re.ASCII)
_FRACTION_PATTERN: Final = re.compile(r"(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)
_SECOND_LENGTH: Final = len("2026-11-20T14:31:24")
_FULL_LENGTH: Final = len("2026-11-20T14:31:24.700123456Z")


def parse_timestamp(text: str) -> int:
    """Give the nanoseconds since the epoch; a ValueError where the text is no RFC 3339 instant."""
    second = _parse_second(text[:_SECOND_LENGTH])
    if len(text) == _FULL_LENGTH and text[19] == "." and text[29] == "Z" and text.isascii():
        fraction = text[20:29]
        if fraction.isdecimal():
            return second * NS_PER_S + int(fraction)
    return _parse_general(second, text)


def _parse_general(second: int, text: str) -> int:
    rest = _FRACTION_PATTERN.fullmatch(text, _SECOND_LENGTH)
    if rest is None:
        raise ValueError(f"{text!r} is no RFC 3339 instant of at most 9 decimals")
    fraction, sign, hours, minutes = rest.groups()
    offset = (int(hours) * 3600 + int(minutes) * 60) * (1 if sign == "+" else -1) if sign else 0
    return (second - offset) * NS_PER_S + int((fraction or "").ljust(9, "0"))


# Quotes come many to a second: the second is parsed once, then only the nine digits behind it.
@lru_cache(maxsize=64)
def _parse_second(text: str) -> int:
    parts = _SECOND_PATTERN.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is no date and time of day")
    year, month, day, hour, minute, second = map(int, parts.groups())
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    return days * 86_400 + hour * 3600 + minute * 60 + second
