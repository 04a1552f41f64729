"""Server side of the websockets: bounded send queues, pings, idle and age limits, rate limits, fault injection.

`ClientConnection` serves a client of a crypto venue. `QueuedWebSocket` serves one of Alpaca's streams.
"""

import asyncio
from asyncio import QueueFull
from collections import deque
from collections.abc import AsyncIterator, Callable

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from msgspec import Struct

from components.sandbox.numerics import MILLISECOND_NS, SECOND_NS, draws
from components.sandbox.transport.fault_injection import Close, FaultInjector, Item, Pause, Ping, Pong
from components.sandbox.transport.faults import CryptoFaultKind, CryptoFaultSwitches, FaultTarget

QUEUE_MAX = 10_000
MESSAGE_BYTES_MAX = 1 << 20
CLOSED_CHECK_INTERVAL_S = 0.05
CLOSED_CHECKS_MAX = 2_400  # two minutes
HEARTBEAT_S = 20.0  # a peer that does not answer pings is disconnected, which frees the only slot
Frame = str | bytes


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """Limits of one connection; 0 disables a limit. Durations are multiplied by `scale`."""

    messages_per_s: int = 0
    ping_interval_s: float = 0.0
    pong_timeout_s: float = 0.0
    idle_timeout_s: float = 0.0  # no message in either direction
    idle_close_code: int = 1000
    lifetime_s: float = 0.0
    scale: float = 1.0

    def is_exceeded(self, span_s: float, since_ns: int, now_ns: int) -> bool:
        """Return whether more than a limited duration has passed."""
        return span_s > 0 and now_ns - since_ns >= span_s * self.scale * SECOND_NS


class HandshakeRejected(web.HTTPException):
    """A websocket handshake rejected with a status."""

    def __init__(self, status: int, headers: dict[str, str] | None) -> None:
        self.status_code = status
        super().__init__(headers=headers, reason="Refused", text="refused")


def maybe_reject_handshake(faults: CryptoFaultSwitches, venue: str) -> None:
    """Raise HandshakeRejected if a fault is armed for this connection attempt."""
    if fault := faults.trigger(CryptoFaultKind.REFUSE_CONNECT, FaultTarget(venue)):
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else None
        raise HandshakeRejected(fault.status, headers)


