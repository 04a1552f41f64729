"""REST endpoints of the simulated OKX.

Books come from two cached servers, one of which is always behind the other.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import cycle

from aiohttp import web

from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.okx.book_channels import BOOK_DEPTH_MAX, SequenceIds
from components.sandbox.okx.instruments import TYPE_NAMES, encode_instrument, family
from components.sandbox.okx.messages import BehaviorSettings, level_rows
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.fault_injection import inject_rest_fault, snapshot_id
from components.sandbox.transport.faults import CryptoFaultSwitches
from components.sandbox.transport.http_server import json_response
from components.sandbox.transport.rate_limits import SlidingWindowLimit

REFRESH_NS = 50 * MILLISECOND_NS
REFRESHES_BEHIND = 3  # of the second server, compared with the first
VENUE = "okx"
SequenceIdsBySymbol = Mapping[str, SequenceIds]


class RestCaches:
    """The flow id of the cached book of each symbol, for both servers."""

    def __init__(self, flow: OrderFlow) -> None:
        self._flow = flow
        self._ids = {symbol: deque([flow.last_id(symbol)], REFRESHES_BEHIND + 1) for symbol in flow.instruments}
        self._server = cycle((-1, 0))
        self._period = 0
        self._refreshed = asyncio.Event()

    def tick(self, now_ns: int) -> None:
        """Refresh the caches if a period is over, and release the waiting requests."""
        if now_ns // REFRESH_NS == self._period:
            return
        self._period = now_ns // REFRESH_NS
        for symbol, ids in self._ids.items():
            ids.append(self._flow.last_id(symbol))
        self._refreshed.set()
        self._refreshed = asyncio.Event()

    async def next_server_id(self, symbol: str) -> int:
        """Wait for the next refresh, then return the cached id of the server whose turn it is."""
        await self._refreshed.wait()
        return self._ids[symbol][next(self._server)]


class RestRoutes:
    """The public REST endpoints."""

    def __init__(
        self,
        flow: OrderFlow,
        faults: CryptoFaultSwitches,
        behavior: BehaviorSettings,
        sequence_ids: SequenceIdsBySymbol,
        now_ns: Callable[[], int],
    ) -> None:
        self.caches = RestCaches(flow)
        self.requests_count = 0
        self._flow, self._faults, self._behavior = flow, faults, behavior
        self._sequence_ids, self._now_ns = sequence_ids, now_ns
        self._book_limit, self._instrument_limit = book_request_limit(), instrument_request_limit()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/api/v5/public/time", self.time),
            web.get("/api/v5/public/instruments", self.instruments),
            web.get("/api/v5/market/books", self.books),
        ]

    async def time(self, _: web.Request) -> web.Response:
        """Return the server time."""
        return _ok([{"ts": str(self._now_ns() // MILLISECOND_NS)}])

    async def instruments(self, request: web.Request) -> web.Response:
        """Return the instruments of a type, and of a family where one is named."""
        self.requests_count += 1
        if not self._instrument_limit.try_acquire(self._now_ns()):
            return _too_many()
        if (failed := await inject_rest_fault(self._faults, VENUE)) is not None:
            return failed
        wanted, group = request.query.get("instType", ""), request.query.get("instFamily", "")
        if wanted not in TYPE_NAMES.values():
            return _error("51000", "Parameter instType error") if wanted else _missing_parameter("instType")
        if wanted == "OPTION" and not group:
            return _missing_parameter("instFamily")
        found = [one for one in self._flow.instruments.values() if _matches(one, wanted, group)]
        return _ok([encode_instrument(one) for one in found])

    async def books(self, request: web.Request) -> web.Response:
        """Return a book as cached by one of the servers."""
        self.requests_count += 1
        if not self._book_limit.try_acquire(self._now_ns()):
            return _too_many()
        symbol, depth = request.query.get("instId", ""), request.query.get("sz", "1")
        if (failed := await inject_rest_fault(self._faults, VENUE, symbol)) is not None:
            return failed
        if symbol not in self._flow.instruments:
            return _error("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        if not depth.isdecimal() or not 1 <= int(depth) <= BOOK_DEPTH_MAX:
            return _error("51000", "Parameter sz error")
        return _ok([self._book(symbol, int(depth), await self.caches.next_server_id(symbol))])

    def _book(self, symbol: str, depth: int, cached_id: int) -> dict[str, object]:
        lag = self._flow.last_id(symbol) - cached_id
        flow_id = snapshot_id(self._flow, self._faults, VENUE, symbol, lag)
        bids, asks = self._flow.book_at(symbol, flow_id).top(depth)
        sequence = {"seqId": self._sequence_ids[symbol].to_wire(flow_id)} if self._behavior.rest_seq_id else {}
        return {
            "asks": level_rows(asks),
            "bids": level_rows(bids),
            "ts": str(self._now_ns() // MILLISECOND_NS),
            **sequence,
        }


def _matches(instrument: Instrument, wanted: str, group: str) -> bool:
    return TYPE_NAMES[instrument.kind] == wanted and group in {"", family(instrument)}


def _ok(data: list[dict[str, str]] | list[dict[str, object]]) -> web.Response:
    return json_response({"code": "0", "data": data, "msg": ""})


def _error(code: str, message: str, status: int = 200) -> web.Response:
    return json_response({"code": code, "data": [], "msg": message}, status)


def _missing_parameter(parameter: str) -> web.Response:
    return _error("50014", f"Parameter {parameter} can not be empty", 400)


def _too_many() -> web.Response:
    return _error("50011", "Too Many Requests", 429)


def book_request_limit() -> SlidingWindowLimit:
    """Return the limit of 40 REST books in two seconds."""
    return SlidingWindowLimit(40, 2)


def instrument_request_limit() -> SlidingWindowLimit:
    """Return the limit of 20 instrument lists in two seconds."""
    return SlidingWindowLimit(20, 2)
