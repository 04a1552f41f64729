"""One websocket with a bounded queue of what it still has to hear, written by one task in order."""

import asyncio
from asyncio import QueueFull
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

SOCKET_QUEUE_MAX = 10_000
# A silent peer gives its place back after this long; there is only one place.
HEARTBEAT_S = 20.0
SOCKET_MESSAGE_BYTES_MAX = 1 << 20
Frame = str | bytes


class QueueOverflow(Exception):
    """The peer reads too slowly: its queue is full."""


class QueuedWebSocket:
    """A peer at the other end: frames leave in the order in which they were said."""

    def __init__(self, request: web.Request) -> None:
        # Compression is declined: on loopback it costs more than it saves.
        self._socket = web.WebSocketResponse(
            compress=False, heartbeat=HEARTBEAT_S, max_msg_size=SOCKET_MESSAGE_BYTES_MAX
        )
        self._request = request
        self._queue: asyncio.Queue[Frame] = asyncio.Queue(SOCKET_QUEUE_MAX)

    @property
    def response(self) -> web.WebSocketResponse:
        """Return what the web framework wants back."""
        return self._socket

    def send(self, frame: Frame) -> None:
        """Queue a frame; the peer that cannot keep up is told by an Overflow."""
        try:
            self._queue.put_nowait(frame)
        except QueueFull as error:
            raise QueueOverflow from error

    async def messages(self) -> AsyncIterator[Frame]:
        """Open the socket and yield what the peer says until it leaves."""
        await self._socket.prepare(self._request)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    yield message.data
        finally:
            writer.cancel()

    async def close(self) -> None:
        """Say what is left to say and close politely."""
        while not self._queue.empty():
            await self._send(self._queue.get_nowait())
        await self._socket.close()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _write(self) -> None:
        while True:
            await self._send(await self._queue.get())

    async def _send(self, frame: Frame) -> None:
        try:
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)
        except ConnectionError:
            return  # the peer has left; its reader notices and ends the connection
