"""A venue that serves a recording: its frames to subscribed clients, in scaled time, exactly as received.

Clients are answered in each venue's own subscription protocol; other requests get a minimal reply.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import WSCloseCode, web

from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.recorded.recording import RecordedFrame, RecordedResponses, channel_of, without_interval
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow
from components.sandbox.transport.crypto_venue import TICK_INTERVAL_S
from components.sandbox.transport.fault_injection import inject_rest_fault
from components.sandbox.transport.faults import CryptoFault, CryptoFaultSwitches
from components.sandbox.transport.websocket import ClientConnection, ConnectionLimits, maybe_reject_handshake

Replies = list[str]
Channels = dict[str, None]
TOPIC_BY_CHANNEL_MARK = (("depth", "book"), ("book", "book"), ("trade", "trade"))


def handle_message(venue: str, text: str, channels: Channels, now_ns: int) -> Replies:
    """Apply a client's request to its channels and return the replies; invalid text gets no reply."""
    if text == "ping":
        return ["pong"]
    try:
        request = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError):
        return []
    return _MESSAGE_HANDLERS[venue](request, channels, now_ns)


def _binance(request: dict[str, Any], channels: Channels, _: int) -> Replies:
    names, method = request.get("params", []), request.get("method")
    if method == "LIST_SUBSCRIPTIONS":
        return [_text({"result": list(channels), "id": request.get("id")})]
    if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
        _update_channels(channels, map(without_interval, map(str, names)), is_subscribe=method == "SUBSCRIBE")
    return [_text({"result": None, "id": request.get("id")})]


def _okx(request: dict[str, Any], channels: Channels, _: int) -> Replies:
    operation = request.get("op")
    if operation not in {"subscribe", "unsubscribe"}:
        return [_text({"event": "error", "code": "60012", "msg": "Invalid request", "connId": "recorded"})]
    named = {"id": request["id"]} if "id" in request else {}
    replies = []
    for argument in request.get("args", []):
        _update_channels(
            channels, [f"{argument.get('channel')}:{argument.get('instId')}"], is_subscribe=operation == "subscribe"
        )
        replies.append(_text({**named, "event": operation, "arg": argument, "connId": "recorded"}))
    return replies


def _deribit(request: dict[str, Any], channels: Channels, now_ns: int) -> Replies:
    method = str(request.get("method", "")).partition("/")[2]
    result: object = "ok"
    if method in {"subscribe", "unsubscribe"}:
        names = [str(name) for name in request.get("params", {}).get("channels", [])]
        _update_channels(channels, map(without_interval, names), is_subscribe=method == "subscribe")
        result = names
    elif method == "auth":
        result = {"access_token": "recorded", "refresh_token": "recorded", "expires_in": 900, "token_type": "bearer"}
    elif method == "test":
        result = {"version": "1.2.26"}
    elif method == "get_time":
        result = now_ns // MILLISECOND_NS
    now_us = now_ns // 1_000
    times = {"usIn": now_us, "usOut": now_us, "usDiff": 0, "testnet": False}
    return [_text({"jsonrpc": "2.0", "id": request.get("id"), "result": result, **times})]


def _update_channels(channels: Channels, names: Iterable[str], *, is_subscribe: bool) -> None:
    for name in names:
        if is_subscribe:
            channels[name] = None
        else:
            channels.pop(name, None)


