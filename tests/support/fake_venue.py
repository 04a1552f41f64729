"""A minimal venue on real sockets and its adapter, to test what all venues share."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Self, TypeVar

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from components.contracts.errors import ProtocolError
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.config import VenueConfig
from components.market_data.core.book.sequencing import RangeRule, ResyncMethod
from components.market_data.core.events import DecodedFrame, DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind
from components.market_data.core.instruments import Instrument, InstrumentRegistry, InstrumentType
from components.market_data.venues.adapter import (
    Authenticated,
    Channel,
    ConnectionPlan,
    ControlMessage,
    Decoded,
    Heartbeat,
    Limits,
    Reply,
    RestRequest,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    Topic,
    UnsubscribeAck,
)
from components.market_data.venues.feeds import VenueFeed
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics
from tests.support.eventually import eventually_async

FAKE_VENUE = Venue("TOY")
ONE, TWO, THREE = (Symbol(f"TOY:{base}-USD") for base in ("ONE", "TWO", "THREE"))
Delivered = TypeVar("Delivered")
Script = Callable[["FakeVenue", ServerConnection], Awaitable[None]]
LIMITS = {
    "topics_per_request": 2,
    "topics_per_connection": 100,
    "sends_per_second": 50.0,
    "connects_per_second": 50.0,
    "ping_after_idle_ms": 60_000,
    "reply_timeout_ms": 60_000,
    "requests_per_second": 100.0,
    "requests_burst": 10,
}
CONTROLS: dict[str, Callable[[dict[str, Any]], ControlMessage]] = {
    "ok": lambda message: SubscribeAck(tuple(message["ok"]), message.get("id")),
    "gone": lambda message: UnsubscribeAck(tuple(message["gone"]), message.get("id")),
    "no": lambda message: SubscribeRejected(tuple(message["no"]), message["why"], message["final"], message.get("id")),
    "test": lambda _: Reply('{"alive": 1}'),
    "bye": lambda message: ShutdownNotice(message["bye"]),
    "hi": lambda _: Authenticated(),
    "tick": lambda _: Heartbeat(),
}


class FakeVenueConfig(VenueConfig):
    VENUE = "TOY"


def fake_venue_config(venue: "FakeVenue", *symbols: str, **changes: Any) -> FakeVenueConfig:
    """Return a configuration with long timeouts."""
    usual = {
        "symbols": symbols or (ONE, TWO),
        "stream_url": venue.stream_url,
        "rest_url": venue.rest_url,
        "connect_timeout_ms": 3_000,
        "reply_timeout_ms": 3_000,
        "ping_after_idle_ms": 60_000,
        "first_data_timeout_ms": 60_000,
        "no_data_timeout_ms": 60_000,
        "adaptive_timeout_ms_max": 60_000,
        "retry_ms_first": 250,
        "retry_ms_max": 500,
        "healthy_after_ms": 60_000,
        "connects_burst": 50,
        "breaker_failures_max": 100,
        "breaker_pause_ms": 60_000,
        "frame_bytes_max": 16 * 1024 * 1024,
        "body_bytes_max": 100_000,
        "requests_queued_max": 8,
        "instruments_every_s": 3_600,
        "levels_published": 10,
        "book_age_ms_max": 60_000,
        "audit_every_s": 0,
        "quotes": True,
        "trades": True,
        "queues": {
            "depth": "block",
            "depth_max": 100,
            "quotes": "conflate",
            "quotes_max": 100,
            "trades": "drop_oldest",
            "trades_max": 100,
        },
    }
    return FakeVenueConfig.model_validate(usual | changes)


class FakeVenueAdapter:
    """An adapter with one message type for each thing that a venue can send."""

    venue = FAKE_VENUE
    sequence_rule = RangeRule(resync_method=ResyncMethod.FETCH, fallback_method=ResyncMethod.FETCH, ranges_overlap=True)
    pushes_snapshot = False

    def __init__(
        self, venue: "FakeVenue", *, requires_login: bool = False, trades: bool = False, **limits: Any
    ) -> None:
        self.requires_login, self._trades, self._url = requires_login, trades, venue.stream_url
        self.limits = Limits(**(LIMITS | limits))
        self._registry = InstrumentRegistry(())

    def instrument_requests(self) -> Sequence[RestRequest]:
        return (RestRequest(path="/instruments"),)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [instrument(native) for native in msgspec.json.decode(bodies[0], type=list[str])]

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        self._registry = registry

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        natives = [(symbol, self._registry.require(symbol).venue_symbol) for symbol in symbols]
        depth = tuple(Topic(Channel.DEPTH, symbol, f"depth:{native}") for symbol, native in natives)
        if not self._trades:
            return (ConnectionPlan("depth", self._url, depth),)
        trades = tuple(Topic(Channel.TRADES, symbol, f"trades:{native}") for symbol, native in natives)
        return (ConnectionPlan("depth", self._url, depth), ConnectionPlan("trades", self._url, trades))

    def login_messages(self) -> Iterable[str]:
        return ('{"hello": 1}',) if self.requires_login else ()

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        return json.dumps({"sub": list(names), "id": request_id})

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        return json.dumps({"unsub": list(names), "id": request_id})

    def ping_message(self) -> str | None:
        return None

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        message = msgspec.json.decode(frame, type=dict[str, Any])
        kind = next(iter(message))
        return Decoded(control=(CONTROLS[kind](message),)) if kind in CONTROLS else self._data(message, received_at_ns)

    def _data(self, message: dict[str, Any], at_ns: int) -> Decoded:
        native = next((message[key] for key in ("d", "i", "t", "q") if key in message), "")
        if native not in self._registry.by_venue_symbol:
            return Decoded((DecodeIssue(IssueKind.UNLISTED, str(message)[:40]),))
        symbol = self._registry.by_venue_symbol[native].symbol
        match message:
            case {"d": _, "p": previous, "f": final}:
                return Decoded((DepthUpdate(symbol, previous, final, [("1", "1")], [], at_ns, at_ns),))
            case {"i": _, "f": final}:
                return Decoded((DepthSnapshot(symbol, final, [("1", "1")], [], at_ns, at_ns, is_pushed=True),))
            case {"t": _, "n": number}:
                return Decoded((Trade(FAKE_VENUE, symbol, Decimal(number), Decimal(1), number, at_ns),))
            case {"q": _, "n": number}:
                price = Decimal(number)
                return Decoded((Quote(FAKE_VENUE, symbol, price, Decimal(1), price + 1, Decimal(1), number, at_ns),))
            case _:
                return Decoded((DecodeIssue(IssueKind.UNKNOWN, str(message)[:40]),))

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        return RestRequest(path=f"/book?s={self._registry.require(symbol).venue_symbol}", weight=2)

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        try:
            final = msgspec.json.decode(body, type=dict[str, int])["f"]
        except (msgspec.MsgspecError, LookupError) as error:
            raise ProtocolError(f"{symbol}: no image: {error}") from error
        return DepthSnapshot(symbol, final, [], [], received_at_ns, received_at_ns, is_pushed=False)

    def is_permanent_status(self, status: int) -> bool:
        return status in {403, 451}


def instrument(native: str) -> Instrument:
    base, _, quote = native.partition("-")
    symbol, one = Symbol(f"TOY:{native.upper()}"), Decimal(1)
    return Instrument(
        venue=FAKE_VENUE,
        symbol=symbol,
        venue_symbol=native,
        instrument_type=InstrumentType.SPOT,
        base=base,
        quote=quote,
        settle=quote,
        tick=one,
        lot=one,
    )


class HttpReply:
    """The venue's response to one HTTP request."""

    def __init__(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.body, self.status = body, status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class FakeVenue:
    """The n-th connection gets the n-th script, later ones the last; HTTP responses are in `replies` by path."""

    def __init__(self, *scripts: Script, natives: Sequence[str] = ("one-usd", "two-usd", "three-usd")) -> None:
        self._scripts = scripts or (confirm_and_send,)
        self._server: Server | None = None
        self.statuses: list[tuple[int, dict[str, str]]] = []
        self.replies: dict[str, list[HttpReply]] = {
            "/instruments": [HttpReply(json.dumps(natives).encode())],
            "/book": [HttpReply(b'{"f": 5}')],
        }
        self.received: list[dict[str, Any]] = []
        self.received_at_ns: list[int] = []
        self.http_requests: list[str] = []
        self.upgrades_at_ns: list[int] = []
        self.connections: list[ServerConnection] = []
        self.listeners: list[ServerConnection] = []
        self.last_id = 0
        self.clock = SystemClock()

    async def __aenter__(self) -> Self:
        self.is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._server = await serve(
            self._converse, "127.0.0.1", 0, process_request=self._answer, compression=None, ping_interval=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.is_over.set_result(None)
        for connection in self.connections:
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests_of(self, key: str) -> list[list[str]]:
        """Return the topics of each websocket request of one kind."""
        return [one[key] for one in self.received if key in one]

    async def receive(self, connection: ServerConnection) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await connection.recv())
        self.received.append(message)
        self.received_at_ns.append(self.clock.monotonic_ns())
        return message

    def next_update(self, native: str) -> str:
        """Return the next update of a book; ids are the venue's own."""
        self.last_id += 1
        return json.dumps({"d": native, "p": self.last_id - 1, "f": self.last_id})

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/stream":
            return self._upgrade(connection)
        self.http_requests.append(request.path)
        waiting = self.replies.get(path, [HttpReply(status=404)])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        headers = Headers({"Content-Length": str(len(answer.body)), "Connection": "close"} | answer.headers)
        return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)

    def _upgrade(self, connection: ServerConnection) -> Response | None:
        self.upgrades_at_ns.append(self.clock.monotonic_ns())
        if not self.statuses:
            return None
        status, headers = self.statuses.pop(0)
        response = connection.respond(HTTPStatus(status), "no")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def _converse(self, connection: ServerConnection) -> None:
        script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
        self.connections.append(connection)
        with suppress(ConnectionClosed):
            await script(self, connection)


