"""The market-data endpoints: quotes, trades and bars since the venue opened, the latest of each, and snapshots."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from components.sandbox.core.bars import Bar
from components.sandbox.core.history import page_of
from components.sandbox.core.listings import bar_document, quote_document, trade_document
from components.sandbox.core.matching import Quote
from components.sandbox.core.stamps import stamp
from components.sandbox.core.tape import DAY_NS, Printed, Row, Tape, span_start_ns
from components.sandbox.server.data_parameters import Query, span_ns, symbols, wanted
from components.sandbox.server.gate import DATA_PREFIX

_TO_JSON = msgspec.json.Encoder(decimal_format="number")  # prices are numbers here
Document = dict[str, object]


class DataRoutes:
    """Answers from the tapes of the listed symbols; a symbol without data is left out."""

    def __init__(self, tapes: Mapping[str, Tape], listed: frozenset[str], now_ns: Callable[[], int]) -> None:
        self._tapes = tapes
        self._listed = listed
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints."""
        kinds = "{kind:quotes|trades|bars}"
        return [
            web.get(f"{DATA_PREFIX}/{kinds}", self.past),
            web.get(f"{DATA_PREFIX}/{kinds}/latest", self.latest),
            web.get(f"{DATA_PREFIX}/snapshots", self.snapshots),
        ]

    async def past(self, request: web.Request) -> web.Response:
        """Return a page of what was said."""
        kind, query = request.match_info["kind"], request.query
        found = {symbol: _rows(tape, kind, query) for symbol, tape in self._asked(query).items()}
        page = page_of(found, wanted(query, self._now_ns()))
        rows = {symbol: [_document(row) for row in some] for symbol, some in page.rows.items()}
        return _reply({kind: rows, "next_page_token": page.token})

    async def latest(self, request: web.Request) -> web.Response:
        """Return what was said last."""
        kind = request.match_info["kind"]
        last = {symbol: _last(_kept(tape, kind)) for symbol, tape in self._asked(request.query).items()}
        return _reply({kind: {symbol: row for symbol, row in last.items() if row is not None}})

    async def snapshots(self, request: web.Request) -> web.Response:
        """Return the latest of everything."""
        now_ns = self._now_ns()
        return _reply({symbol: _snapshot(tape, now_ns) for symbol, tape in self._asked(request.query).items()})

    def _asked(self, query: Query) -> dict[str, Tape]:
        return {one: self._tapes[one] for one in symbols(query) if one in self._listed and one in self._tapes}


def _rows(tape: Tape, kind: str, query: Query) -> Sequence[Row]:
    return tape.bars(span_ns(query)) if kind == "bars" else _kept(tape, kind)


def _kept(tape: Tape, kind: str) -> Sequence[Row]:
    kept: dict[str, Sequence[Row]] = {"quotes": tape.quotes, "trades": tape.trades, "bars": tape.minutes}
    return kept[kind]


def _snapshot(tape: Tape, now_ns: int) -> Document:
    today_ns, days = span_start_ns(now_ns, DAY_NS), tape.days()
    return {
        "latestTrade": _last(tape.trades),
        "latestQuote": _last(tape.quotes),
        "minuteBar": _last(tape.minutes),
        "dailyBar": _last([day for day in days if day.at_ns == today_ns]),
        "prevDailyBar": _last([day for day in days if day.at_ns < today_ns]),
    }


def _last(rows: Sequence[Row]) -> Document | None:
    return _document(rows[-1]) if rows else None


def _document(row: Row) -> Document:
    # What a stream must repeat in each message is here said once, by the place in the answer.
    return {"t": stamp(row.at_ns), **{name: value for name, value in _said(row).items() if name not in {"T", "S"}}}


def _said(row: Row) -> Document:
    match row:
        case Quote():
            return quote_document(row)
        case Printed(trade=trade, number=number):
            return trade_document(trade, number)
        case Bar():
            return bar_document(row)


def _reply(document: Document) -> web.Response:
    return web.Response(body=_TO_JSON.encode(document), content_type="application/json")
