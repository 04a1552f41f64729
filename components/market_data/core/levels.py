"""A level of a book as the venue wrote it, and exact numbers out of its texts."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from typing_extensions import override

from components.contracts.values import ZERO, canonical

Level: TypeAlias = tuple[str, ...]
"""Price, quantity, then whatever else the venue says of it; a quantity of zero, however spelled, removes the level."""
Levels: TypeAlias = Sequence[Level]

NUMBERS_MAX: Final = 16_384
"""Prices of a book repeat, so each text is read once; past this the memory of them begins anew."""
_NUMBER: Final = re.compile(r"\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?", re.ASCII)


class BadNumber(ValueError):
    """A price or quantity is no number that a book can hold."""


class Numbers(dict[str, Decimal]):
    """Texts and the exact numbers they say, remembered up to a bound."""

    def __init__(self) -> None:
        super().__init__()
        self.exponents = 0
        """Texts that were written with an exponent: exact, but no venue of ours means to send them."""

    def __missing__(self, text: str) -> Decimal:
        """Read a text that is new here."""
        number = read_number(text)
        if len(self) >= NUMBERS_MAX:
            self.clear()
        self.exponents += "e" in text or "E" in text
        self[text] = number
        return number


class Prices(Numbers):
    """Like numbers, and above zero."""

    @override
    def __missing__(self, text: str) -> Decimal:
        """Read a price that is new here."""
        price = super().__missing__(text)
        if price <= ZERO:
            raise BadNumber(f"{text!r} is no price")
        return price


def read_number(text: str) -> Decimal:
    """Read a number that is not negative, exactly."""
    if _NUMBER.fullmatch(text) is None:
        raise BadNumber(f"{text[:40]!r} is no number of at most 20 digits on each side of its point")
    return Decimal(text)


def pairs(levels: Levels) -> list[list[str]]:
    """Write levels as canonical prices and quantities."""
    return [[canonical(read_number(level[0])), canonical(read_number(level[1]))] for level in levels]
