"""A crypto venue of the sandbox behind a real server on a free port, its order flow stepped by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Protocol

import httpx
import msgspec
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect

from components.runtime.clock import SystemClock
from components.sandbox.flow.faults import FlowFault, FlowFaults
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import IdSpace, OrderFlow
from components.sandbox.flow.venue import CryptoVenue
from components.sandbox.server.doors import HOST, Doors
from components.sandbox.server.store import Credentials

CREDENTIALS = Credentials(account_id="account", key="key", secret="secret", opened_at_ns=0)
Frame = dict[str, Any]
Book = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


class Settable(CryptoVenue, Protocol):
    """A venue with manners to set."""

    def set_mode(self, name: str, value: str) -> None: ...


class Made(Protocol):
    """How every venue is constructed."""

    def __call__(
        self,
        listings: Iterable[Listing],
        flow: OrderFlow,
        faults: FlowFaults,
        credentials: Credentials,
        now_ns: Callable[[], int],
        scale: float = 1.0,
    ) -> Settable: ...


class Served:
    """A venue that is being served."""

    def __init__(self, venue: Settable, faults: FlowFaults, port: int) -> None:
        self.venue, self.faults = venue, faults
        self.http_url, self.ws_url = f"http://{HOST}:{port}", f"ws://{HOST}:{port}"

    def step(self, symbol: str, count: int = 1) -> None:
        """Let something happen to one symbol."""
        for _ in range(count):
            self.venue.flow.step(symbol, SystemClock().now_ns())

    def step_until_trade(self, symbol: str) -> None:
        """Let things happen until something is traded."""
        before = self.venue.flow.prints_count(symbol)
        while self.venue.flow.prints_count(symbol) == before:
            self.step(symbol)

    def arm(self, **fault: Any) -> None:
        """Switch a fault on."""
        self.faults.arm(msgspec.convert(fault, FlowFault))

    async def get(self, path: str, **query: str) -> httpx.Response:
        """Ask over HTTP."""
        async with httpx.AsyncClient(base_url=self.http_url, timeout=5) as client:
            return await client.get(path, params=query)


class Peer:
    """A client of a venue: says documents, reads documents."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, document: Frame) -> None:
        """Send one document."""
        await self.socket.send(json.dumps(document))

    async def hear_text(self) -> str:
        """Read the next frame as it is."""
        async with asyncio.timeout(5):
            return str(await self.socket.recv())

    async def hear(self) -> Frame:
        """Read the next frame as a document, its fractions exact."""
        frame: Frame = json.loads(await self.hear_text(), parse_float=Decimal)
        return frame

    async def hear_until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Read until a frame is the wanted one."""
        while not wanted(frame := await self.hear()):
            pass
        return frame

    async def closed(self) -> int | None:
        """Read until the venue closes; give its code."""
        async with asyncio.timeout(5):
            await self.socket.wait_closed()
        return self.socket.close_code


@asynccontextmanager
async def served(
    made: Made, listings: Iterable[Listing], ids: IdSpace, scale: float = 1.0, seed: int = 7
) -> AsyncIterator[Served]:
    """Serve a venue until the end of the block."""
    doors, faults, application = Doors(), FlowFaults(), web.Application()
    flow = OrderFlow(listings, seed, ids)
    venue = made(listings, flow, faults, CREDENTIALS, SystemClock().now_ns, scale)
    application.add_routes(venue.routes())
    port = await doors.open(application, 0)
    moving = asyncio.create_task(venue.move())
    try:
        yield Served(venue, faults, port)
    finally:
        moving.cancel()
        venue.drop()
        await doors.close()


@asynccontextmanager
async def peer(url: str) -> AsyncIterator[Peer]:
    """Connect a client until the end of the block."""
    async with connect(url, ping_interval=None, max_size=1 << 24, close_timeout=1) as socket:
        yield Peer(socket)
