"""A venue of a few words, over real sockets, and the dialect that speaks them: for trying what all venues share."""

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

from components.contracts.errors import ContractError
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.config import VenueConfig
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import Framed, Odd, Oddity
from components.market_data.core.instruments import Instrument, Kind, Registry
from components.market_data.core.rules import RangeRule, Remedy
from components.market_data.venues.dialect import (
    Alive,
    Ask,
    Channel,
    Confirmed,
    Control,
    Greeted,
    Leaving,
    Limits,
    LinePlan,
    Read,
    Refused,
    Say,
    Topic,
    Unsubscribed,
)
from components.market_data.venues.feed import VenueFeed
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics
from tests.support.eventually import eventually_async

TOY = Venue("TOY")
ONE, TWO, THREE = (Symbol(f"TOY:{base}-USD") for base in ("ONE", "TWO", "THREE"))
Told = TypeVar("Told")
Script = Callable[["ToyVenue", ServerConnection], Awaitable[None]]

LIMITS = {
    "topics_per_request": 2,
    "topics_per_line": 100,
    "sends_per_second": 50.0,
    "connects_per_second": 50.0,
    "silence_ms_max": 60_000,
    "answer_ms_max": 60_000,
    "requests_per_second": 100.0,
    "requests_burst": 10,
}


CONTROLS: dict[str, Callable[[dict[str, Any]], Control]] = {
    "ok": lambda said: Confirmed(tuple(said["ok"]), said.get("id")),
    "gone": lambda said: Unsubscribed(tuple(said["gone"]), said.get("id")),
    "no": lambda said: Refused(tuple(said["no"]), said["why"], said["final"], said.get("id")),
    "test": lambda _: Say('{"alive": 1}'),
    "bye": lambda said: Leaving(said["bye"]),
    "hi": lambda _: Greeted(),
    "tick": lambda _: Alive(),
}


class ToyConfig(VenueConfig):
    VENUE = "TOY"


