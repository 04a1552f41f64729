"""Pages of the past: rows of many symbols in one order, cut where the page is full, with a token to go on from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence

from msgspec import Struct

from components.sandbox.core.tape import HistoryRow


class PageRequest(Struct, frozen=True, kw_only=True):
    """Which rows a page is asked for; both bounds are included."""

    start_ns: int
    end_ns: int
    limit: int
    ascending: bool = True
    after_row: tuple[str, int] | None = None
    """Symbol and time of the last row of the page before."""


class HistoryPage(Struct, frozen=True):
    """The rows of one page by symbol; the token of the next, where there is one."""

    rows: dict[str, list[HistoryRow]]
    token: str | None


def select_page(histories: Mapping[str, Sequence[HistoryRow]], request: PageRequest) -> HistoryPage:
    """Fill a page, symbol by symbol, each in the order of time."""
    rows: dict[str, list[HistoryRow]] = {}
    room, last = request.limit, request.after_row
    for symbol in sorted(histories):
        found = _matching_rows(symbol, histories[symbol], request)
        if found and not room:
            return HistoryPage(rows, _page_token(last))
        if found:
            rows[symbol] = found[:room]
            room -= len(rows[symbol])
            last = (symbol, rows[symbol][-1].at_ns)
        if len(found) > len(rows.get(symbol, ())):
            return HistoryPage(rows, _page_token(last))
    return HistoryPage(rows, None)


def parse_page_token(text: str) -> tuple[str, int] | None:
    """Read where a page ended; nothing where the text is no token of ours."""
    try:
        symbol, _, at_ns = urlsafe_b64decode(text.encode()).decode().partition("|")
        return symbol, int(at_ns)
    except ValueError:
        return None


def _matching_rows(symbol: str, rows: Sequence[HistoryRow], wanted: PageRequest) -> list[HistoryRow]:
    if wanted.after_row is not None and symbol < wanted.after_row[0]:
        return []
    found = [row for row in rows if wanted.start_ns <= row.at_ns <= wanted.end_ns]
    if not wanted.ascending:
        found.reverse()
    if wanted.after_row is None or symbol != wanted.after_row[0]:
        return found
    past_ns = wanted.after_row[1]
    return [row for row in found if (row.at_ns > past_ns if wanted.ascending else row.at_ns < past_ns)]


def _page_token(last: tuple[str, int] | None) -> str | None:
    return None if last is None else urlsafe_b64encode(f"{last[0]}|{last[1]}".encode()).decode()
