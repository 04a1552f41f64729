"""OKX as the sandbox runs it: its endpoints, its beat, and the operator's switches."""

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import WSCloseCode, web

from components.sandbox.core.refusals import invalid
from components.sandbox.flow.connection import Connection, Limits, Unwelcome, may_refuse
from components.sandbox.flow.faults import FlowFault, FlowFaults
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.venue import MOVE_EVERY_S
from components.sandbox.okx.board import Board
from components.sandbox.okx.channels import BUSINESS, PUBLIC
from components.sandbox.okx.clients import Client
from components.sandbox.okx.frames import notice
from components.sandbox.okx.limits import of_connects
from components.sandbox.okx.modes import Modes
from components.sandbox.okx.rest import VENUE, RestRoutes
from components.sandbox.okx.sockets import Dialogue
from components.sandbox.server.replies import Refused
from components.sandbox.server.store import Credentials

IDLE_S, IDLE_CODE = 30.0, 4004
EVERY_SYMBOL = "*"


class OkxVenue:
    """A venue with per-symbol sequence ids and contracts as sizes."""

    name = VENUE

    def __init__(
        self,
        listings: Iterable[Listing],
        flow: OrderFlow,
        faults: FlowFaults,
        credentials: Credentials,
        now_ns: Callable[[], int],
        scale: float = 1.0,
    ) -> None:
        self.flow = flow
        self._symbols = tuple(one.symbol for one in listings)
        self._faults, self._credentials, self._now_ns = faults, credentials, now_ns
        self._limits = Limits(idle_s=IDLE_S, idle_code=IDLE_CODE, scale=scale)
        self._modes = Modes()
        self._board = Board(flow, self._modes, now_ns, scale)
        self._rest = RestRoutes(flow, faults, self._modes, self._board.numbering, now_ns)
        self._clients: list[Client] = []
        self._connects, self._opened_count = of_connects(), 0

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints by the real venue's paths."""
        return [
            web.get("/ws/v5/public", self.serve_public),
            web.get("/ws/v5/business", self.serve_business),
            *self._rest.routes(),
        ]

    async def move(self) -> None:
        """Say what is due to every client, for ever."""
        while True:
            self.beat(self._now_ns())
            await asyncio.sleep(MOVE_EVERY_S)

    def beat(self, now_ns: int) -> None:
        """Say what is due now."""
        self._board.beat(now_ns)
        self._rest.caches.beat(now_ns)
        for client in self._clients:
            client.connection.tick(now_ns)

    def drop(self) -> None:
        """Cut every client off without a word."""
        for client in self._clients:
            client.connection.cut()

    def shut_down(self, fault: FlowFault) -> None:
        """Announce an upgrade to every client, and close them `fault.ms` later."""
        loop = asyncio.get_running_loop()
        for client in self._clients:
            client.connection.say(notice(client.connection_id))
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def heard(self) -> dict[str, object]:
        """State how many clients there are and what they hear."""
        return {
            "clients": len(self._clients),
            "opened": self._opened_count,
            "streams": self._board.heard(),
            "requests": self._rest.requests_count,
        }

    def set_mode(self, name: str, value: str) -> None:
        """Change a manner, or do one thing now: `sequence_reset` and `snapshot`, for a symbol or `*`."""
        match name:
            case "sequence_reset":
                for symbol in self._named(value):
                    self._board.numbering[symbol].set_back(self.flow.last_id(symbol))
            case "snapshot":
                for symbol in self._named(value):
                    self._board.resend(symbol)
            case _:
                self._modes.set(name, value)

    def flow_id(self, symbol: str, sequence: int) -> int:
        """Turn an id that was sent into the flow's: after a sequence reset they are not the same."""
        return self._board.numbering[symbol].meant(sequence, self.flow.last_id(symbol))

    async def serve_public(self, request: web.Request) -> web.StreamResponse:
        """Serve a client of books, trades and tickers."""
        return await self._serve(request, PUBLIC)

    async def serve_business(self, request: web.Request) -> web.StreamResponse:
        """Serve a client of single fills."""
        return await self._serve(request, BUSINESS)

    async def _serve(self, request: web.Request, endpoint: str) -> web.StreamResponse:
        may_refuse(self._faults, VENUE)
        if not self._connects.take(self._now_ns()):
            raise Unwelcome(429, None)
        self._opened_count += 1
        client = Client(Connection(VENUE, self._faults, self._limits, self._opened_count, self._now_ns))
        dialogue = Dialogue(client, endpoint, self._board, self._modes, self._credentials)
        self._clients.append(client)
        try:
            async for text in client.connection.messages(request):
                dialogue.hear(text, self._now_ns())
        finally:
            self._clients.remove(client)
            self._board.leave(client)
        return client.connection.response

    def _named(self, value: str) -> tuple[str, ...]:
        if value != EVERY_SYMBOL and value not in self._symbols:
            raise Refused(invalid(f"no symbol {value!r}, there are {', '.join(self._symbols)}"))
        return self._symbols if value == EVERY_SYMBOL else (value,)