class ClientConnection:
    """The connection of one client of a crypto venue."""

    def __init__(
        self, venue: str, faults: CryptoFaultSwitches, limits: ConnectionLimits, number: int, now_ns: Callable[[], int]
    ) -> None:
        self.number = number  # distinguishes the phases of a venue's connections
        self.venue = venue
        self.fault_injector = FaultInjector(venue, faults)
        self.response = web.WebSocketResponse(
            compress=False, autoping=False, autoclose=False, max_msg_size=MESSAGE_BYTES_MAX
        )
        self.sent_count = self.received_count = 0
        self._faults, self._limits, self._now_ns = faults, limits, now_ns
        self._queue: asyncio.Queue[Item] = asyncio.Queue(QUEUE_MAX)
        self._request: web.Request | None = None
        self._opened_at_ns = self._active_at_ns = self._pinged_at_ns = now_ns()
        # Payload of the newest ping, and the time of the oldest unanswered one.
        self._awaited_pong: tuple[bytes, int] | None = None
        self._received_at_ns: deque[int] = deque(maxlen=limits.messages_per_s + 1)
        self._is_closing = False

    def send(self, text: str) -> None:
        """Queue a reply or a notice; only a half-open connection drops it, no other fault does."""
        self._enqueue(text)

    def send_data(self, text: str, symbol: str, topic: str) -> None:
        """Queue a data frame (topic: book, quote or trade), or what an armed fault makes of it."""
        for item in self.fault_injector.apply(text, symbol, topic):
            self._enqueue(item)

    def rejection_code(self, symbol: str) -> int | None:
        """Count a subscription for the armed faults; return the code of the fault that rejects it, else None."""
        fault = self._faults.trigger(CryptoFaultKind.REJECT_SUBSCRIBE, FaultTarget(self.venue, symbol))
        return None if fault is None else fault.code

    def drain_queue(self) -> list[Item]:
        """Remove and return everything that is queued."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def close(self, code: int) -> None:
        """Close with a close frame, after everything queued was sent."""
        self._is_closing = True
        self._enqueue(Close(code))

    def abort(self) -> None:
        """Abort the TCP connection without a close frame."""
        if self._request is not None and self._request.transport is not None:
            self._request.transport.abort()

    def phase_ns(self, period_ns: int, name: str = "") -> int:
        """Return this connection's offset within a period; connections cut one stream at different times."""
        return draws(self.number, f"{self.venue}/{name}", 0)[0] % period_ns if period_ns else 0

    def tick(self, now_ns: int) -> None:
        """Send a ping when one is due; close the connection on a missing pong, on inactivity, or at its maximum age."""
        limits = self._limits
        if self._is_closing or self.fault_injector.is_half_open:
            return
        if self._missed_pong(now_ns) or limits.is_exceeded(limits.lifetime_s, self._opened_at_ns, now_ns):
            self.close(WSCloseCode.POLICY_VIOLATION)
        elif limits.is_exceeded(limits.idle_timeout_s, self._active_at_ns, now_ns):
            self.close(limits.idle_close_code)
        elif limits.is_exceeded(limits.ping_interval_s, self._pinged_at_ns, now_ns):
            self._ping(now_ns)

    async def messages(self, request: web.Request) -> AsyncIterator[str]:
        """Open the websocket and yield the client's messages until it disconnects."""
        await self.response.prepare(request)
        self._request = request
        self.fault_injector.on_open()
        writer = asyncio.create_task(self._write())
        try:
            async for message in self.response:
                text = self._receive(message)
                if text is not None:
                    yield text
            if self.fault_injector.is_half_open:
                await self._wait_until_closed(request)
            await self.response.close()
        finally:
            writer.cancel()

    def _receive(self, message: WSMessage) -> str | None:
        now_ns = self._now_ns()
        self.received_count += 1
        if self.fault_injector.is_half_open or self._exceeds_message_rate(now_ns):
            return None
        if message.type is WSMsgType.PING:
            self._enqueue(Pong(bytes(message.data)))
        elif (
            message.type is WSMsgType.PONG
            and self._awaited_pong is not None
            and bytes(message.data) == self._awaited_pong[0]
        ):
            self._awaited_pong = None
        if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return None
        self._active_at_ns = now_ns
        return message.data if isinstance(message.data, str) else message.data.decode("utf-8", "replace")

    def _exceeds_message_rate(self, now_ns: int) -> bool:
        self._received_at_ns.append(now_ns)
        limit = self._limits.messages_per_s
        if not limit or len(self._received_at_ns) <= limit or now_ns - self._received_at_ns[0] >= SECOND_NS:
            return False
        self.close(WSCloseCode.POLICY_VIOLATION)
        return True

    def _missed_pong(self, now_ns: int) -> bool:
        return self._awaited_pong is not None and self._limits.is_exceeded(
            self._limits.pong_timeout_s, self._awaited_pong[1], now_ns
        )

    def _ping(self, now_ns: int) -> None:
        self._pinged_at_ns = now_ns
        payload = str(now_ns // MILLISECOND_NS).encode()
        # Only a pong to the newest ping counts, but the timeout runs from the oldest unanswered one.
        self._awaited_pong = (payload, now_ns if self._awaited_pong is None else self._awaited_pong[1])
        self._enqueue(Ping(payload))

    def _enqueue(self, item: Item) -> None:
        if self.fault_injector.is_half_open:
            return
        if isinstance(item, str):
            self._active_at_ns = self._now_ns()
        try:
            self._queue.put_nowait(item)
        except QueueFull:
            self.abort()  # a client this slow would not read a close frame either

    async def _write(self) -> None:
        while True:
            item = await self._queue.get()
            if self.fault_injector.is_half_open:
                continue
            try:
                await self._send(item)
            except ConnectionError:
                return  # the client has disconnected; the reader ends the connection

    async def _send(self, item: Item) -> None:
        match item:
            case str():
                self.sent_count += 1
                await self.response.send_str(item)
            case Pause():
                await asyncio.sleep(item.ms / 1000)
            case Ping():
                await self.response.ping(item.payload)
            case Pong():
                await self.response.pong(item.payload)
            case Close():
                await self.response.close(code=item.code)

    async def _wait_until_closed(self, request: web.Request) -> None:
        # A half-open connection does not answer a close frame either; wait until the client drops it.
        for _ in range(CLOSED_CHECKS_MAX):
            if request.transport is None or request.transport.is_closing():
                return
            await asyncio.sleep(CLOSED_CHECK_INTERVAL_S)


class QueueOverflow(Exception):
    """The peer reads too slowly: its send queue is full."""


class QueuedWebSocket:
    """A websocket with a bounded send queue; one task writes the frames in order."""

    def __init__(self, request: web.Request) -> None:
        # No compression: on loopback it costs more than it saves.
        self._socket = web.WebSocketResponse(compress=False, heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_BYTES_MAX)
        self._request = request
        self._queue: asyncio.Queue[Frame] = asyncio.Queue(QUEUE_MAX)

    @property
    def response(self) -> web.WebSocketResponse:
        """Return the response object that the handler must return."""
        return self._socket

    def send(self, frame: Frame) -> None:
        """Queue a frame; raise QueueOverflow if the queue is full."""
        try:
            self._queue.put_nowait(frame)
        except QueueFull as error:
            raise QueueOverflow from error

    async def messages(self) -> AsyncIterator[Frame]:
        """Open the websocket and yield the peer's messages until it disconnects."""
        await self._socket.prepare(self._request)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    yield message.data
        finally:
            writer.cancel()

    async def close(self) -> None:
        """Send what is queued, then close with a close frame."""
        while not self._queue.empty():
            await self._send(self._queue.get_nowait())
        await self._socket.close()

    def abort(self) -> None:
        """Abort the TCP connection without a close frame."""
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
            return  # the peer has disconnected; the reader ends the connection
