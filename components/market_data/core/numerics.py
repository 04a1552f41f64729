"""A level of a book as the venue wrote it, and exact numbers out of its texts.

Numbers as JSON spells them, kept as exact plain texts: no venue's number ever passes through a float.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

from typing_extensions import override

from components.contracts.values import ZERO, format_decimal

Level: TypeAlias = tuple[str, ...]
"""Price, quantity, then whatever else the venue says of it; a quantity of zero, however spelled, removes the level."""


Levels: TypeAlias = Sequence[Level]


CACHE_SIZE_MAX: Final = 16_384
"""Prices of a book repeat, so each text is read once; past this the memory of them begins anew."""


DIGITS_MAX: Final = 20


_SCALES: Final = tuple(10 ** (DIGITS_MAX - places) for places in range(DIGITS_MAX + 1))


_PLAIN: Final = re.compile(r"[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+").fullmatch


_NUMBER: Final = re.compile(r"[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+(?:[eE][+-]?[0-9]{1,2})?").fullmatch


class InvalidNumber(ValueError):
    """A price or quantity is no number that a book can hold."""


class DecimalCache(dict[str, Decimal]):
    """Texts and the exact numbers they say, remembered up to a bound."""

    def __missing__(self, text: str) -> Decimal:
        """Read a text that is new here."""
        number = parse_number(text)
        if len(self) >= CACHE_SIZE_MAX:
            self.clear()
        self[text] = number
        return number


class PriceCache(DecimalCache):
    """Like numbers, and above zero."""

    @override
    def __missing__(self, text: str) -> Decimal:
        """Read a price that is new here."""
        price = super().__missing__(text)
        if price <= ZERO:
            raise InvalidNumber(f"{text!r} is no price")
        return price


class PriceKeys(dict[str, int]):
    """Prices as integers that compare just as they do, whatever the tick: a new Decimal takes three times as long."""

    def __missing__(self, text: str) -> int:
        """Read a price that is new here."""
        if _PLAIN(text) is None:
            key = _price_key_with_exponent(text)
        else:
            whole, _, part = text.partition(".")
            key = int(whole + part) * _SCALES[len(part)]
        if key == 0:
            raise InvalidNumber(f"{text!r} is no price")
        if len(self) >= CACHE_SIZE_MAX:
            self.clear()
        self[text] = key
        return key


def _price_key_with_exponent(text: str) -> int:
    """Read a price with an exponent: exact, but no venue of ours means to send one."""
    _, digits, exponent = parse_number(text).as_tuple()
    places = DIGITS_MAX + int(exponent)
    if places < 0:
        raise InvalidNumber(f"{text!r} is finer than {DIGITS_MAX} digits behind its point")
    return int("".join(map(str, digits))) * int(10**places)


def parse_number(text: str) -> Decimal:
    """Read a number that is not negative, exactly."""
    if _NUMBER(text) is None:
        raise InvalidNumber(f"{text[:40]!r} is no number of at most 20 digits on each side of its point")
    return Decimal(text)


def parse_quantity(text: str) -> Decimal:
    """Read a quantity that a book holds, exactly; there may be any number of plain digits, as a float takes them."""
    if text.strip("0123456789."):
        return parse_number(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidNumber(f"{text[:40]!r} is no quantity") from None


def canonical_levels(levels: Levels) -> list[list[str]]:
    """Write levels as canonical prices and quantities."""
    return [[format_decimal(parse_number(level[0])), format_decimal(parse_quantity(level[1]))] for level in levels]


JsonNumber: TypeAlias = Any
"""A number; one that may be a fraction comes as its own text (a decoder's float_hook=str), a whole one as an int."""


_CANONICAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,19}+)(?:\.[0-9]{0,19}[1-9])?").fullmatch
"""What reads the same when it is written canonically: nothing has to be computed for it."""


_WHOLE_SUFFIX: Final = ".0"


class NumberTexts(dict[JsonNumber, str]):
    """Literals and the plain texts they mean, remembered up to a bound: 5e-05 is 0.00005, 4714.0 is 4714."""

    def __missing__(self, literal: JsonNumber) -> str:
        """Read a literal that is new here; ValueError or TypeError where it is no number that a book can hold."""
        text = literal.removesuffix(_WHOLE_SUFFIX) if type(literal) is str else ""
        if _CANONICAL(text) is None:
            text = _parse_literal(literal)
        if len(self) >= CACHE_SIZE_MAX:
            self.clear()
        self[literal] = text
        return text


def _parse_literal(literal: JsonNumber) -> str:
    if not isinstance(literal, str | int) or isinstance(literal, bool):
        raise TypeError(f"{literal!r} is no number")
    return format_decimal(parse_number(str(literal)))
