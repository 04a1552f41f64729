"""REST endpoints of the market data, and the parsing of their queries.

They serve the history since the venue opened, the latest values, and snapshots.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from components.sandbox.alpaca.core.errors import ApiError, ApiErrorRaised
from components.sandbox.alpaca.core.market_history import (
    Bar,
    HistoryRow,
    PageRequest,
    SymbolHistory,
    TradeRecord,
    bar_start_ns,
    parse_page_token,
    select_page,
)
from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.responses import bar_document, quote_document, trade_document
from components.sandbox.alpaca.core.session import format_timestamp, parse_timestamp
from components.sandbox.alpaca.server.middleware import DATA_PREFIX
from components.sandbox.numerics import DAY_NS, SECOND_NS

Query = Mapping[str, str]
Document = dict[str, object]
ROWS_DEFAULT, ROWS_MAX = 1_000, 10_000
_TIMEFRAME = re.compile(r"(?P<count>\d{1,2})(?P<unit>Min|T|Hour|H|Day|D)")
_UNITS = {"Min": ("T", 60, 59), "Hour": ("H", 3_600, 23), "Day": ("D", 86_400, 1)}
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(\.[A-Z]+)?")
_TO_JSON = msgspec.json.Encoder(decimal_format="number")  # prices are JSON numbers here


def parse_symbols(query: Query) -> list[str]:
    """Return the requested symbols without duplicates."""
    named = [part for part in query.get("symbols", "").upper().split(",") if part]
    if not named:
        raise _bad_request("symbols is required")
    for symbol in named:
        if not _SYMBOL.fullmatch(symbol):
            raise _bad_request(f"invalid symbol: {symbol}")
    return list(dict.fromkeys(named))


def parse_page_request(query: Query, now_ns: int) -> PageRequest:
    """Return the parameters of a page; the default range is today until now."""
    return PageRequest(
        start_ns=_time(query, "start", bar_start_ns(now_ns, DAY_NS)),
        end_ns=_time(query, "end", now_ns),
        limit=_limit(query),
        ascending=_is_ascending(query),
        after_row=_after_row(query),
    )


def parse_timeframe_ns(query: Query) -> int:
    """Return the length of a bar."""
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
    position = parse_page_token(query["page_token"])
    if position is None:
        raise _bad_request("invalid page_token")
    return position


def _bad_request(message: str) -> ApiErrorRaised:
    # These endpoints answer 400 without a code, unlike the trading endpoints.
    return ApiErrorRaised(ApiError(400, None, message))


class MarketDataRoutes:
    """Handlers for the histories of the listed symbols; symbols without data are left out."""

    def __init__(
        self, histories: Mapping[str, SymbolHistory], listed: frozenset[str], now_ns: Callable[[], int]
    ) -> None:
        self._histories = histories
        self._listed = listed
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        kinds = "{kind:quotes|trades|bars}"
        return [
            web.get(f"{DATA_PREFIX}/{kinds}", self.history),
            web.get(f"{DATA_PREFIX}/{kinds}/latest", self.latest),
            web.get(f"{DATA_PREFIX}/snapshots", self.snapshots),
        ]

    async def history(self, request: web.Request) -> web.Response:
        """Return a page of quotes, trades or bars."""
        kind, query = request.match_info["kind"], request.query
        found = {symbol: _rows(history, kind, query) for symbol, history in self._requested(query).items()}
        page = select_page(found, parse_page_request(query, self._now_ns()))
        rows = {symbol: [_document(row) for row in some] for symbol, some in page.rows.items()}
        return _response({kind: rows, "next_page_token": page.token})

    async def latest(self, request: web.Request) -> web.Response:
        """Return the latest quote, trade or bar of each symbol."""
        kind = request.match_info["kind"]
        last = {
            symbol: _last(_retained_rows(history, kind)) for symbol, history in self._requested(request.query).items()
        }
        return _response({kind: {symbol: row for symbol, row in last.items() if row is not None}})

    async def snapshots(self, request: web.Request) -> web.Response:
        """Return the latest trade, quote, minute bar and daily bars of each symbol."""
        now_ns = self._now_ns()
        return _response(
            {symbol: _snapshot(history, now_ns) for symbol, history in self._requested(request.query).items()}
        )

    def _requested(self, query: Query) -> dict[str, SymbolHistory]:
        return {
            one: self._histories[one] for one in parse_symbols(query) if one in self._listed and one in self._histories
        }


def _rows(history: SymbolHistory, kind: str, query: Query) -> Sequence[HistoryRow]:
    return history.bars(parse_timeframe_ns(query)) if kind == "bars" else _retained_rows(history, kind)


def _retained_rows(history: SymbolHistory, kind: str) -> Sequence[HistoryRow]:
    kept: dict[str, Sequence[HistoryRow]] = {
        "quotes": history.quotes,
        "trades": history.trades,
        "bars": history.minute_bars,
    }
    return kept[kind]


def _snapshot(history: SymbolHistory, now_ns: int) -> Document:
    today_ns, days = bar_start_ns(now_ns, DAY_NS), history.daily_bars()
    return {
        "latestTrade": _last(history.trades),
        "latestQuote": _last(history.quotes),
        "minuteBar": _last(history.minute_bars),
        "dailyBar": _last([day for day in days if day.at_ns == today_ns]),
        "prevDailyBar": _last([day for day in days if day.at_ns < today_ns]),
    }


def _last(rows: Sequence[HistoryRow]) -> Document | None:
    return _document(rows[-1]) if rows else None


def _document(row: HistoryRow) -> Document:
    # The message type and symbol, which a stream repeats in each message, are given here by the place in the response.
    return {
        "t": format_timestamp(row.at_ns),
        **{name: value for name, value in _stream_document(row).items() if name not in {"T", "S"}},
    }


def _stream_document(row: HistoryRow) -> Document:
    match row:
        case Quote():
            return quote_document(row)
        case TradeRecord(trade=trade, number=number):
            return trade_document(trade, number)
        case Bar():
            return bar_document(row)


def _response(document: Document) -> web.Response:
    return web.Response(body=_TO_JSON.encode(document), content_type="application/json")