def toy_config(venue: "ToyVenue", *symbols: str, **changes: Any) -> ToyConfig:
    """A patient setup on a quick machine."""
    usual = {
        "symbols": symbols or (ONE, TWO),
        "stream_url": venue.stream_url,
        "rest_url": venue.rest_url,
        "connect_ms_max": 3_000,
        "answer_ms_max": 3_000,
        "silence_ms_max": 60_000,
        "first_data_ms_max": 60_000,
        "mute_ms_max": 60_000,
        "patience_ms_max": 60_000,
        "retry_ms_first": 250,
        "retry_ms_max": 500,
        "healthy_ms": 60_000,
        "connects_burst": 50,
        "breaker_failures_max": 100,
        "breaker_pause_ms": 60_000,
        "frame_bytes_max": 16 * 1024 * 1024,
        "body_bytes_max": 100_000,
        "requests_waiting_max": 8,
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
    return ToyConfig.model_validate(usual | changes)


class ToyDialect:
    """A word for each thing a venue can say."""

    venue = TOY
    rule = RangeRule(remedy=Remedy.FETCH, fallback=Remedy.FETCH, overlaps=True)
    pushes_image = False

    def __init__(self, venue: "ToyVenue", *, greets: bool = False, trades: bool = False, **limits: Any) -> None:
        self.greets, self._trades, self._url = greets, trades, venue.stream_url
        self.limits = Limits(**(LIMITS | limits))
        self._registry = Registry(())

    def instrument_asks(self) -> Sequence[Ask]:
        return (Ask(path="/instruments"),)

    def read_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [instrument(native) for native in msgspec.json.decode(bodies[0], type=list[str])]

    def learn(self, registry: Registry) -> None:
        self._registry = registry

    def plan(self, symbols: Sequence[Symbol]) -> tuple[LinePlan, ...]:
        natives = [(symbol, self._registry.require(symbol).native) for symbol in symbols]
        depth = tuple(Topic(Channel.DEPTH, symbol, f"depth:{native}") for symbol, native in natives)
        if not self._trades:
            return (LinePlan("depth", self._url, depth),)
        trades = tuple(Topic(Channel.TRADES, symbol, f"trades:{native}") for symbol, native in natives)
        return (LinePlan("depth", self._url, depth), LinePlan("trades", self._url, trades))

    def hello(self) -> Iterable[str]:
        return ('{"hello": 1}',) if self.greets else ()

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        return json.dumps({"sub": list(names), "id": request_id})

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        return json.dumps({"unsub": list(names), "id": request_id})

    def ping(self) -> str | None:
        return None

    def read(self, frame: bytes, received_at_ns: int) -> Read:
        said = msgspec.json.decode(frame, type=dict[str, Any])
        word = next(iter(said))
        return Read(control=(CONTROLS[word](said),)) if word in CONTROLS else self._data(said, received_at_ns)

    def _data(self, said: dict[str, Any], at_ns: int) -> Read:
        native = next((said[key] for key in ("d", "i", "t", "q") if key in said), "")
        if native not in self._registry.by_native:
            return Read((Odd(Oddity.UNLISTED, str(said)[:40]),))
        symbol = self._registry.by_native[native].symbol
        match said:
            case {"d": _, "p": previous, "f": final}:
                return Read((DepthChange(symbol, previous, final, [("1", "1")], [], at_ns, at_ns),))
            case {"i": _, "f": final}:
                return Read((DepthImage(symbol, final, [("1", "1")], [], at_ns, at_ns, is_pushed=True),))
            case {"t": _, "n": number}:
                return Read((Trade(TOY, symbol, Decimal(number), Decimal(1), number, at_ns),))
            case {"q": _, "n": number}:
                price = Decimal(number)
                return Read((Quote(TOY, symbol, price, Decimal(1), price + 1, Decimal(1), number, at_ns),))
            case _:
                return Read((Odd(Oddity.UNKNOWN, str(said)[:40]),))

    def image_ask(self, symbol: Symbol) -> Ask:
        return Ask(path=f"/book?s={self._registry.require(symbol).native}", weight=2)

    def read_image(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthImage:
        try:
            final = msgspec.json.decode(body, type=dict[str, int])["f"]
        except (msgspec.MsgspecError, LookupError) as error:
            raise ContractError(f"{symbol}: no image: {error}") from error
        return DepthImage(symbol, final, [], [], received_at_ns, received_at_ns, is_pushed=False)

    def is_final(self, status: int) -> bool:
        return status in {403, 451}


def instrument(native: str) -> Instrument:
    base, _, quote = native.partition("-")
    symbol, one = Symbol(f"TOY:{native.upper()}"), Decimal(1)
    return Instrument(
        venue=TOY, symbol=symbol, native=native, kind=Kind.SPOT, base=base, quote=quote, settle=quote, tick=one, lot=one
    )


class Answer:
    """What the venue answers to one HTTP request."""

    def __init__(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.body, self.status = body, status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class ToyVenue:
    """The n-th connection gets the n-th script, later ones the last; HTTP answers are in `answers` by path."""

    def __init__(self, *scripts: Script, natives: Sequence[str] = ("one-usd", "two-usd", "three-usd")) -> None:
        self._scripts = scripts or (be_good,)
        self._server: Server | None = None
        self.statuses: list[tuple[int, dict[str, str]]] = []
        self.answers: dict[str, list[Answer]] = {
            "/instruments": [Answer(json.dumps(natives).encode())],
            "/book": [Answer(b'{"f": 5}')],
        }
        self.heard: list[dict[str, Any]] = []
        self.heard_at_ns: list[int] = []
        self.asked: list[str] = []
        self.upgrades_at_ns: list[int] = []
        self.connections: list[ServerConnection] = []
        self.listeners: list[ServerConnection] = []
        self.final = 0
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

    def said(self, key: str) -> list[list[str]]:
        """What was asked with one word, request by request."""
        return [one[key] for one in self.heard if key in one]

    async def listen(self, connection: ServerConnection) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(await connection.recv())
        self.heard.append(said)
        self.heard_at_ns.append(self.clock.monotonic_ns())
        return said

    def change(self, native: str) -> str:
        """The next change of a book; ids are the venue's own."""
        self.final += 1
        return json.dumps({"d": native, "p": self.final - 1, "f": self.final})

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/stream":
            return self._upgrade(connection)
        self.asked.append(request.path)
        waiting = self.answers.get(path, [Answer(status=404)])
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


async def confirm(venue: ToyVenue, connection: ServerConnection) -> list[str]:
    """Hear one request and confirm it; give its topics."""
    said = await venue.listen(connection)
    word, reply = ("sub", "ok") if "sub" in said else ("unsub", "gone")
    await connection.send(json.dumps({reply: said[word], "id": said["id"]}))
    return list(said[word]) if word == "sub" else []


async def be_good(venue: ToyVenue, connection: ServerConnection) -> None:
    """Confirm everything, and send a change of each book at once."""
    while True:
        for name in await confirm(venue, connection):
            channel, _, native = name.partition(":")
            data = venue.change(native) if channel == "depth" else json.dumps({"t": native, "n": 1})
            await connection.send(data)


async def be_quiet(venue: ToyVenue, connection: ServerConnection) -> None:
    """Confirm everything and say nothing."""
    while True:
        await confirm(venue, connection)


class ToyEar:
    """Runs a feed and keeps what it delivers."""

    def __init__(self, venue: ToyVenue, *symbols: str, dialect: Any = None, **changes: Any) -> None:
        self.metrics = Metrics("test", "0")
        setup = toy_config(venue, *symbols, **changes)
        self.feed = VenueFeed(dialect or ToyDialect(venue), setup, SystemClock(), lambda: 0.5, self.metrics)
        self.told: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.feed.run(self.told.append))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.feed.close()

    def all(self, kind: type[Told]) -> list[Told]:
        return [one for one in self.told if isinstance(one, kind)]

    def data(self, kind: type[Told]) -> list[Told]:
        return [datum for framed in self.all(Framed) for datum in framed.data if isinstance(datum, kind)]

    async def hears(self, kind: type[Told], count: int = 1, *, within_s: float = 5.0) -> list[Told]:
        async def enough() -> list[Told] | None:
            self._check()
            found = [*self.all(kind), *self.data(kind)]
            return found if len(found) >= count else None

        found = await eventually_async(enough, within_s=within_s)
        assert found is not None
        return found

    def counted(self, name: str, **labels: str) -> float:
        """Add up the samples of one metric that carry these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = self.metrics.exposition().decode().splitlines()
        rows = [line for line in lines if line.startswith(f"xtrader_{name}") and all(one in line for one in wanted)]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def _check(self) -> None:
        assert self._task is not None
        if self._task.done():
            self._task.result()
