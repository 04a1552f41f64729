"""Pieces of text with a tone, cut to the width of a terminal."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias


class Tone(StrEnum):
    """What a piece of text means; each has its code for a terminal."""

    PLAIN = "0"
    STRONG = "1"
    QUIET = "2"
    GOOD = "32"
    WARNING = "33"
    BAD = "31"


class Piece(NamedTuple):
    """Some text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Line: TypeAlias = tuple[Piece, ...]

ELLIPSIS: Final = "…"
EMPTY: Final[Line] = ()


def line(*pieces: Piece | str) -> Line:
    """Put pieces and plain texts into one line."""
    return tuple(Piece(piece) if isinstance(piece, str) else piece for piece in pieces)


def cut(pieces: Line, width: int) -> Line:
    """Keep what fits; what does not ends with an ellipsis, and nothing in it can move the cursor."""
    if sum(len(piece.text) for piece in pieces) <= width:
        return tuple(Piece(_printable(piece.text), piece.tone) for piece in pieces)
    kept: list[Piece] = []
    room = width - len(ELLIPSIS)
    for piece in pieces:
        kept.append(Piece(_printable(piece.text[:room]), piece.tone))
        room -= len(kept[-1].text)
    return (*(piece for piece in kept if piece.text), Piece(ELLIPSIS[:width], Tone.QUIET))


def text_of(pieces: Line) -> str:
    """Give the bare text."""
    return "".join(piece.text for piece in pieces)


def coded(lines: Iterable[Line], *, colour: bool) -> list[str]:
    """Write each line with the codes of its tones."""
    return ["".join(_coded(piece, colour=colour) for piece in one) for one in lines]


def _coded(piece: Piece, *, colour: bool) -> str:
    return f"\x1b[{piece.tone}m{piece.text}\x1b[0m" if colour and piece.tone is not Tone.PLAIN else piece.text


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
