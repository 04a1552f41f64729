"""The simulated Deribit: its endpoints, its loop, and the behavior that an operator can change."""

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import WSCloseCode, web

from components.sandbox.deribit.messages import TOO_MANY_REQUESTS, RpcError, encode_heartbeat, encode_reply
from components.sandbox.deribit.public_methods import VENUE, PublicMethods, TokenIssuer
from components.sandbox.deribit.publisher import Client, Publisher, call_bucket
from components.sandbox.deribit.session import BehaviorSettings, ClientSession
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.crypto_venue import TICK_INTERVAL_S
from components.sandbox.transport.fault_injection import inject_rest_fault
from components.sandbox.transport.faults import CryptoFault, CryptoFaultSwitches
from components.sandbox.transport.websocket import (
    ClientConnection,
    ConnectionLimits,
    HandshakeRejected,
    maybe_reject_handshake,
)

CONNECTIONS_MAX = 32
STATUS_TOO_MANY_REQUESTS, STATUS_BAD_REQUEST = 429, 400


class DeribitVenue:
    """A venue with venue-wide change ids, JSON numbers, and amounts in dollars for inverse instruments."""

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
        self._faults, self._now_ns, self._scale = faults, now_ns, scale
        self._publisher = Publisher(flow, now_ns)
        self._public_methods = PublicMethods(instruments, flow, faults, now_ns)
        self._token_issuer, self._behavior = TokenIssuer(credentials), BehaviorSettings()
        self._rest_credits = call_bucket(now_ns())
        self._clients: list[Client] = []
        self._opened_count = self._requests_count = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes by the real venue's paths."""
        return [web.get("/ws/api/v2", self.serve_websocket), web.get("/api/v2/public/{method}", self.serve_rest)]

    async def run(self) -> None:
        """Send what is due to every client until cancelled."""
        while True:
            self.tick(self._now_ns())
            await asyncio.sleep(TICK_INTERVAL_S)

    def tick(self, now_ns: int) -> None:
        """Send what is due now."""
        self._publisher.tick(now_ns)
        for client in self._clients:
            client.connection.tick(now_ns)
            self._tick_heartbeat(client, now_ns)

    def disconnect_all(self) -> None:
        """Drop every connection without a close handshake."""
        for client in self._clients:
            client.connection.abort()

    def announce_shutdown(self, fault: CryptoFault) -> None:
        """Notify the subscribers of the platform state, and close all connections `fault.ms` later."""
        self._publisher.announce_maintenance()
        loop = asyncio.get_running_loop()
        for client in self._clients:
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def stats(self) -> dict[str, object]:
        """Return the number of clients, their channels, and the request count."""
        return {
            "clients": len(self._clients),
            "opened": self._opened_count,
            "streams": self._publisher.subscribed_channels(),
            "requests": self._requests_count,
        }

    def set_mode(self, name: str, value: str) -> None:
        """Change a behavior setting: `unknown_channel` is omit, 11050 or -32602."""
        self._behavior.set(name, value)

    async def serve_websocket(self, request: web.Request) -> web.StreamResponse:
        """Serve a websocket client until it disconnects."""
        maybe_reject_handshake(self._faults, VENUE)
        if len(self._clients) >= CONNECTIONS_MAX:
            raise HandshakeRejected(STATUS_TOO_MANY_REQUESTS, None)
        self._opened_count += 1
        connection = ClientConnection(VENUE, self._faults, ConnectionLimits(), self._opened_count, self._now_ns)
        client = Client(connection, self._now_ns(), self._scale)
        session = ClientSession(client, self._publisher, self._public_methods, self._token_issuer, self._behavior)
        self._clients.append(client)
        try:
            async for text in connection.messages(request):
                session.on_message(text, self._now_ns(), self._now_ns)
        finally:
            self._clients.remove(client)
            self._publisher.unsubscribe_all(client)
        return connection.response

    async def serve_rest(self, request: web.Request) -> web.Response:
        """Reply to a public call over HTTP."""
        self._requests_count += 1
        in_ns, method, params = self._now_ns(), request.match_info["method"], dict(request.query)
        if not self._rest_credits.try_acquire(in_ns):
            return self._reply(TOO_MANY_REQUESTS, in_ns, STATUS_TOO_MANY_REQUESTS)
        symbol = params.get("instrument_name", "*")
        if (failed := await inject_rest_fault(self._faults, VENUE, symbol)) is not None:
            return failed
        outcome = (
            self._token_issuer.authenticate(params)
            if method == "auth"
            else self._public_methods.call(f"public/{method}", params)
        )
        return self._reply(outcome, in_ns, STATUS_BAD_REQUEST if isinstance(outcome, RpcError) else 200)

    def _reply(self, outcome: object, in_ns: int, status: int) -> web.Response:
        body = encode_reply(None, outcome, in_ns, self._now_ns())
        return web.Response(body=body, status=status, content_type="application/json")

    def _tick_heartbeat(self, client: Client, now_ns: int) -> None:
        if client.heartbeat is None or (is_alive := client.heartbeat.tick(now_ns)) is None:
            return
        if is_alive:
            client.connection.send(encode_heartbeat("heartbeat"))
            client.connection.send(encode_heartbeat("test_request"))
        else:
            client.heartbeat = None
            client.connection.close(WSCloseCode.POLICY_VIOLATION)
