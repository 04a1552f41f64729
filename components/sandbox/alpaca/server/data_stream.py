"""Alpaca's market-data websockets: login, subscriptions by symbol, messages in JSON or msgpack as the client asks."""

import asyncio
import re
from struct import pack

import msgspec
from aiohttp import web

from components.sandbox.alpaca.core.session import format_timestamp
from components.sandbox.alpaca.core.subscriptions import ALL_SYMBOLS, STOCK_CHANNELS, StreamChannels, Subscriptions
from components.sandbox.numerics import SECOND_NS
from components.sandbox.transport.auth import Credentials, credentials_match
from components.sandbox.transport.websocket import Frame, QueuedWebSocket, QueueOverflow

AUTH_TIMEOUT_S = 10.0
SYMBOLS_MAX = 30
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
}
FATAL_CODES = frozenset({402, 404, 406})
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]*([./][A-Z]+)?")
_TO_JSON = msgspec.json.Encoder(decimal_format="number")
_TO_MSGPACK = msgspec.msgpack.Encoder(decimal_format="number")
Document = dict[str, object]


class _Request(msgspec.Struct, frozen=True):
    action: str
    key: str = ""
    secret: str = ""
    trades: list[str] = []
    quotes: list[str] = []
    orderbooks: list[str] = []
    bars: list[str] = []
    updatedBars: list[str] = []  # noqa: N815 - the venue's word
    dailyBars: list[str] = []  # noqa: N815 - the venue's word
    statuses: list[str] = []
    lulds: list[str] = []

    def requested(self, offered: StreamChannels) -> dict[str, list[str]]:
        return {name: getattr(self, name) for name in offered.subscribable}

    def is_valid(self, offered: StreamChannels) -> bool:
        requested = self.requested(offered)
        return all(one == ALL_SYMBOLS or _SYMBOL.fullmatch(one) for symbols in requested.values() for one in symbols)


class DataStream:
    """One endpoint such as /v2/iex; it allows one authenticated connection at a time."""

    offered = STOCK_CHANNELS

    def __init__(
        self, credentials: Credentials, listed: frozenset[str], auth_timeout_s: float = AUTH_TIMEOUT_S
    ) -> None:
        self.auth_timeout_s = auth_timeout_s
        self.credentials = credentials
        self.listed = listed
        self.active_connection: _StreamConnection | None = None

    def publish(self, channel: str, symbol: str, document: Document, at_ns: int) -> None:
        """Send a message to the authenticated connection, if it has subscribed to it."""
        if self.active_connection is not None and symbol in self.listed:
            self.active_connection.send_if_subscribed(channel, symbol, document, at_ns)

    def initial_document(self, channel: str, symbol: str) -> tuple[Document, int] | None:  # noqa: ARG002 -- overridden
        """Return the message with which a new subscription starts, and its time; stock channels have none."""
        return None

    def subscriptions(self) -> Document | None:
        """Return the subscriptions of the authenticated connection; None if there is none."""
        return None if self.active_connection is None else self.active_connection.subscribed()

    def disconnect(self) -> None:
        """Abort the authenticated connection."""
        if self.active_connection is not None:
            self.active_connection.socket.abort()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a connection until it ends."""
        connection = _StreamConnection(self, request)
        try:
            await connection.handle_messages(request)
        finally:
            if self.active_connection is connection:
                self.active_connection = None
        return connection.socket.response


class _StreamConnection:
    """One connection with its encoding, its login state and its subscriptions."""

    def __init__(self, stream: DataStream, request: web.Request) -> None:
        self.socket = QueuedWebSocket(request)
        self._stream = stream
        self._is_msgpack = "msgpack" in request.headers.get("Content-Type", "")
        self._subscriptions = Subscriptions(SYMBOLS_MAX, stream.listed, stream.offered)

    async def handle_messages(self, request: web.Request) -> None:
        self._send({"T": "success", "msg": "connected"})
        key, secret = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
        if key is not None and secret is not None and (code := self._authenticate(key, secret)) is not None:
            self._send_error(code)
        deadline = asyncio.get_running_loop().call_later(self._stream.auth_timeout_s, self._on_auth_timeout)
        try:
            async for frame in self.socket.messages():
                if (code := self._handle_message(frame)) is not None and self._send_error(code):
                    await self.socket.close()
        finally:
            deadline.cancel()

    def subscribed(self) -> Document:
        return self._subscriptions.document()

    def send_if_subscribed(self, channel: str, symbol: str, document: Document, at_ns: int) -> None:
        if self._subscriptions.includes(channel, symbol):
            self._send({**document, "t": _timestamp(at_ns) if self._is_msgpack else format_timestamp(at_ns)})

    def _handle_message(self, frame: Frame) -> int | None:
        request = self._decode(frame)
        if request is None:
            return 400
        match request.action:
            case "auth":
                return 403 if self._is_active() else self._authenticate(request.key, request.secret)
            case "subscribe" | "unsubscribe" if not self._is_active():
                return 401
            case "subscribe":
                return self._subscribe(request)
            case "unsubscribe":
                self._subscriptions.remove(request.requested(self._stream.offered))
                self._send(self._subscriptions.document())
                return None
            case _:
                return 400

    def _authenticate(self, key: str, secret: str) -> int | None:
        if not credentials_match(self._stream.credentials, key, secret):
            return 402
        if self._stream.active_connection is not None:
            return 406
        self._stream.active_connection = self
        self._send({"T": "success", "msg": "authenticated"})
        return None

    def _subscribe(self, request: _Request) -> int | None:
        offered, before = self._stream.offered, self._pairs()
        if not request.is_valid(offered):
            return 400
        if not self._subscriptions.add(request.requested(offered)):
            return 405
        self._send(self._subscriptions.document())
        for channel, symbol in sorted(self._pairs() - before):
            if (initial := self._stream.initial_document(channel, symbol)) is not None:
                self.send_if_subscribed(channel, symbol, *initial)
        return None

    def _pairs(self) -> set[tuple[str, str]]:
        includes, listed = self._subscriptions.includes, self._stream.listed
        return {
            (channel, symbol)
            for channel in self._stream.offered.subscribable
            for symbol in listed
            if includes(channel, symbol)
        }

    def _is_active(self) -> bool:
        return self._stream.active_connection is self

    def _on_auth_timeout(self) -> None:
        if not self._is_active():
            self._send_error(404)
            self._closing = asyncio.create_task(self.socket.close())

    def _send_error(self, code: int) -> bool:
        self._send({"T": "error", "code": code, "msg": ERRORS[code]})
        return code in FATAL_CODES

    def _decode(self, frame: Frame) -> _Request | None:
        try:
            if self._is_msgpack and isinstance(frame, bytes):
                return msgspec.msgpack.decode(frame, type=_Request)
            return msgspec.json.decode(frame, type=_Request)
        except (msgspec.MsgspecError, ValueError):
            return None

    def _send(self, document: Document) -> None:
        try:
            # Every frame is an array, even for one message.
            self.socket.send(
                _TO_MSGPACK.encode([document]) if self._is_msgpack else _TO_JSON.encode([document]).decode()
            )
        except QueueOverflow:
            # A client this slow would not read an error message either.
            self.socket.abort()


def _timestamp(at_ns: int) -> msgspec.msgpack.Ext:
    seconds, rest_ns = divmod(at_ns, SECOND_NS)
    return msgspec.msgpack.Ext(-1, pack(">Q", rest_ns << 34 | seconds))
