"""The two Binance venues put together: their doors, their clients, and the beat that serves them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import WSCloseCode, web
from msgspec import structs

from components.sandbox.binance.client import Client
from components.sandbox.binance.rest import RestRoutes
from components.sandbox.binance.rules import SPOT, USD_M, Rules
from components.sandbox.flow.connection import Connection, may_refuse
from components.sandbox.flow.faults import FlowFault, FlowFaults
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.venue import MOVE_EVERY_S
from components.sandbox.server.store import Credentials


class BinanceVenue:
    """Binance spot."""

    rules: Rules = SPOT

    def __init__(
        self,
        listings: Sequence[Listing],
        flow: OrderFlow,
        faults: FlowFaults,
        credentials: Credentials,
        now_ns: Callable[[], int],
        scale: float = 1.0,
    ) -> None:
        del credentials  # nothing here asks for a key
        self.name = self.rules.name
        self.flow = flow
        self.opened_count = 0
        self._faults, self._now_ns = faults, now_ns
        self._limits = structs.replace(self.rules.limits, scale=scale)
        self._rest = RestRoutes(listings, flow, faults, self.rules, now_ns)
        self._clients: set[Client] = set()

    def routes(self) -> list[web.RouteDef]:
        """List its endpoints."""
        doors = [
            web.get(f"{route}{path}", partial(self._serve, route=route))
            for route in self.rules.routes
            for path in ("/ws", "/ws/{streams:.*}", "/stream")
        ]
        return [*doors, *self._rest.routes()]

    async def move(self) -> None:
        """Serve every client's streams, for ever."""
        while True:
            now_ns = self._now_ns()
            for client in self._clients:
                client.tick(now_ns)
            await asyncio.sleep(MOVE_EVERY_S)

    def drop(self) -> None:
        """Cut every client off without a word."""
        for client in self._clients:
            client.connection.cut()

    def shut_down(self, fault: FlowFault) -> None:
        """Tell every client that this server goes, and close them later."""
        loop = asyncio.get_running_loop()
        for client in self._clients:
            client.warn(self._now_ns())
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def heard(self) -> dict[str, object]:
        """State how many clients there are and what they hear."""
        return {
            "clients": len(self._clients),
            "opened": self.opened_count,
            "streams": sorted(name for client in self._clients for name in client.asked),
            "requests": self._rest.requests_count,
            "refused_by_weight": self._rest.weights.refused_count,
        }

    async def _serve(self, request: web.Request, route: str) -> web.StreamResponse:
        may_refuse(self._faults, self.name)
        self.opened_count += 1
        connection = Connection(self.name, self._faults, self._limits, self.opened_count, self._now_ns)
        client = Client(connection, self.flow, self.rules, route)
        client.is_combined = request.path.endswith("/stream")
        client.enter(_named(request), self._now_ns())
        self._clients.add(client)
        try:
            async for text in connection.messages(request):
                client.hear(text, self._now_ns())
        finally:
            self._clients.discard(client)
        return connection.response


class BinanceUmVenue(BinanceVenue):
    """Binance USD-M futures."""

    rules = USD_M


def _named(request: web.Request) -> list[str]:
    # Streams can be named by the address already.
    text = request.match_info.get("streams") or request.query.get("streams", "")
    return [name for name in text.split("/") if name]
