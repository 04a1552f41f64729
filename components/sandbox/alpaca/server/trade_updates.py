"""The trade_updates websocket: one connection, JSON in binary frames; a late subscriber gets no past events."""

import asyncio
from collections.abc import Mapping

import msgspec
from aiohttp import web

from components.sandbox.transport.auth import Credentials, credentials_match
from components.sandbox.transport.faults import AlpacaFaultKind, AlpacaFaultSwitches
from components.sandbox.transport.websocket import Frame, QueuedWebSocket, QueueOverflow

AUTH_TIMEOUT_S = 10
STREAM = "trade_updates"


class _Data(msgspec.Struct, frozen=True):
    key_id: str = ""
    secret_key: str = ""
    streams: list[str] = []


class _Request(msgspec.Struct, frozen=True):
    action: str = ""
    data: _Data = _Data()
    key: str = ""
    secret: str = ""


class TradeUpdatesStream:
    """Serves the one subscriber that the venue allows."""

    def __init__(self, credentials: Credentials, faults: AlpacaFaultSwitches) -> None:
        self._credentials = credentials
        self._faults = faults
        self._socket: QueuedWebSocket | None = None
        self._authorized = False
        self._listening = False

    @property
    def has_listener(self) -> bool:
        """Return whether a client has subscribed, so that the next event is sent."""
        return self._listening

    def publish(self, document: Mapping[str, object]) -> None:
        """Send an event to the subscriber, if there is one, as the armed faults allow."""
        lost = self._faults.trigger(AlpacaFaultKind.LOSE_EVENT) is not None
        copies = 2 if self._faults.trigger(AlpacaFaultKind.DUPLICATE_EVENT) else 1
        if not self._listening or lost or self._faults.active_condition(AlpacaFaultKind.SILENCE_STREAM):
            return
        for _ in range(copies):
            self._send(document)

    def disconnect(self) -> None:
        """Abort the subscriber's connection."""
        if self._socket is not None:
            self._socket.abort()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a connection until it ends; a second one is rejected in the handshake."""
        if self._socket is not None:
            return web.Response(status=429, text="too many requests.\n")
        self._socket = socket = QueuedWebSocket(request)
        try:
            await self._handle_messages(socket)
        finally:
            self._socket, self._authorized, self._listening = None, False, False
        return socket.response

    async def _handle_messages(self, socket: QueuedWebSocket) -> None:
        auth_timeout = asyncio.get_running_loop().call_later(AUTH_TIMEOUT_S, self._abort_unless_authorized, socket)
        try:
            async for frame in socket.messages():
                if not self._handle_message(frame):
                    await socket.close()
        finally:
            auth_timeout.cancel()

    def _abort_unless_authorized(self, socket: QueuedWebSocket) -> None:
        if not self._authorized:
            socket.abort()

    def _handle_message(self, frame: Frame) -> bool:
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except (msgspec.MsgspecError, ValueError):
            return True  # the real venue ignores unknown messages
        if request.action in {"auth", "authenticate"}:
            return self._authenticate(request)
        if request.action == "listen":
            return self._listen(request.data.streams)
        return True

    def _authenticate(self, request: _Request) -> bool:
        key = request.data.key_id or request.key
        secret = request.data.secret_key or request.secret
        self._authorized = credentials_match(self._credentials, key, secret)
        return self._send_authorization("authenticate")

    def _listen(self, streams: list[str]) -> bool:
        if not self._authorized:
            return self._send_authorization("listen")
        # A listen request replaces the whole set: streams that it does not name are unsubscribed.
        self._listening = STREAM in streams
        known = [stream for stream in streams if stream == STREAM]
        self._send({"stream": "listening", "data": {"streams": known}})
        return True

    def _send_authorization(self, action: str) -> bool:
        status = "authorized" if self._authorized else "unauthorized"
        self._send({"stream": "authorization", "data": {"action": action, "status": status}})
        return self._authorized

    def _send(self, document: Mapping[str, object]) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(msgspec.json.encode(document))
        except QueueOverflow:
            self._socket.abort()