async def confirm(venue: FakeVenue, connection: ServerConnection) -> list[str]:
    """Receive one request and confirm it; return its topics."""
    message = await venue.receive(connection)
    kind, reply = ("sub", "ok") if "sub" in message else ("unsub", "gone")
    await connection.send(json.dumps({reply: message[kind], "id": message["id"]}))
    return list(message[kind]) if kind == "sub" else []


async def confirm_and_send(venue: FakeVenue, connection: ServerConnection) -> None:
    """Confirm everything, and send an update of each book at once."""
    while True:
        for name in await confirm(venue, connection):
            channel, _, native = name.partition(":")
            data = venue.next_update(native) if channel == "depth" else json.dumps({"t": native, "n": 1})
            await connection.send(data)


async def confirm_only(venue: FakeVenue, connection: ServerConnection) -> None:
    """Confirm everything and send no data."""
    while True:
        await confirm(venue, connection)


class FeedHarness:
    """Runs a feed and stores what it delivers."""

    def __init__(self, venue: FakeVenue, *symbols: str, adapter: Any = None, **changes: Any) -> None:
        self.metrics = Metrics("test", "0")
        setup = fake_venue_config(venue, *symbols, **changes)
        self.feed = VenueFeed(adapter or FakeVenueAdapter(venue), setup, SystemClock(), lambda: 0.5, self.metrics)
        self.delivered: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.feed.run(self.delivered.append))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.feed.close()

    def all(self, kind: type[Delivered]) -> list[Delivered]:
        return [one for one in self.delivered if isinstance(one, kind)]

    def data(self, kind: type[Delivered]) -> list[Delivered]:
        return [datum for framed in self.all(DecodedFrame) for datum in framed.data if isinstance(datum, kind)]

    async def wait_for(self, kind: type[Delivered], count: int = 1, *, within_s: float = 5.0) -> list[Delivered]:
        async def enough() -> list[Delivered] | None:
            self._check()
            found = [*self.all(kind), *self.data(kind)]
            return found if len(found) >= count else None

        found = await eventually_async(enough, within_s=within_s)
        assert found is not None
        return found

    def metric_sum(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of one metric that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = self.metrics.exposition().decode().splitlines()
        rows = [line for line in lines if line.startswith(f"xtrader_{name}") and all(one in line for one in wanted)]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def _check(self) -> None:
        assert self._task is not None
        if self._task.done():
            self._task.result()
