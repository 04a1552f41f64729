"""REST endpoints of reference data: clock, calendar, assets."""

from datetime import date, timedelta

from aiohttp import web

from components.sandbox.alpaca.core.errors import ApiErrorRaised, invalid_request, symbol_not_found
from components.sandbox.alpaca.core.responses import EXCHANGE, Document, asset_document, asset_id
from components.sandbox.alpaca.core.session import SessionPhase, new_york_time, trading_days
from components.sandbox.alpaca.server.exchange import Exchange
from components.sandbox.alpaca.server.rest_parameters import includes_equities
from components.sandbox.numerics import SECOND_NS
from components.sandbox.transport.http_server import json_response

CALENDAR_DAYS = 30


class ReferenceRoutes:
    """Handlers for the assets and the trading hours."""

    def __init__(self, exchange: Exchange, symbols: tuple[str, ...]) -> None:
        self._exchange = exchange
        self._symbols = symbols

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.get("/v2/clock", self.clock),
            web.get("/v2/calendar", self.calendar),
            web.get("/v2/assets", self.assets),
            web.get("/v2/assets/{symbol}", self.asset),
        ]

    async def clock(self, _: web.Request) -> web.Response:
        """Return the time in New York, and the next opening and close."""
        now_ns, session = self._exchange.now_ns(), self._exchange.venue.session
        local = new_york_time(now_ns)
        zone = local.isoformat()[-6:]
        return json_response(
            {
                "timestamp": f"{local:%Y-%m-%dT%H:%M:%S}.{now_ns % SECOND_NS:09d}{zone}",
                "is_open": session.phase(now_ns) is SessionPhase.OPEN,
                "next_open": session.next_open(now_ns).isoformat(),
                "next_close": session.next_close(now_ns).isoformat(),
            }
        )

    async def calendar(self, request: web.Request) -> web.Response:
        """Return the trading days between two dates, in New York time."""
        today = new_york_time(self._exchange.now_ns()).date()
        first = _day(request, "start", today)
        last = _day(request, "end", first + timedelta(days=CALENDAR_DAYS))
        return json_response([_session_document(day) for day in trading_days(first, last)])

    async def assets(self, request: web.Request) -> web.Response:
        """Return the listed assets."""
        wanted = request.query.get("status", "active") == "active"
        wanted = wanted and request.query.get("exchange", EXCHANGE) == EXCHANGE and includes_equities(request.query)
        return json_response([asset_document(symbol) for symbol in self._symbols] if wanted else [])

    async def asset(self, request: web.Request) -> web.Response:
        """Return one asset by its symbol or id."""
        wanted = request.match_info["symbol"]
        for symbol in self._symbols:
            if wanted in {symbol, asset_id(symbol)}:
                return json_response(asset_document(symbol))
        raise ApiErrorRaised(symbol_not_found(wanted))


def _day(request: web.Request, name: str, default: date) -> date:
    try:
        return date.fromisoformat(request.query[name][:10]) if name in request.query else default
    except ValueError as error:
        raise ApiErrorRaised(invalid_request(f"invalid {name}")) from error


def _session_document(day: date) -> Document:
    return {
        "date": day.isoformat(),
        "open": "09:30",
        "close": "16:00",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": _next_session(day).isoformat(),
    }


def _next_session(day: date) -> date:
    return next(other for other in trading_days(day + timedelta(days=1), day + timedelta(days=7)))
