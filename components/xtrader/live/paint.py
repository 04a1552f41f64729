"""Pieces of text with a tone, cut to the width of a terminal."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias


class Style(StrEnum):
    """What a piece of text means; each has its code for a terminal."""

    PLAIN = "0"
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    WARNING = "33"
    BAD = "31"


class Span(NamedTuple):
    """Some text in one tone."""

    text: str
    style: Style = Style.PLAIN


StyledLine: TypeAlias = tuple[Span, ...]

ELLIPSIS: Final = "…"
EMPTY_LINE: Final[StyledLine] = ()


def styled_line(*spans: Span | str) -> StyledLine:
    """Put pieces and plain texts into one line."""
    return tuple(Span(piece) if isinstance(piece, str) else piece for piece in spans)


def truncate(line: StyledLine, width: int) -> StyledLine:
    """Keep what fits; what does not ends with an ellipsis, and nothing in it can move the cursor."""
    if sum(len(piece.text) for piece in line) <= width:
        return tuple(Span(_printable(piece.text), piece.style) for piece in line)
    kept: list[Span] = []
    room = width - len(ELLIPSIS)
    for piece in line:
        kept.append(Span(_printable(piece.text[:room]), piece.style))
        room -= len(kept[-1].text)
    return (*(piece for piece in kept if piece.text), Span(ELLIPSIS[:width], Style.DIM))


def plain_text(line: StyledLine) -> str:
    """Give the bare text."""
    return "".join(piece.text for piece in line)


def to_ansi(lines: Iterable[StyledLine], *, colour: bool) -> list[str]:
    """Write each line with the codes of its tones."""
    return ["".join(_span_to_ansi(piece, colour=colour) for piece in one) for one in lines]


def _span_to_ansi(span: Span, *, colour: bool) -> str:
    return f"\x1b[{span.style}m{span.text}\x1b[0m" if colour and span.style is not Style.PLAIN else span.text


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
