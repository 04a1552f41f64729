"""Pages of the past: rows of many symbols in one order, cut where the page is full, with a token to go on from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence

from msgspec import Struct

from components.sandbox.core.tape import Row


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows a page is asked for; both bounds are included."""

    start_ns: int
    end_ns: int
    limit: int
    ascending: bool = True
    past: tuple[str, int] | None = None
    """Symbol and time of the last row of the page before."""


class Page(Struct, frozen=True):
    """The rows of one page by symbol; the token of the next, where there is one."""

    rows: dict[str, list[Row]]
    token: str | None


def page_of(tapes: Mapping[str, Sequence[Row]], wanted: Wanted) -> Page:
    """Fill a page, symbol by symbol, each in the order of time."""
    rows: dict[str, list[Row]] = {}
    room, last = wanted.limit, wanted.past
    for symbol in sorted(tapes):
        found = _chosen(symbol, tapes[symbol], wanted)
        if found and not room:
            return Page(rows, _token(last))
        if found:
            rows[symbol] = found[:room]
            room -= len(rows[symbol])
            last = (symbol, rows[symbol][-1].at_ns)
        if len(found) > len(rows.get(symbol, ())):
            return Page(rows, _token(last))
    return Page(rows, None)


def read_token(text: str) -> tuple[str, int] | None:
    """Read where a page ended; nothing where the text is no token of ours."""
    try:
        symbol, _, at_ns = urlsafe_b64decode(text.encode()).decode().partition("|")
        return symbol, int(at_ns)
    except ValueError:
        return None


def _chosen(symbol: str, rows: Sequence[Row], wanted: Wanted) -> list[Row]:
    if wanted.past is not None and symbol < wanted.past[0]:
        return []
    found = [row for row in rows if wanted.start_ns <= row.at_ns <= wanted.end_ns]
    if not wanted.ascending:
        found.reverse()
    if wanted.past is None or symbol != wanted.past[0]:
        return found
    past_ns = wanted.past[1]
    return [row for row in found if (row.at_ns > past_ns if wanted.ascending else row.at_ns < past_ns)]


def _token(last: tuple[str, int] | None) -> str | None:
    return None if last is None else urlsafe_b64encode(f"{last[0]}|{last[1]}".encode()).decode()
