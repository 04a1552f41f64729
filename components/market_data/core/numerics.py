"""Exact numbers from venue texts and JSON literals, and integer price keys.

No number of a venue passes through a float.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

from typing_extensions import override

from components.contracts.values import ZERO, format_decimal

Level: TypeAlias = tuple[str, ...]
"""Price, quantity, then further fields of the venue. A quantity of zero, in any spelling, removes the level."""
Levels: TypeAlias = Sequence[Level]
CACHE_SIZE_MAX: Final = 16_384
"""Prices of a book repeat, so each text is parsed once. A cache that reaches this size is cleared."""
JsonNumber: TypeAlias = Any
"""A JSON number: a fraction arrives as its own text (a decoder's float_hook=str), a whole number as an int."""
DIGITS_MAX: Final = 20
"""Digits on each side of the decimal point."""
_SCALES: Final = tuple(10 ** (DIGITS_MAX - places) for places in range(DIGITS_MAX + 1))
_PLAIN: Final = re.compile(r"[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+").fullmatch
_NUMBER: Final = re.compile(r"[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+(?:[eE][+-]?[0-9]{1,2})?").fullmatch
_CANONICAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,19}+)(?:\.[0-9]{0,19}[1-9])?").fullmatch
"""Matches a text that is canonical already, so that nothing has to be computed for it."""
_WHOLE_SUFFIX: Final = ".0"


class InvalidNumber(ValueError):
    """A price or quantity is not a number that a book can hold."""


class DecimalCache(dict[str, Decimal]):
    """Cache from number texts to exact Decimals, bounded by CACHE_SIZE_MAX."""

    def __missing__(self, text: str) -> Decimal:
        """Parse and cache a new text."""
        number = parse_number(text)
        if len(self) >= CACHE_SIZE_MAX:
            self.clear()
        self[text] = number
        return number


class PriceCache(DecimalCache):
    """A DecimalCache that rejects numbers that are not above zero."""

    @override
    def __missing__(self, text: str) -> Decimal:
        """Parse and cache a new price."""
        price = super().__missing__(text)
        if price <= ZERO:
            raise InvalidNumber(f"{text!r} is not a price")
        return price


class PriceKeys(dict[str, int]):
    """Cache from price texts to integers that compare like the prices, at any tick size.

    Building a Decimal takes three times as long.
    """

    def __missing__(self, text: str) -> int:
        """Parse and cache a new price."""
        if _PLAIN(text) is None:
            key = _price_key_with_exponent(text)
        else:
            whole, _, part = text.partition(".")
            key = int(whole + part) * _SCALES[len(part)]
        if key == 0:
            raise InvalidNumber(f"{text!r} is not a price")
        if len(self) >= CACHE_SIZE_MAX:
            self.clear()
        self[text] = key
        return key


def _price_key_with_exponent(text: str) -> int:
    """Parse a price with an exponent, exactly. No supported venue is documented to send one."""
    _, digits, exponent = parse_number(text).as_tuple()
    places = DIGITS_MAX + int(exponent)
    if places < 0:
        raise InvalidNumber(f"{text!r} has more than {DIGITS_MAX} decimals")
    return int("".join(map(str, digits))) * int(10**places)


def parse_number(text: str) -> Decimal:
    """Parse a non-negative number exactly."""
    if _NUMBER(text) is None:
        raise InvalidNumber(f"{text[:40]!r} is not a number of at most 20 digits on each side of the point")
    return Decimal(text)


def parse_quantity(text: str) -> Decimal:
    """Parse a quantity of a book exactly; any number of plain digits is accepted, as float() accepts them."""
    if text.strip("0123456789."):
        return parse_number(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidNumber(f"{text[:40]!r} is not a quantity") from None


def canonical_levels(levels: Levels) -> list[list[str]]:
    """Return levels as canonical prices and quantities."""
    return [[format_decimal(parse_number(level[0])), format_decimal(parse_quantity(level[1]))] for level in levels]


class NumberTexts(dict[JsonNumber, str]):
    """Bounded cache from JSON literals to plain texts: 5e-05 is 0.00005, 4714.0 is 4714."""

    def __missing__(self, literal: JsonNumber) -> str:
        """Convert and cache a new literal; raise ValueError or TypeError if a book cannot hold it."""
        text = literal.removesuffix(_WHOLE_SUFFIX) if type(literal) is str else ""
        if _CANONICAL(text) is None:
            text = _parse_literal(literal)
        if len(self) >= CACHE_SIZE_MAX:
            self.clear()
        self[literal] = text
        return text


def _parse_literal(literal: JsonNumber) -> str:
    if not isinstance(literal, str | int) or isinstance(literal, bool):
        raise TypeError(f"{literal!r} is not a number")
    return format_decimal(parse_number(str(literal)))
