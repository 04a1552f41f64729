"""Numbers as JSON spells them, kept as exact plain texts: no venue's number ever passes through a float."""

import re
from typing import Any, Final, TypeAlias

from components.contracts.values import format_decimal
from components.market_data.core.levels import CACHE_SIZE_MAX, parse_number

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
