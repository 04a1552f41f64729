"""Deribit as the sandbox runs it: its endpoints, its beat, and the operator's switches."""

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import WSCloseCode, web

from components.sandbox.deribit.board import Board
from components.sandbox.deribit.clients import Client
from components.sandbox.deribit.credits import for_ordinary_calls
from components.sandbox.deribit.logins import Logins
from components.sandbox.deribit.modes import Modes
from components.sandbox.deribit.queries import VENUE, Queries
from components.sandbox.deribit.refusals import TOO_MANY_REQUESTS, Refusal
from components.sandbox.deribit.rpc import answer, heartbeat
from components.sandbox.deribit.sockets import Dialogue
from components.sandbox.flow.connection import Connection, Limits, Unwelcome, may_refuse
from components.sandbox.flow.faults import FlowFault, FlowFaults
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.rest import mishap
from components.sandbox.flow.venue import MOVE_EVERY_S
from components.sandbox.server.store import Credentials

CONNECTIONS_MAX = 32
TOO_MANY, BAD = 429, 400


class DeribitVenue:
    """A venue with venue-wide change ids, JSON numbers and amounts in dollars where it is inverse."""

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
        self._faults, self._now_ns, self._scale = faults, now_ns, scale
        self._board, self._queries = Board(flow, now_ns), Queries(listings, flow, faults, now_ns)
        self._logins, self._modes = Logins(credentials), Modes()
        self._calling = for_ordinary_calls(now_ns())
        self._clients: list[Client] = []
        self._opened_count = self._requests_count = 0

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints by the real venue's paths."""
        return [web.get("/ws/api/v2", self.serve), web.get("/api/v2/public/{method}", self.ask)]

    async def move(self) -> None:
        """Say what is due to every client, for ever."""
        while True:
            self.beat(self._now_ns())
            await asyncio.sleep(MOVE_EVERY_S)

    def beat(self, now_ns: int) -> None:
        """Say what is due now."""
        self._board.beat(now_ns)
        for client in self._clients:
            client.connection.tick(now_ns)
            self._feel(client, now_ns)

    def drop(self) -> None:
        """Cut every client off without a word."""
        for client in self._clients:
            client.connection.cut()

    def shut_down(self, fault: FlowFault) -> None:
        """Tell who listens that the platform goes down, and close everybody `fault.ms` later."""
        self._board.announce_maintenance()
        loop = asyncio.get_running_loop()
        for client in self._clients:
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def heard(self) -> dict[str, object]:
        """State how many clients there are and what they hear."""
        return {
            "clients": len(self._clients),
            "opened": self._opened_count,
            "streams": self._board.heard(),
            "requests": self._requests_count,
        }

    def set_mode(self, name: str, value: str) -> None:
        """Change a manner: `unknown_channel` is omit, 11050 or -32602."""
        self._modes.set(name, value)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a client until it ends."""
        may_refuse(self._faults, VENUE)
        if len(self._clients) >= CONNECTIONS_MAX:
            raise Unwelcome(TOO_MANY, None)
        self._opened_count += 1
        connection = Connection(VENUE, self._faults, Limits(), self._opened_count, self._now_ns)
        client = Client(connection, self._now_ns(), self._scale)
        dialogue = Dialogue(client, self._board, self._queries, self._logins, self._modes)
        self._clients.append(client)
        try:
            async for text in connection.messages(request):
                dialogue.hear(text, self._now_ns(), self._now_ns)
        finally:
            self._clients.remove(client)
            self._board.leave(client)
        return connection.response

    async def ask(self, request: web.Request) -> web.Response:
        """Answer a public call over HTTP."""
        self._requests_count += 1
        in_ns, method, params = self._now_ns(), request.match_info["method"], dict(request.query)
        if not self._calling.spend(in_ns):
            return self._reply(TOO_MANY_REQUESTS, in_ns, TOO_MANY)
        symbol = params.get("instrument_name", "*")
        if (failed := await mishap(self._faults, VENUE, symbol)) is not None:
            return failed
        outcome = self._logins.log_in(params) if method == "auth" else self._queries.answer(f"public/{method}", params)
        return self._reply(outcome, in_ns, BAD if isinstance(outcome, Refusal) else 200)

    def _reply(self, outcome: object, in_ns: int, status: int) -> web.Response:
        body = answer(None, outcome, in_ns, self._now_ns())
        return web.Response(body=body, status=status, content_type="application/json")

    def _feel(self, client: Client, now_ns: int) -> None:
        if client.pulse is None or (lives := client.pulse.beat(now_ns)) is None:
            return
        if lives:
            client.connection.say(heartbeat("heartbeat"))
            client.connection.say(heartbeat("test_request"))
        else:
            client.pulse = None
            client.connection.close(WSCloseCode.POLICY_VIOLATION)
