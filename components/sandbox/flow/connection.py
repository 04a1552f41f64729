"""One websocket client of a crypto venue: what it still has to hear, its limits, its pings, and what goes wrong."""

import asyncio
from asyncio import QueueFull
from collections import deque
from collections.abc import AsyncIterator, Callable

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from msgspec import Struct

from components.sandbox.core.chance import draws
from components.sandbox.flow.faults import Chance, FlowFaultKind, FlowFaults
from components.sandbox.flow.script import Close, Item, Pause, Ping, Pong, Script

QUEUE_MAX = 10_000
MESSAGE_BYTES_MAX = 1 << 20
GONE_CHECK_S = 0.05
GONE_CHECKS_MAX = 2_400
SECOND_NS = 1_000_000_000


class Limits(Struct, frozen=True, kw_only=True):
    """What a venue grants a connection; 0 is no limit, spans are in seconds before scaling."""

    messages_per_s: int = 0
    ping_every_s: float = 0.0
    pong_within_s: float = 0.0
    idle_s: float = 0.0  # without a word in either direction
    idle_code: int = 1000
    life_s: float = 0.0
    scale: float = 1.0

    def over(self, span_s: float, since_ns: int, now_ns: int) -> bool:
        """Tell whether a span that is limited has passed."""
        return span_s > 0 and now_ns - since_ns >= span_s * self.scale * SECOND_NS


class Unwelcome(web.HTTPException):
    """A handshake answered with a status of the operator's choice."""

    def __init__(self, status: int, headers: dict[str, str] | None) -> None:
        self.status_code = status
        super().__init__(headers=headers, reason="Refused", text="refused")


def may_refuse(faults: FlowFaults, venue: str) -> None:
    """Give a handshake its chance to be refused."""
    if fault := faults.strike(FlowFaultKind.REFUSE_CONNECT, Chance(venue)):
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else None
        raise Unwelcome(fault.status, headers)


class Connection:
    """A peer at the other end of a socket."""

    def __init__(self, venue: str, faults: FlowFaults, limits: Limits, number: int, now_ns: Callable[[], int]) -> None:
        self.number = number  # among this venue's connections, so that each has its own phases
        self.venue = venue
        self.script = Script(venue, faults)
        self.response = web.WebSocketResponse(
            compress=False, autoping=False, autoclose=False, max_msg_size=MESSAGE_BYTES_MAX
        )
        self.sent_count = self.heard_count = 0
        self._faults, self._limits, self._now_ns = faults, limits, now_ns
        self._queue: asyncio.Queue[Item] = asyncio.Queue(QUEUE_MAX)
        self._request: web.Request | None = None
        self._opened_ns = self._spoken_ns = self._pinged_ns = now_ns()
        self._owed: tuple[bytes, int] | None = None  # the ping that waits for its pong, and since when
        self._heard_ns: deque[int] = deque(maxlen=limits.messages_per_s + 1)
        self._is_closing = False

    def say(self, text: str) -> None:
        """Queue an answer or a notice: no fault but being half open keeps it back."""
        self._put(text)

    def tell(self, text: str, symbol: str, topic: str) -> None:
        """Queue a data frame (topic: book, quote or trade), or what the fault script makes of it."""
        for item in self.script.send(text, symbol, topic):
            self._put(item)

    def rejects(self, symbol: str) -> int | None:
        """Give a subscription its chance to be refused: the fault's code, or nothing."""
        fault = self._faults.strike(FlowFaultKind.REJECT_SUBSCRIBE, Chance(self.venue, symbol))
        return None if fault is None else fault.code

    def queued(self) -> list[Item]:
        """Take away what still has to be sent."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def close(self, code: int) -> None:
        """Close politely, once everything queued is said."""
        self._is_closing = True
        self._put(Close(code))

    def cut(self) -> None:
        """Cut the connection without a word."""
        if self._request is not None and self._request.transport is not None:
            self._request.transport.abort()

    def phase_ns(self, period_ns: int, name: str = "") -> int:
        """Give this connection's own place within a period, so that two connections cut one stream differently."""
        return draws(self.number, f"{self.venue}/{name}", 0)[0] % period_ns if period_ns else 0

    def tick(self, now_ns: int) -> None:
        """Let time pass: ping who is due; close who is silent, idle or too old."""
        limits = self._limits
        if self._is_closing or self.script.is_half_open:
            return
        if self._is_silent(now_ns) or limits.over(limits.life_s, self._opened_ns, now_ns):
            self.close(WSCloseCode.POLICY_VIOLATION)
        elif limits.over(limits.idle_s, self._spoken_ns, now_ns):
            self.close(limits.idle_code)
        elif limits.over(limits.ping_every_s, self._pinged_ns, now_ns):
            self._ping(now_ns)

    async def messages(self, request: web.Request) -> AsyncIterator[str]:
        """Open the socket and yield what the client says until it leaves."""
        await self.response.prepare(request)
        self._request = request
        self.script.opens()
        writer = asyncio.create_task(self._write())
        try:
            async for message in self.response:
                text = self._hear(message)
                if text is not None:
                    yield text
            if self.script.is_half_open:
                await self._linger(request)
            await self.response.close()
        finally:
            writer.cancel()

    def _hear(self, message: WSMessage) -> str | None:
        now_ns = self._now_ns()
        self.heard_count += 1
        if self.script.is_half_open or self._is_too_much(now_ns):
            return None
        if message.type is WSMsgType.PING:
            self._put(Pong(bytes(message.data)))
        elif message.type is WSMsgType.PONG and self._owed is not None and bytes(message.data) == self._owed[0]:
            self._owed = None
        if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return None
        self._spoken_ns = now_ns
        return message.data if isinstance(message.data, str) else message.data.decode("utf-8", "replace")

    def _is_too_much(self, now_ns: int) -> bool:
        self._heard_ns.append(now_ns)
        limit = self._limits.messages_per_s
        if not limit or len(self._heard_ns) <= limit or now_ns - self._heard_ns[0] >= SECOND_NS:
            return False
        self.close(WSCloseCode.POLICY_VIOLATION)
        return True

    def _is_silent(self, now_ns: int) -> bool:
        return self._owed is not None and self._limits.over(self._limits.pong_within_s, self._owed[1], now_ns)

    def _ping(self, now_ns: int) -> None:
        self._pinged_ns = now_ns
        payload = str(now_ns // 1_000_000).encode()
        # Only a pong to the newest counts, but patience began with the oldest that is unanswered.
        self._owed = (payload, now_ns if self._owed is None else self._owed[1])
        self._put(Ping(payload))

    def _put(self, item: Item) -> None:
        if self.script.is_half_open:
            return
        if isinstance(item, str):
            self._spoken_ns = self._now_ns()
        try:
            self._queue.put_nowait(item)
        except QueueFull:
            self.cut()  # a client this slow would not read a word about it either

    async def _write(self) -> None:
        while True:
            item = await self._queue.get()
            if self.script.is_half_open:
                continue
            try:
                await self._send(item)
            except ConnectionError:
                return  # the client has left; its reader notices and ends the connection

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

    async def _linger(self, request: web.Request) -> None:
        # Half open: the client's goodbye gets no answer either; it has to go by itself.
        for _ in range(GONE_CHECKS_MAX):
            if request.transport is None or request.transport.is_closing():
                return
            await asyncio.sleep(GONE_CHECK_S)
