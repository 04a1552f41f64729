"""OKX over HTTP: instruments by type, and books from caches of different age."""

from collections.abc import Callable, Mapping

from aiohttp import web

from components.sandbox.flow.faults import FlowFaults
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.rest import mishap, snapshot_id
from components.sandbox.okx.caches import Caches
from components.sandbox.okx.channels import BOOK_DEPTH_MAX
from components.sandbox.okx.frames import levels
from components.sandbox.okx.instruments import TYPES, family, instrument
from components.sandbox.okx.limits import of_books, of_instruments
from components.sandbox.okx.lines import MILLISECOND_NS
from components.sandbox.okx.modes import Modes
from components.sandbox.okx.numbering import Numbering
from components.sandbox.server.replies import reply

VENUE = "okx"
Numberings = Mapping[str, Numbering]


class RestRoutes:
    """The public REST endpoints."""

    def __init__(
        self, flow: OrderFlow, faults: FlowFaults, modes: Modes, numbering: Numberings, now_ns: Callable[[], int]
    ) -> None:
        self.caches = Caches(flow)
        self.requests_count = 0
        self._flow, self._faults, self._modes, self._numbering, self._now_ns = flow, faults, modes, numbering, now_ns
        self._books, self._instruments = of_books(), of_instruments()

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints."""
        return [
            web.get("/api/v5/public/time", self.time),
            web.get("/api/v5/public/instruments", self.instruments),
            web.get("/api/v5/market/books", self.books),
        ]

    async def time(self, _: web.Request) -> web.Response:
        """Tell the time."""
        return _good([{"ts": str(self._now_ns() // MILLISECOND_NS)}])

    async def instruments(self, request: web.Request) -> web.Response:
        """List the instruments of a type, of a family where one is named."""
        self.requests_count += 1
        if not self._instruments.take(self._now_ns()):
            return _too_many()
        if (failed := await mishap(self._faults, VENUE)) is not None:
            return failed
        wanted, group = request.query.get("instType", ""), request.query.get("instFamily", "")
        if wanted not in TYPES.values():
            return _bad("51000", "Parameter instType error") if wanted else _missing("instType")
        if wanted == "OPTION" and not group:
            return _missing("instFamily")
        found = [one for one in self._flow.listings.values() if _is_of(one, wanted, group)]
        return _good([instrument(one) for one in found])

    async def books(self, request: web.Request) -> web.Response:
        """Show a book as one of the servers holds it."""
        self.requests_count += 1
        if not self._books.take(self._now_ns()):
            return _too_many()
        symbol, depth = request.query.get("instId", ""), request.query.get("sz", "1")
        if (failed := await mishap(self._faults, VENUE, symbol)) is not None:
            return failed
        if symbol not in self._flow.listings:
            return _bad("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        if not depth.isdecimal() or not 1 <= int(depth) <= BOOK_DEPTH_MAX:
            return _bad("51000", "Parameter sz error")
        return _good([self._book(symbol, int(depth), await self.caches.flow_id(symbol))])

    def _book(self, symbol: str, depth: int, cached_id: int) -> dict[str, object]:
        lag = self._flow.last_id(symbol) - cached_id
        flow_id = snapshot_id(self._flow, self._faults, VENUE, symbol, lag)
        bids, asks = self._flow.book_at(symbol, flow_id).top(depth)
        sequence = {"seqId": self._numbering[symbol].sent(flow_id)} if self._modes.rest_seq_id else {}
        return {"asks": levels(asks), "bids": levels(bids), "ts": str(self._now_ns() // MILLISECOND_NS), **sequence}


def _is_of(listing: Listing, wanted: str, group: str) -> bool:
    return TYPES[listing.kind] == wanted and group in {"", family(listing)}


def _good(data: list[dict[str, str]] | list[dict[str, object]]) -> web.Response:
    return reply({"code": "0", "data": data, "msg": ""})


def _bad(code: str, message: str, status: int = 200) -> web.Response:
    return reply({"code": code, "data": [], "msg": message}, status)


def _missing(parameter: str) -> web.Response:
    return _bad("50014", f"Parameter {parameter} can not be empty", 400)


def _too_many() -> web.Response:
    return _bad("50011", "Too Many Requests", 429)
