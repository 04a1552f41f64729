"""A tiny venue in a process of its own: lists one instrument, streams its flow at a pace, and can be cut off."""

import asyncio
import json
import multiprocessing
import os
import time
from contextlib import suppress
from http import HTTPStatus
from multiprocessing.connection import Connection
from typing import Any, Final

import uvloop
from typing_extensions import override
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from benchmarks.flow import SimulatedFlow
from benchmarks.tongues import VENUE_FORMATS, VenueFormat

SPAWN: Final = multiprocessing.get_context("spawn")
LEVELS: Final = 400
TURN_S: Final = 0.001
DISCONNECTED_S: Final = 0.3
ANSWER_S_MAX: Final = 30
LISTING: Final = ("exchangeInfo", "instruments")


class FakeVenueProcess:
    """The venue, as the benchmark sees it."""

    def __init__(self, tongue: VenueFormat, *, per_second: int, core: int | None) -> None:
        self._line, far = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_main, args=(far, tongue.config_table, per_second, core), daemon=True)
        self._process.start()
        self.port: int = self._hear()

    def disconnect(self) -> None:
        """Let it vanish, and come back on the same port a moment later."""
        self._line.send("cut")

    def accepted_at_ns(self) -> int:
        """Say when it took its first connection after it came back."""
        self._line.send("accepted")
        return int(self._hear())

    def close(self) -> None:
        """End it."""
        self._line.send("end")
        self._process.join()

    def _hear(self) -> Any:  # noqa: ANN401 -- numbers, by the question
        if not self._line.poll(ANSWER_S_MAX):
            raise TimeoutError("the venue of the benchmark does not answer")
        return self._line.recv()


def pin_to_core(core: int | None) -> None:
    """Stay on one core, where there are two to part."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def _main(line: Connection, table: str, per_second: int, core: int | None) -> None:
    pin_to_core(core)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Venue(VENUE_FORMATS[table], per_second, line).live())


class _Venue:
    def __init__(self, tongue: VenueFormat, per_second: int, line: Connection) -> None:
        self._tongue, self._per_second, self._line = tongue, per_second, line
        self._flow = SimulatedFlow(LEVELS, 1)
        self._changes = self._flow.updates()
        self._hearers: set[ServerConnection] = set()
        self._server: Server | None = None
        self._port = self._accepted_at_ns = 0

    async def live(self) -> None:
        self._over = asyncio.Event()
        await self._open()
        self._line.send(self._port)
        asyncio.get_running_loop().add_reader(self._line.fileno(), self._obey)
        async with asyncio.TaskGroup() as self._group:
            stream = self._group.create_task(self._stream())
            await self._over.wait()
            stream.cancel()
        asyncio.get_running_loop().remove_reader(self._line.fileno())
        await self._close()

    def _obey(self) -> None:
        said = self._line.recv()
        if said == "cut":
            self._accepted_at_ns = 0
            self._group.create_task(self._cut())
        elif said == "accepted":
            self._line.send(self._accepted_at_ns)
        else:
            self._over.set()

    async def _cut(self) -> None:
        await self._close()
        await asyncio.sleep(DISCONNECTED_S)
        await self._open()

    async def _open(self) -> None:
        venue = self

        class Accepted(ServerConnection):
            @override
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                venue._accepted_at_ns = venue._accepted_at_ns or time.monotonic_ns()
                super().connection_made(transport)

        self._server = await serve(
            self._listen,
            "127.0.0.1",
            self._port,
            process_request=self._answer,
            compression=None,
            ping_interval=None,
            create_connection=Accepted,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            for connection in list(self._hearers):
                connection.transport.abort()
            self._hearers.clear()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002 -- its callback
        if "Upgrade" in request.headers:
            return None
        path, at_us = request.path.partition("?")[0], time.time_ns() // 1_000
        is_listing = any(path.endswith(word) for word in LISTING)
        body = (self._tongue.instruments() if is_listing else self._tongue.snapshot(self._flow, at_us)).encode()
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json", "Connection": "close"})
        return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, body)

    async def _listen(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in connection:
                if text == "ping":
                    await connection.send("pong")
                else:
                    await self._hear(connection, json.loads(text))
        self._hearers.discard(connection)

    async def _hear(self, connection: ServerConnection, asked: dict[str, Any]) -> None:
        for text in self._tongue.reply(asked):
            await connection.send(text)
        word = str(asked.get("method", asked.get("op"))).lower()
        if not word.endswith("subscribe"):
            return
        self._hearers.discard(connection)
        if "unsubscribe" not in word:
            image = self._tongue.first_snapshot(self._flow, time.time_ns() // 1_000)
            if image is not None:
                connection.transport.write(_framed(image))
            self._hearers.add(connection)

    async def _stream(self) -> None:
        """Send what is due in every millisecond, or one frame at a time where that is less."""
        began_s, done = time.monotonic(), 0
        pause_s = max(TURN_S, 1 / self._per_second)
        while True:
            await asyncio.sleep(pause_s)
            due = int((time.monotonic() - began_s) * self._per_second)
            for _ in range(due - done):
                self._send()
            done = due

    def _send(self) -> None:
        change = next(self._changes)
        if not self._hearers:
            return
        frame = _framed(self._tongue.update(change, time.time_ns() // 1_000))
        for connection in self._hearers:
            if connection.state is State.OPEN:
                connection.transport.write(frame)


def _framed(text: str) -> bytes:
    """Write a text as one frame of a server, as every venue does; the library would cost more than the flow."""
    body = text.encode()
    size = len(body)
    if size < 126:
        return b"\x81" + bytes([size]) + body
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + body
    return b"\x81\x7f" + size.to_bytes(8, "big") + body
