"""The simulated Binance venues: their endpoints, their clients, and the loop that serves them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import WSCloseCode, web
from msgspec import structs

from components.sandbox.binance.rest import RestRoutes
from components.sandbox.binance.rules import SPOT_RULES, USD_M_RULES, VenueRules
from components.sandbox.binance.session import ClientSession
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.crypto_venue import TICK_INTERVAL_S
from components.sandbox.transport.faults import CryptoFault, CryptoFaultSwitches
from components.sandbox.transport.websocket import ClientConnection, maybe_reject_handshake


class BinanceSpotVenue:
    """Simulated Binance spot."""

    rules: VenueRules = SPOT_RULES

    def __init__(
        self,
        instruments: Sequence[Instrument],
        flow: OrderFlow,
        faults: CryptoFaultSwitches,
        credentials: Credentials,
        now_ns: Callable[[], int],
        scale: float = 1.0,
    ) -> None:
        del credentials  # no endpoint here requires a key
        self.name = self.rules.name
        self.flow = flow
        self.opened_count = 0
        self._faults, self._now_ns = faults, now_ns
        self._limits = structs.replace(self.rules.limits, scale=scale)
        self._rest = RestRoutes(instruments, flow, faults, self.rules, now_ns)
        self._clients: set[ClientSession] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the websocket and REST routes."""
        websocket_routes = [
            web.get(f"{route}{path}", partial(self._serve, route=route))
            for route in self.rules.routes
            for path in ("/ws", "/ws/{streams:.*}", "/stream")
        ]
        return [*websocket_routes, *self._rest.routes()]

    async def run(self) -> None:
        """Serve the streams of all clients until cancelled."""
        while True:
            now_ns = self._now_ns()
            for client in self._clients:
                client.tick(now_ns)
            await asyncio.sleep(TICK_INTERVAL_S)

    def disconnect_all(self) -> None:
        """Drop every connection without a close handshake."""
        for client in self._clients:
            client.connection.abort()

    def announce_shutdown(self, fault: CryptoFault) -> None:
        """Send the shutdown notice to every client, and close the connections `fault.ms` later."""
        loop = asyncio.get_running_loop()
        for client in self._clients:
            client.send_shutdown_notice(self._now_ns())
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def stats(self) -> dict[str, object]:
        """Return the number of clients, their streams, and the request counts."""
        return {
            "clients": len(self._clients),
            "opened": self.opened_count,
            "streams": sorted(name for client in self._clients for name in client.subscriptions),
            "requests": self._rest.requests_count,
            "refused_by_weight": self._rest.weights.rejected_count,
        }

    async def _serve(self, request: web.Request, route: str) -> web.StreamResponse:
        maybe_reject_handshake(self._faults, self.name)
        self.opened_count += 1
        connection = ClientConnection(self.name, self._faults, self._limits, self.opened_count, self._now_ns)
        client = ClientSession(connection, self.flow, self.rules, route)
        client.is_combined = request.path.endswith("/stream")
        client.open_streams(_requested_streams(request), self._now_ns())
        self._clients.add(client)
        try:
            async for text in connection.messages(request):
                client.on_message(text, self._now_ns())
        finally:
            self._clients.discard(client)
        return connection.response


class BinanceFuturesVenue(BinanceSpotVenue):
    """Simulated Binance USD-M futures."""

    rules = USD_M_RULES


def _requested_streams(request: web.Request) -> list[str]:
    # The address may name streams already.
    text = request.match_info.get("streams") or request.query.get("streams", "")
    return [name for name in text.split("/") if name]
