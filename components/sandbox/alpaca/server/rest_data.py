"""The market-data endpoints: quotes, trades and bars since the venue opened, the latest of each, and snapshots."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from components.sandbox.core.bars import Bar
from components.sandbox.core.history import select_page
from components.sandbox.core.listings import bar_document, quote_document, trade_document
from components.sandbox.core.matching import Quote
from components.sandbox.core.stamps import format_timestamp
from components.sandbox.core.tape import DAY_NS, HistoryRow, SymbolHistory, TradeRecord, bar_start_ns
from components.sandbox.server.data_parameters import Query, parse_page_request, parse_symbols, parse_timeframe_ns
from components.sandbox.server.gate import DATA_PREFIX

_TO_JSON = msgspec.json.Encoder(decimal_format="number")  # prices are numbers here
Document = dict[str, object]


class MarketDataRoutes:
    """Answers from the tapes of the listed symbols; a symbol without data is left out."""

    def __init__(
        self, histories: Mapping[str, SymbolHistory], listed: frozenset[str], now_ns: Callable[[], int]
    ) -> None:
        self._histories = histories
        self._listed = listed
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints."""
        kinds = "{kind:quotes|trades|bars}"
        return [
            web.get(f"{DATA_PREFIX}/{kinds}", self.history),
            web.get(f"{DATA_PREFIX}/{kinds}/latest", self.latest),
            web.get(f"{DATA_PREFIX}/snapshots", self.snapshots),
        ]

    async def history(self, request: web.Request) -> web.Response:
        """Return a page of what was said."""
        kind, query = request.match_info["kind"], request.query
        found = {symbol: _rows(tape, kind, query) for symbol, tape in self._requested(query).items()}
        page = select_page(found, parse_page_request(query, self._now_ns()))
        rows = {symbol: [_document(row) for row in some] for symbol, some in page.rows.items()}
        return _response({kind: rows, "next_page_token": page.token})

    async def latest(self, request: web.Request) -> web.Response:
        """Return what was said last."""
        kind = request.match_info["kind"]
        last = {symbol: _last(_retained_rows(tape, kind)) for symbol, tape in self._requested(request.query).items()}
        return _response({kind: {symbol: row for symbol, row in last.items() if row is not None}})

    async def snapshots(self, request: web.Request) -> web.Response:
        """Return the latest of everything."""
        now_ns = self._now_ns()
        return _response({symbol: _snapshot(tape, now_ns) for symbol, tape in self._requested(request.query).items()})

    def _requested(self, query: Query) -> dict[str, SymbolHistory]:
        return {
            one: self._histories[one] for one in parse_symbols(query) if one in self._listed and one in self._histories
        }


def _rows(tape: SymbolHistory, kind: str, query: Query) -> Sequence[HistoryRow]:
    return tape.bars(parse_timeframe_ns(query)) if kind == "bars" else _retained_rows(tape, kind)


def _retained_rows(tape: SymbolHistory, kind: str) -> Sequence[HistoryRow]:
    kept: dict[str, Sequence[HistoryRow]] = {"quotes": tape.quotes, "trades": tape.trades, "bars": tape.minute_bars}
    return kept[kind]


def _snapshot(tape: SymbolHistory, now_ns: int) -> Document:
    today_ns, days = bar_start_ns(now_ns, DAY_NS), tape.daily_bars()
    return {
        "latestTrade": _last(tape.trades),
        "latestQuote": _last(tape.quotes),
        "minuteBar": _last(tape.minute_bars),
        "dailyBar": _last([day for day in days if day.at_ns == today_ns]),
        "prevDailyBar": _last([day for day in days if day.at_ns < today_ns]),
    }


def _last(rows: Sequence[HistoryRow]) -> Document | None:
    return _document(rows[-1]) if rows else None


def _document(row: HistoryRow) -> Document:
    # What a stream must repeat in each message is here said once, by the place in the answer.
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
