"""The query strings of the market-data endpoints, read as the venue reads them."""

import re
from collections.abc import Mapping

from components.sandbox.core.history import PageRequest, parse_page_token
from components.sandbox.core.refusals import ApiError
from components.sandbox.core.session import SECOND_NS
from components.sandbox.core.stamps import parse_timestamp
from components.sandbox.core.tape import DAY_NS, bar_start_ns
from components.sandbox.server.replies import ApiErrorRaised

Query = Mapping[str, str]
ROWS_DEFAULT, ROWS_MAX = 1_000, 10_000
_TIMEFRAME = re.compile(r"(?P<count>\d{1,2})(?P<unit>Min|T|Hour|H|Day|D)")
_UNITS = {"Min": ("T", 60, 59), "Hour": ("H", 3_600, 23), "Day": ("D", 86_400, 1)}
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(\.[A-Z]+)?")


def parse_symbols(query: Query) -> list[str]:
    """Read the symbols that are asked for, each once."""
    named = [part for part in query.get("symbols", "").upper().split(",") if part]
    if not named:
        raise _bad_request("symbols is required")
    for symbol in named:
        if not _SYMBOL.fullmatch(symbol):
            raise _bad_request(f"invalid symbol: {symbol}")
    return list(dict.fromkeys(named))


def parse_page_request(query: Query, now_ns: int) -> PageRequest:
    """Read the bounds of a page: by default today until now."""
    return PageRequest(
        start_ns=_time(query, "start", bar_start_ns(now_ns, DAY_NS)),
        end_ns=_time(query, "end", now_ns),
        limit=_limit(query),
        ascending=_is_ascending(query),
        after_row=_after_row(query),
    )


def parse_timeframe_ns(query: Query) -> int:
    """Read the length of a bar."""
    text = query.get("timeframe", "")
    found = _TIMEFRAME.fullmatch(text)
    for unit, (short, seconds, most) in _UNITS.items():
        if found is not None and found["unit"] in {unit, short} and 1 <= int(found["count"]) <= most:
            return int(found["count"]) * seconds * SECOND_NS
    raise _bad_request(f"invalid timeframe: {text}")


def _time(query: Query, name: str, default: int) -> int:
    if name not in query:
        return default
    at_ns = parse_timestamp(query[name])
    if at_ns is None:
        raise _bad_request(f"invalid {name}: {query[name]}")
    return at_ns


def _limit(query: Query) -> int:
    text = query.get("limit", str(ROWS_DEFAULT))
    if not text.isdecimal() or not 1 <= int(text) <= ROWS_MAX:
        raise _bad_request(f"invalid limit: must be between 1 and {ROWS_MAX}")
    return int(text)


def _is_ascending(query: Query) -> bool:
    order = query.get("sort", "asc")
    if order not in {"asc", "desc"}:
        raise _bad_request(f"invalid sort: {order}")
    return order == "asc"


def _after_row(query: Query) -> tuple[str, int] | None:
    if "page_token" not in query:
        return None
    past = parse_page_token(query["page_token"])
    if past is None:
        raise _bad_request("invalid page_token")
    return past


def _bad_request(message: str) -> ApiErrorRaised:
    # These endpoints answer 400 without a code, unlike the trading ones.
    return ApiErrorRaised(ApiError(400, None, message))
