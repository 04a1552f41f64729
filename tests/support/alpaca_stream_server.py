"""A server of Alpaca's data stream that follows a script for each connection, and a harness for the real feed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from components.contracts.values import Symbol
from components.market_data.config import AlpacaConfig
from components.market_data.venues.adapter import ApiCredentials
from components.market_data.venues.alpaca.stock_feed import AlpacaStockFeed
from components.runtime.clock import SystemClock
from components.runtime.config.secrets import Secret
from tests.support.eventually import eventually_async

Script = Callable[[ServerConnection], Awaitable[None]]
Delivered = TypeVar("Delivered")
SYMBOLS = (Symbol("AAPL"), Symbol("MSFT"))
QUOTE = (
    '{"T":"q","S":"AAPL","bx":"V","bp":189.99,"bs":200,"ax":"V","ap":190.01,"as":300,"c":["R"],"z":"C",'
    '"t":"2026-11-20T14:31:24.700123456Z"}'
)
CONNECTED = '[{"T":"success","msg":"connected"}]'
AUTHENTICATED = '[{"T":"success","msg":"authenticated"}]'


def config(url: str, **changes: Any) -> AlpacaConfig:
    """Return a configuration with long timeouts and short retries."""
    usual = {
        "stream_url": url,
        "key": "env:KEY",
        "secret": "env:SECRET",
        "symbols_max": 30,
        "connect_timeout_ms": 3_000,
        "reply_timeout_ms": 3_000,
        "close_timeout_ms": 100,
        "ping_every_ms": 1_000,
        "pong_timeout_ms": 1_000,
        "no_data_timeout_ms": 3_000,
        "no_data_timeout_ms_max": 60_000,
        "retry_ms_first": 20,
        "retry_ms_max": 40,
        "frame_bytes_max": 65_536,
    }
    return AlpacaConfig.model_validate(usual | changes)


def failure(code: int, text: str) -> str:
    return f'[{{"T":"error","code":{code},"msg":"{text}"}}]'


def subscription(symbols: Sequence[str] = SYMBOLS) -> str:
    return json.dumps([{"T": "subscription", "trades": [*symbols], "quotes": [*symbols], "bars": []}])


async def complete_handshake(connection: ServerConnection) -> None:
    """Complete the handshake as Alpaca does."""
    await connection.send(CONNECTED)
    await connection.recv()
    await connection.send(AUTHENTICATED)
    await connection.recv()
    await connection.send(subscription())


async def handshake_and_quote(connection: ServerConnection) -> None:
    """Complete the handshake, send one quote, keep the connection open."""
    await complete_handshake(connection)
    await connection.send(f"[{QUOTE}]")
    await connection.wait_closed()


def send_frames(*frames: str) -> Script:
    """Return a script that sends these frames and keeps the connection open."""

    async def script(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame)
        await connection.wait_closed()

    return script


class AlpacaStreamServer:
    """The n-th connection gets the n-th script, later ones the last; `statuses` answer upgrades instead of scripts."""

    def __init__(self, *scripts: Script, statuses: Sequence[tuple[int, dict[str, str]]] = ()) -> None:
        self._scripts = scripts
        self._statuses = list(statuses)
        self.connections = 0
        self.upgrades = 0
        self.close_codes: list[int | None] = []
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._converse, "127.0.0.1", 0, process_request=self._answer, compression=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/v2/iex"

    async def observed_close_codes(self) -> list[int | None]:
        """Return the close code of each connection, in the order of their ends."""
        return self.close_codes

    def _answer(self, connection: ServerConnection, _: Request) -> Response | None:
        self.upgrades += 1
        if not self._statuses:
            return None
        status, headers = self._statuses.pop(0)
        response = connection.respond(HTTPStatus(status), "no")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def _converse(self, connection: ServerConnection) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        with suppress(ConnectionClosed):
            await script(connection)
        await connection.close()
        self.close_codes.append(connection.close_code)


class FeedHarness:
    """Runs a feed and stores what it delivers."""

    def __init__(
        self, setup: AlpacaConfig, *, keys: tuple[str, str] = ("KEY", "SECRET"), symbols: Sequence[str] = SYMBOLS
    ) -> None:
        key, secret = (Secret(one.encode()) for one in keys)
        # The jitter is 0: a retry comes at once, so a test need not wait to see that none comes.
        self._feed = AlpacaStockFeed(
            setup, ApiCredentials(key, secret), [Symbol(one) for one in symbols], SystemClock(), lambda: 0.0
        )
        self.delivered: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._feed.run(self.delivered.append))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def all(self, kind: type[Delivered]) -> list[Delivered]:
        return [one for one in self.delivered if isinstance(one, kind)]

    async def wait_for(self, kind: type[Delivered], count: int = 1, *, within_s: float = 10.0) -> list[Delivered]:
        """Wait until this many messages of a type were delivered."""

        async def probe() -> list[Delivered]:
            found = self.all(kind)
            return found if len(found) >= count else []

        return await eventually_async(probe, within_s=within_s)
