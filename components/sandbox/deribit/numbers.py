"""Decimals as Deribit writes them: JSON numbers, whole ones with `.0`, tiny ones with an exponent."""

from decimal import Decimal

from msgspec import Raw

# Below 10^-4 the venue changes to scientific notation, as most languages print their floats.
_TINY = -4


def json_number(value: Decimal) -> Raw:
    """Write a decimal as a JSON number."""
    return Raw(_number_text(value).encode())


def _number_text(value: Decimal) -> str:
    if value == 0:
        return "0.0"
    if value.adjusted() < _TINY:
        return _scientific(value)
    text = format(value, "f")
    if "." not in text:
        return text + ".0"
    whole, part = text.split(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


def _scientific(value: Decimal) -> str:
    sign, digits, _ = value.normalize().as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    mantissa = f"{first}.{rest}" if rest else first
    return f"{'-' if sign else ''}{mantissa}e-{-value.adjusted():02d}"
