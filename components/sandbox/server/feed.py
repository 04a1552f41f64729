"""The market-data websockets: what is heard is subscribed symbol by symbol, in JSON or msgpack as the peer asks."""

import asyncio
import re
from struct import pack

import msgspec
from aiohttp import web

from components.sandbox.core.session import NANOSECONDS
from components.sandbox.core.stamps import stamp
from components.sandbox.core.subscriptions import STAR, STOCKS, Channels, Subscriptions
from components.sandbox.server.sockets import Frame, Overflow, Socket
from components.sandbox.server.store import Credentials
from components.sandbox.server.updates import matches

AUTHENTICATE_WITHIN_S = 10.0
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
FATAL = frozenset({402, 404, 406})
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

    def wanted(self, offered: Channels) -> dict[str, list[str]]:
        return {name: getattr(self, name) for name in offered.asked}

    def is_legal(self, offered: Channels) -> bool:
        wanted = self.wanted(offered)
        return all(one == STAR or _SYMBOL.fullmatch(one) for symbols in wanted.values() for one in symbols)


class Feed:
    """One endpoint such as /v2/iex: one authenticated connection at a time."""

    offered = STOCKS

    def __init__(
        self, credentials: Credentials, listed: frozenset[str], authenticate_within_s: float = AUTHENTICATE_WITHIN_S
    ) -> None:
        self.authenticate_within_s = authenticate_within_s
        self.credentials = credentials
        self.listed = listed
        self.holder: _Listener | None = None

    def publish(self, channel: str, symbol: str, document: Document, at_ns: int) -> None:
        """Tell the listener, if it wants this."""
        if self.holder is not None and symbol in self.listed:
            self.holder.tell(channel, symbol, document, at_ns)

    def beginning(self, channel: str, symbol: str) -> tuple[Document, int] | None:  # noqa: ARG002 -- here of nothing
        """Give what a fresh subscription begins with, and its time; prices just go on."""
        return None

    def heard(self) -> Document | None:
        """State what the listener has subscribed to; nothing where nobody listens."""
        return None if self.holder is None else self.holder.subscribed()

    def drop(self) -> None:
        """Cut the listener off without a word."""
        if self.holder is not None:
            self.holder.socket.abort()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a connection until it ends."""
        listener = _Listener(self, request)
        try:
            await listener.converse(request)
        finally:
            if self.holder is listener:
                self.holder = None
        return listener.socket.response


class _Listener:
    """One connection with its encoding, its standing and its subscriptions."""

    def __init__(self, feed: Feed, request: web.Request) -> None:
        self.socket = Socket(request)
        self._feed = feed
        self._packed = "msgpack" in request.headers.get("Content-Type", "")
        self._subscriptions = Subscriptions(SYMBOLS_MAX, feed.listed, feed.offered)

    async def converse(self, request: web.Request) -> None:
        self._say({"T": "success", "msg": "connected"})
        key, secret = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
        if key is not None and secret is not None and (code := self._authenticate(key, secret)) is not None:
            self._refuse(code)
        deadline = asyncio.get_running_loop().call_later(self._feed.authenticate_within_s, self._time_out)
        try:
            async for frame in self.socket.messages():
                if (code := self._hear(frame)) is not None and self._refuse(code):
                    await self.socket.close()
        finally:
            deadline.cancel()

    def subscribed(self) -> Document:
        return self._subscriptions.document()

    def tell(self, channel: str, symbol: str, document: Document, at_ns: int) -> None:
        if self._subscriptions.hears(channel, symbol):
            self._say({**document, "t": _timestamp(at_ns) if self._packed else stamp(at_ns)})

    def _hear(self, frame: Frame) -> int | None:
        request = self._decode(frame)
        if request is None:
            return 400
        match request.action:
            case "auth":
                return 403 if self._holds() else self._authenticate(request.key, request.secret)
            case "subscribe" | "unsubscribe" if not self._holds():
                return 401
            case "subscribe":
                return self._subscribe(request)
            case "unsubscribe":
                self._subscriptions.remove(request.wanted(self._feed.offered))
                self._say(self._subscriptions.document())
                return None
            case _:
                return 400

    def _authenticate(self, key: str, secret: str) -> int | None:
        if not matches(self._feed.credentials, key, secret):
            return 402
        if self._feed.holder is not None:
            return 406
        self._feed.holder = self
        self._say({"T": "success", "msg": "authenticated"})
        return None

    def _subscribe(self, request: _Request) -> int | None:
        offered, before = self._feed.offered, self._pairs()
        if not request.is_legal(offered):
            return 400
        if not self._subscriptions.add(request.wanted(offered)):
            return 405
        self._say(self._subscriptions.document())
        for channel, symbol in sorted(self._pairs() - before):
            if (beginning := self._feed.beginning(channel, symbol)) is not None:
                self.tell(channel, symbol, *beginning)
        return None

    def _pairs(self) -> set[tuple[str, str]]:
        heard, listed = self._subscriptions.hears, self._feed.listed
        return {
            (channel, symbol) for channel in self._feed.offered.asked for symbol in listed if heard(channel, symbol)
        }

    def _holds(self) -> bool:
        return self._feed.holder is self

    def _time_out(self) -> None:
        if not self._holds():
            self._refuse(404)
            self._closing = asyncio.create_task(self.socket.close())

    def _refuse(self, code: int) -> bool:
        self._say({"T": "error", "code": code, "msg": ERRORS[code]})
        return code in FATAL

    def _decode(self, frame: Frame) -> _Request | None:
        try:
            if self._packed and isinstance(frame, bytes):
                return msgspec.msgpack.decode(frame, type=_Request)
            return msgspec.json.decode(frame, type=_Request)
        except (msgspec.MsgspecError, ValueError):
            return None

    def _say(self, document: Document) -> None:
        try:
            # Every frame is an array, even of one.
            self.socket.say(_TO_MSGPACK.encode([document]) if self._packed else _TO_JSON.encode([document]).decode())
        except Overflow:
            # A client this slow would not read the word for it either.
            self.socket.abort()


def _timestamp(at_ns: int) -> msgspec.msgpack.Ext:
    seconds, rest_ns = divmod(at_ns, NANOSECONDS)
    return msgspec.msgpack.Ext(-1, pack(">Q", rest_ns << 34 | seconds))
