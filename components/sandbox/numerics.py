"""Decimals as the venue writes them: plain strings without exponent, parsed from numbers and strings alike.

Chance without state: the same seed and place give the same draws on every machine and in every order.
"""

from decimal import Decimal
from hashlib import blake2b
from struct import Struct

ZERO = Decimal(0)


CENT = Decimal("0.01")


def format_decimal(value: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def format_decimal_or_none(value: Decimal | None) -> str | None:
    """Write a decimal, or nothing where there is none."""
    return None if value is None else format_decimal(value)


def decimal_places(value: Decimal) -> int:
    """Count the decimal places a value really needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def cents_to_dollars(cents: int) -> Decimal:
    """Turn whole cents into dollars, two places kept."""
    return Decimal(cents).scaleb(-2)


_EIGHT = Struct("<8Q")


def draws(seed: int, name: str, index: int) -> tuple[int, ...]:
    """Return eight independent 64-bit numbers that belong to this place of this named sequence."""
    text = f"{seed}/{name}/{index}".encode()
    return _EIGHT.unpack(blake2b(text, digest_size=64).digest())


def is_drawn(draw: int, one_in: int) -> bool:
    """Tell whether an event with a chance of one in so many happens on this draw."""
    return draw % one_in == 0


def normal_draw(draw: int) -> int:
    """Turn a draw into a nearly normal number with mean 0 and deviation 1000."""
    # The sum of four uniform 16-bit pieces has a deviation of 65536 / sqrt(3).
    pieces = (draw & 0xFFFF) + (draw >> 16 & 0xFFFF) + (draw >> 32 & 0xFFFF) + (draw >> 48)
    return (pieces - 131_070) * 1000 // 37_837
