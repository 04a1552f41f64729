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
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.crypto_venue import CryptoVenue
from components.sandbox.transport.faults import CryptoFault, CryptoFaultSwitches
from components.sandbox.transport.http_server import HOST, HttpServers
from tests.support.machine import scaled

CREDENTIALS = Credentials(account_id="account", key="key", secret="secret", opened_at_ns=0)
Frame = dict[str, Any]
Book = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


class ConfigurableVenue(CryptoVenue, Protocol):
    """A venue with behavior settings."""

    def set_mode(self, name: str, value: str) -> None: ...


class VenueFactory(Protocol):
    """How every venue is constructed."""

    def __call__(
        self,
        instruments: Iterable[Instrument],
        flow: OrderFlow,
        faults: CryptoFaultSwitches,
        credentials: Credentials,
        now_ns: Callable[[], int],
        scale: float = 1.0,
    ) -> ConfigurableVenue: ...


class VenueServer:
    """A venue behind a running server."""

    def __init__(self, venue: ConfigurableVenue, faults: CryptoFaultSwitches, port: int) -> None:
        self.venue, self.faults = venue, faults
        self.http_url, self.ws_url = f"http://{HOST}:{port}", f"ws://{HOST}:{port}"

    def step(self, symbol: str, count: int = 1) -> None:
        """Apply the next events of one symbol."""
        for _ in range(count):
            self.venue.flow.step(symbol, SystemClock().now_ns())

    def step_until_trade(self, symbol: str) -> None:
        """Apply events until one is a trade."""
        before = self.venue.flow.last_trade_id(symbol)
        while self.venue.flow.last_trade_id(symbol) == before:
            self.step(symbol)

    def arm(self, **fault: Any) -> None:
        """Arm a fault."""
        self.faults.arm(msgspec.convert(fault, CryptoFault))

    async def get(self, path: str, **query: str) -> httpx.Response:
        """Send a GET request."""
        async with httpx.AsyncClient(base_url=self.http_url, timeout=scaled(5)) as client:
            return await client.get(path, params=query)


class VenueClient:
    """A websocket client of a venue that sends and receives JSON documents."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, document: Frame) -> None:
        """Send one document."""
        await self.socket.send(json.dumps(document))

    async def receive_text(self) -> str:
        """Receive the next frame as text."""
        async with asyncio.timeout(scaled(5)):
            return str(await self.socket.recv())

    async def receive(self) -> Frame:
        """Receive the next frame as a document, its fractions exact."""
        frame: Frame = json.loads(await self.receive_text(), parse_float=Decimal)
        return frame

    async def receive_until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Receive frames until one satisfies the predicate."""
        while not wanted(frame := await self.receive()):
            pass
        return frame

    async def wait_closed(self) -> int | None:
        """Wait until the venue closes the connection and return its close code."""
        async with asyncio.timeout(scaled(5)):
            await self.socket.wait_closed()
        return self.socket.close_code


@asynccontextmanager
async def venue_server(
    made: VenueFactory, listings: Iterable[Instrument], ids: IdSpace, scale: float = 1.0, seed: int = 7
) -> AsyncIterator[VenueServer]:
    """Serve a venue until the end of the block."""
    servers, faults, application = HttpServers(), CryptoFaultSwitches(), web.Application()
    flow = OrderFlow(listings, seed, ids)
    venue = made(listings, flow, faults, CREDENTIALS, SystemClock().now_ns, scale)
    application.add_routes(venue.routes())
    port = await servers.open(application, 0)
    moving = asyncio.create_task(venue.run())
    try:
        yield VenueServer(venue, faults, port)
    finally:
        moving.cancel()
        venue.disconnect_all()
        await servers.close()


@asynccontextmanager
async def venue_client(url: str) -> AsyncIterator[VenueClient]:
    """Connect a client until the end of the block."""
    async with connect(url, ping_interval=None, max_size=1 << 24, close_timeout=1) as socket:
        yield VenueClient(socket)
