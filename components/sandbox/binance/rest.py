"""REST endpoints of the simulated Binance venues: weighted, and with books that may lag behind the stream."""

from collections.abc import Callable, Sequence

from aiohttp import web

from components.sandbox.binance.instruments import exchange_info
from components.sandbox.binance.messages import MessageEncoder
from components.sandbox.binance.rules import VenueRules
from components.sandbox.numerics import MILLISECOND_NS, draws
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.fault_injection import inject_rest_fault, snapshot_id
from components.sandbox.transport.faults import CryptoFaultSwitches
from components.sandbox.transport.http_server import json_response
from components.sandbox.transport.rate_limits import RequestWeights

LAG_UPDATES_MAX = 4  # the nodes behind the real load balancer are not all up to date
DEPTH_DEFAULT = {False: 100, True: 500}


class RestRoutes:
    """The public REST endpoints."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        flow: OrderFlow,
        faults: CryptoFaultSwitches,
        rules: VenueRules,
        now_ns: Callable[[], int],
    ) -> None:
        self.weights = RequestWeights(rules.weight_max)
        self.requests_count = 0
        self._instruments = instruments
        self._flow, self._faults, self._rules, self._now_ns = flow, faults, rules, now_ns
        self._encoder = MessageEncoder(rules)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        prefix = self._rules.rest_prefix
        return [
            web.get(f"{prefix}/ping", self.ping),
            web.get(f"{prefix}/time", self.time),
            web.get(f"{prefix}/exchangeInfo", self.exchange_info),
            web.get(f"{prefix}/depth", self.depth),
        ]

    async def ping(self, _: web.Request) -> web.Response:
        """Return an empty document."""
        return await self._inject_fault("*") or self._charge(1, {})

    async def time(self, _: web.Request) -> web.Response:
        """Return the server time."""
        return await self._inject_fault("*") or self._charge(1, {"serverTime": self._now_ns() // MILLISECOND_NS})

    async def exchange_info(self, request: web.Request) -> web.Response:
        """Return the exchange information of all symbols, or of one."""
        if failed := await self._inject_fault("*"):
            return failed
        wanted = request.query.get("symbol")
        listings = [one for one in self._instruments if wanted in {None, one.symbol}]
        if not listings:
            return _error(-1121, "Invalid symbol.")
        return self._charge(
            self._rules.info_weight, exchange_info(self._rules, listings, self._now_ns() // MILLISECOND_NS)
        )

    async def depth(self, request: web.Request) -> web.Response:
        """Return a snapshot of one book; its id may lie within a batch of the stream, or be older than the stream."""
        symbol = request.query.get("symbol", "")
        if failed := await self._inject_fault(symbol or "*"):
            return failed
        if not symbol:
            return _error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self._flow.instruments:
            return _error(-1121, "Invalid symbol.")
        limit = request.query.get("limit", str(DEPTH_DEFAULT[self._rules.is_futures]))
        if not limit.isdecimal() or not self._rules.allows_depth(int(limit)):
            return _error(-1130, "Data sent for parameter 'limit' is not valid.")
        return self._charge(self._rules.depth_weight(int(limit)), self._snapshot(symbol, int(limit)))

    def _snapshot(self, symbol: str, limit: int) -> dict[str, object]:
        lag = draws(self.requests_count, symbol, 0)[0] % LAG_UPDATES_MAX
        at_id = snapshot_id(self._flow, self._faults, self._rules.name, symbol, lag)
        book, now_ms = self._flow.book_at(symbol, at_id), self._now_ns() // MILLISECOND_NS
        times = {"E": now_ms, "T": now_ms} if self._rules.is_futures else {}
        return {"lastUpdateId": book.id, **times, **self._encoder.book_sides(*book.top(limit))}

    async def _inject_fault(self, symbol: str) -> web.Response | None:
        self.requests_count += 1
        return await inject_rest_fault(self._faults, self._rules.name, symbol)

    def _charge(self, weight: int, document: dict[str, object]) -> web.Response:
        check = self.weights.spend(weight, self._now_ns())
        headers = {"X-MBX-USED-WEIGHT": str(check.used), "X-MBX-USED-WEIGHT-1M": str(check.used)}
        if check.status == 200:
            return json_response(document, headers=headers)
        headers["Retry-After"] = str(check.retry_after_s)
        return json_response({"code": -1003, "msg": "Too many requests."}, check.status, headers)


def _error(code: int, message: str) -> web.Response:
    return json_response({"code": code, "msg": message}, 400)
