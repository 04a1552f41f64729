"""Decimals as the venue writes them: plain strings without exponent, parsed from numbers and strings alike."""

from decimal import Decimal

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
