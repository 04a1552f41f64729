"""Decimal formatting, seeded draws, and units of time shared by all venues of the sandbox.

Decimals are written as plain strings without an exponent. Draws have no state: the same seed, name and index give the
same numbers on every machine and in every order.
"""

from decimal import Decimal
from hashlib import blake2b
from struct import Struct

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
DAY_NS = 86_400 * SECOND_NS
ZERO = Decimal(0)
CENT = Decimal("0.01")
_EIGHT = Struct("<8Q")


def format_decimal(value: Decimal) -> str:
    """Format a decimal without an exponent and without trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def format_decimal_or_none(value: Decimal | None) -> str | None:
    """Format a decimal; return None for None."""
    return None if value is None else format_decimal(value)


def decimal_places(value: Decimal) -> int:
    """Return how many decimal places a value needs, trailing zeros not counted."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def cents_to_dollars(cents: int) -> Decimal:
    """Convert whole cents to dollars with two decimal places."""
    return Decimal(cents).scaleb(-2)


def draws(seed: int, name: str, index: int) -> tuple[int, ...]:
    """Return eight independent 64-bit numbers for one index of a named sequence."""
    text = f"{seed}/{name}/{index}".encode()
    return _EIGHT.unpack(blake2b(text, digest_size=64).digest())


def is_drawn(draw: int, one_in: int) -> bool:
    """Return whether an event with probability 1/`one_in` happens on this draw."""
    return draw % one_in == 0


def normal_draw(draw: int) -> int:
    """Convert a draw to an approximately normal number with mean 0 and standard deviation 1000."""
    # The sum of four uniform 16-bit numbers has a standard deviation of 65536 / sqrt(3).
    pieces = (draw & 0xFFFF) + (draw >> 16 & 0xFFFF) + (draw >> 32 & 0xFFFF) + (draw >> 48)
    return (pieces - 131_070) * 1000 // 37_837