def _text(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


_MESSAGE_HANDLERS: dict[str, Callable[[dict[str, Any], Channels, int], Replies]] = {
    "binance": _binance,
    "binanceum": _binance,
    "okx": _okx,
    "deribit": _deribit,
}


class _Client:
    def __init__(self, connection: ClientConnection, channels: Channels) -> None:
        self.connection = connection
        self.channels = channels


class RecordedVenue:
    """Plays its recording from the first subscription on, and starts again after the last subscriber has left."""

    def __init__(
        self,
        name: str,
        frames: Sequence[RecordedFrame],
        faults: CryptoFaultSwitches,
        now_ns: Callable[[], int],
        speed: float,
    ) -> None:
        self.name = name
        self.flow = OrderFlow((), 0, IdSpace.PER_SYMBOL)  # a recording has no simulated books
        self.opened_count = 0
        self._faults, self._now_ns, self._speed = faults, now_ns, speed
        in_order = sorted(frames, key=lambda frame: frame.at_ns)
        self._responses = RecordedResponses(in_order)
        self._frames = [(frame, channel_of(frame.text)) for frame in in_order if frame.via == "ws"]
        self._started_at_ns: int | None = None
        self._next = 0
        self._clients: set[_Client] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return one endpoint for all paths; a path that was not recorded is answered with 404."""
        return [web.get("/{path:.*}", self._serve)]

    async def run(self) -> None:
        """Play the recording until cancelled."""
        while True:
            for client in self._clients:
                client.connection.tick(self._now_ns())
            self._play()
            await asyncio.sleep(TICK_INTERVAL_S)

    def disconnect_all(self) -> None:
        """Abort the connections of all clients."""
        for client in self._clients:
            client.connection.abort()

    def announce_shutdown(self, fault: CryptoFault) -> None:
        """Close every connection `fault.ms` later; a recording has no shutdown notice to send."""
        loop = asyncio.get_running_loop()
        for client in self._clients:
            loop.call_later(fault.ms / 1000, client.connection.close, WSCloseCode.GOING_AWAY)

    def stats(self) -> dict[str, object]:
        """Return the number of clients, their channels, and the position in the recording."""
        return {
            "clients": len(self._clients),
            "opened": self.opened_count,
            "streams": sorted(name for client in self._clients for name in client.channels),
            "frames": len(self._frames),
            "played": self._next,
        }

    def _play(self) -> None:
        if not any(client.channels for client in self._clients):
            self._started_at_ns, self._next = None, 0
            return
        if self._started_at_ns is None:
            self._started_at_ns = self._now_ns()
        until_ns = self._position_ns()
        while self._next < len(self._frames) and self._frames[self._next][0].at_ns <= until_ns:
            self._send_frame(*self._frames[self._next])
            self._next += 1

    def _send_frame(self, frame: RecordedFrame, channel: str | None) -> None:
        for client in self._clients:
            if channel is not None and channel in client.channels:
                client.connection.send_data(frame.text, _symbol(channel), _topic(channel))

    def _position_ns(self) -> int:
        if not self._frames:
            return 0
        since_ns = 0 if self._started_at_ns is None else self._now_ns() - self._started_at_ns
        return self._frames[0][0].at_ns + int(since_ns * self._speed)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_websocket(request)
        if failed := await inject_rest_fault(self._faults, self.name):
            return failed
        text = self._responses.find(request.path, dict(request.query), self._position_ns())
        if text is None:
            raise web.HTTPNotFound(text=f"{request.path}: no response was recorded for this request")
        return web.Response(text=text, content_type="application/json")

    async def _serve_websocket(self, request: web.Request) -> web.StreamResponse:
        maybe_reject_handshake(self._faults, self.name)
        self.opened_count += 1
        connection = ClientConnection(self.name, self._faults, ConnectionLimits(), self.opened_count, self._now_ns)
        named = request.path.partition("/ws/")[2] if "binance" in self.name else ""
        names = (request.query.get("streams") or named).split("/")
        client = _Client(connection, {without_interval(name): None for name in names if name})
        self._clients.add(client)
        try:
            async for text in connection.messages(request):
                for reply in handle_message(self.name, text, client.channels, self._now_ns()):
                    connection.send(reply)
        finally:
            self._clients.discard(client)
        return connection.response


def _topic(channel: str) -> str:
    return next(
        (topic for sign, topic in TOPIC_BY_CHANNEL_MARK if sign in channel and "bookTicker" not in channel), "quote"
    )


def _symbol(channel: str) -> str:
    return channel.partition("@")[0].upper() if "@" in channel else channel.replace(".", ":").partition(":")[2]
