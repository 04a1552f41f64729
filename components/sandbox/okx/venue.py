"""The simulated OKX: its endpoints, its loop, and the behavior that an operator can change."""

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import WSCloseCode, web

from components.sandbox.okx.book_channels import BUSINESS, PUBLIC
from components.sandbox.okx.messages import BehaviorSettings, upgrade_notice
from components.sandbox.okx.publisher import Client, Publisher
from components.sandbox.okx.rest import VENUE, RestRoutes
from components.sandbox.okx.session import ClientSession
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.crypto_venue import TICK_INTERVAL_S
from components.sandbox.transport.faults import CryptoFault, CryptoFaultSwitches
from components.sandbox.transport.http_server import AdminError
from components.sandbox.transport.rate_limits import SlidingWindowLimit
from components.sandbox.transport.websocket import (
    ClientConnection,
    ConnectionLimits,
    HandshakeRejected,
    maybe_reject_handshake,
)

IDLE_S, IDLE_CODE = 30.0, 4004
EVERY_SYMBOL = "*"


class OkxVenue:
    """A venue with per-symbol sequence ids and sizes in contracts."""

    name = VENUE

    def __init__(
        self,
        instruments: Iterable[Instrument],
        flow: OrderFlow,
        faults: CryptoFaultSwitches,
        credentials: Credentials,
        now_ns: Callable[[], int],
        scale: float = 1.0,
    ) -> None:
        self.flow = flow
        self._symbols = tuple(one.symbol for one in instruments)
        self._faults, self._credentials, self._now_ns = faults, credentials, now_ns
        self._limits = ConnectionLimits(idle_timeout_s=IDLE_S, idle_close_code=IDLE_CODE, scale=scale)
        self._behavior = BehaviorSettings()
        self._publisher = Publisher(flow, self._behavior, now_ns, scale)
        self._rest = RestRoutes(flow, faults, self._behavior, self._publisher.sequence_ids, now_ns)
        self._clients: list[Client] = []
        self._connect_limit, self._opened_count = connect_limit(), 0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes by the real venue's paths."""
        return [
            web.get("/ws/v5/public", self.serve_public),
            web.get("/ws/v5/business", self.serve_business),
            *self._rest.routes(),
        ]

    async def run(self) -> None:
        """Send what is due to every client until cancelled."""
        while True:
            self.tick(self._now_ns())
            await asyncio.sleep(TICK_INTERVAL_S)

    def tick(self, now_ns: int) -> None:
        """Send what is due now."""
        self._publisher.tick(now_ns)
        self._rest.caches.tick(now_ns)
        for client in self._clients:
            client.connection.tick(now_ns)

    def disconnect_all(self) -> None:
        """Drop every connection without a close handshake."""
        for client in self._clients:
            client.connection.abort()

    def announce_shutdown(self, fault: CryptoFault) -> None:
        """Send the upgrade notice to every client, and close the connections `fault.ms` later."""
        loop = asyncio.get_running_loop()
        for client in self._clients:
            client.connection.send(upgrade_notice(client.connection_id))
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def stats(self) -> dict[str, object]:
        """Return the number of clients, their channels, and the request count."""
        return {
            "clients": len(self._clients),
            "opened": self._opened_count,
            "streams": self._publisher.subscribed_channels(),
            "requests": self._rest.requests_count,
        }

    def set_mode(self, name: str, value: str) -> None:
        """Change a behavior setting, or trigger `sequence_reset` or `snapshot` now, for a symbol or `*`."""
        match name:
            case "sequence_reset":
                for symbol in self._symbols_for(value):
                    self._publisher.sequence_ids[symbol].reset(self.flow.last_id(symbol))
            case "snapshot":
                for symbol in self._symbols_for(value):
                    self._publisher.resend_snapshot(symbol)
            case _:
                self._behavior.set(name, value)

    def flow_id(self, symbol: str, sequence: int) -> int:
        """Return the flow's id of an id that was sent; after a sequence reset they differ."""
        return self._publisher.sequence_ids[symbol].from_wire(sequence, self.flow.last_id(symbol))

    async def serve_public(self, request: web.Request) -> web.StreamResponse:
        """Serve a client of books, trades and tickers."""
        return await self._serve(request, PUBLIC)

    async def serve_business(self, request: web.Request) -> web.StreamResponse:
        """Serve a client of single fills."""
        return await self._serve(request, BUSINESS)

    async def _serve(self, request: web.Request, endpoint: str) -> web.StreamResponse:
        maybe_reject_handshake(self._faults, VENUE)
        if not self._connect_limit.try_acquire(self._now_ns()):
            raise HandshakeRejected(429, None)
        self._opened_count += 1
        client = Client(ClientConnection(VENUE, self._faults, self._limits, self._opened_count, self._now_ns))
        session = ClientSession(client, endpoint, self._publisher, self._behavior, self._credentials)
        self._clients.append(client)
        try:
            async for text in client.connection.messages(request):
                session.on_message(text, self._now_ns())
        finally:
            self._clients.remove(client)
            self._publisher.unsubscribe_all(client)
        return client.connection.response

    def _symbols_for(self, value: str) -> tuple[str, ...]:
        if value != EVERY_SYMBOL and value not in self._symbols:
            raise AdminError(f"no symbol {value!r}, there are {', '.join(self._symbols)}")
        return self._symbols if value == EVERY_SYMBOL else (value,)


def connect_limit() -> SlidingWindowLimit:
    """Return the limit of three handshakes per second."""
    return SlidingWindowLimit(3, 1)
