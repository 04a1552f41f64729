"""Numbers as JSON spells them, kept as exact plain texts: no venue's number ever passes through a float."""

import re
from typing import Any, Final, TypeAlias

from components.contracts.values import canonical
from components.market_data.core.levels import NUMBERS_MAX, read_number

Literally: TypeAlias = Any
"""A number; one that may be a fraction comes as its own text (a decoder's float_hook=str), a whole one as an int."""

_PLAIN: Final = re.compile(r"(?:0|[1-9][0-9]{0,19}+)(?:\.[0-9]{0,19}[1-9])?").fullmatch
"""What reads the same when it is written canonically: nothing has to be computed for it."""
_WHOLE: Final = ".0"


class Texts(dict[Literally, str]):
    """Literals and the plain texts they mean, remembered up to a bound: 5e-05 is 0.00005, 4714.0 is 4714."""

    def __missing__(self, literal: Literally) -> str:
        """Read a literal that is new here; ValueError or TypeError where it is no number that a book can hold."""
        text = literal.removesuffix(_WHOLE) if type(literal) is str else ""
        if _PLAIN(text) is None:
            text = _read(literal)
        if len(self) >= NUMBERS_MAX:
            self.clear()
        self[literal] = text
        return text


def _read(literal: Literally) -> str:
    if not isinstance(literal, str | int) or isinstance(literal, bool):
        raise TypeError(f"{literal!r} is no number")
    return canonical(read_number(str(literal)))
