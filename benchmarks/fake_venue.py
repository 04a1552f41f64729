"""A small venue in a process of its own: lists one instrument, streams its order flow at a pace, and can disconnect.

A format for each crypto venue: its list of instruments, its snapshots and updates, its reply to a subscription.
"""

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

import uvloop
from typing_extensions import override
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from benchmarks.order_flow import FlowUpdate, SimulatedFlow

FILTERS: Final = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "10000000"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
]
PAIR: Final = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": FILTERS}
PERPETUAL: Final = {"pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000}
Side = Iterable[tuple[int, str]]
Sides = tuple[Side, Side]


class VenueFormat(Protocol):
    """How one venue encodes its messages."""

    config_table: str
    """The venue's table in the configuration."""
    symbol: str

    def instruments(self) -> str:
        """Return the list of instruments."""

    def reply(self, request: dict[str, Any]) -> list[str]:
        """Return the reply to a request on the stream."""

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> str | None:
        """Return the snapshot with which a subscription starts; None where it is fetched."""

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        """Return the snapshot that is fetched."""

    def update(self, change: FlowUpdate, at_us: int) -> str:
        """Return an update."""


class _Binance:
    """The spot market: ids follow each other, so the flow's are U - 1 and u."""

    config_table, symbol = "binance", "BINANCE:BTC-USDT"

    def instruments(self) -> str:
        return json.dumps({"symbols": [PAIR]})

    def reply(self, request: dict[str, Any]) -> list[str]:
        return [json.dumps({"result": None, "id": request["id"]})]

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> None:  # noqa: ARG002 -- as a Tongue
        return None

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:  # noqa: ARG002 -- as a Tongue
        bids, asks = _best_first(flow)
        return f'{{"lastUpdateId":{flow.last_id},"bids":{_pairs(bids)},"asks":{_pairs(asks)}}}'

    def update(self, change: FlowUpdate, at_us: int) -> str:
        ids = f'"U":{change.prev_id + 1},"u":{change.last_id}'
        sides = f'"b":{_pairs(change.bids.items())},"a":{_pairs(change.asks.items())}'
        head = f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{at_us},"s":"BTCUSDT"'
        return f"{head},{ids},{sides}}}}}"


class _BinanceUm(_Binance):
    """USD-M futures."""

    config_table, symbol = "binanceum", "BINANCEUM:BTC-USDT-PERP"

    @override
    def instruments(self) -> str:
        return json.dumps({"symbols": [PAIR | PERPETUAL | {"marginAsset": "USDT"}]})

    @override
    def update(self, change: FlowUpdate, at_us: int) -> str:
        ids = f'"U":{change.prev_id + 1},"u":{change.last_id},"pu":{change.prev_id}'
        sides = f'"b":{_pairs(change.bids.items())},"a":{_pairs(change.asks.items())}'
        head = f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{at_us},"T":{at_us},"s":"BTCUSDT"'
        return f"{head},{ids},{sides}}}}}"


class _Okx:
    """OKX; its times are in milliseconds."""

    config_table, symbol = "okx", "OKX:BTC-USDT"

    def instruments(self) -> str:
        names = {"instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "state": "live"}
        return json.dumps({"code": "0", "data": [names | {"tickSz": "0.1", "lotSz": "0.001", "minSz": "0.001"}]})

    def reply(self, request: dict[str, Any]) -> list[str]:
        message = {"event": request["op"], "connId": "b", **({"id": request["id"]} if "id" in request else {})}
        return [json.dumps(message | {"arg": topic}) for topic in request["args"]]

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = _best_first(flow)
        return self._frame("snapshot", (bids, asks), -1, flow.last_id, at_us)

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = _best_first(flow)
        row = f'{{"asks":{_fours(asks)},"bids":{_fours(bids)},"ts":"{at_us // 1_000}","seqId":{flow.last_id}}}'
        return f'{{"code":"0","msg":"","data":[{row}]}}'

    def update(self, change: FlowUpdate, at_us: int) -> str:
        return self._frame("update", (change.bids.items(), change.asks.items()), change.prev_id, change.last_id, at_us)

    def _frame(self, action: str, sides: Sides, previous: int, final: int, at_us: int) -> str:
        head = f'{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}"'
        ids = f'"ts":"{at_us // 1_000}","checksum":0,"prevSeqId":{previous},"seqId":{final}'
        return f'{head},"data":[{{"asks":{_fours(sides[1])},"bids":{_fours(sides[0])},{ids}}}]}}'


class _Deribit:
    """Deribit, its perpetual future; its times are in milliseconds."""

    config_table, symbol = "deribit", "DERIBIT:BTC-USD-PERP"
    _native = "BTC-PERPETUAL"

    def instruments(self) -> str:
        names = {"instrument_name": self._native, "kind": "future", "settlement_period": "perpetual"}
        money = {"base_currency": "BTC", "quote_currency": "USD", "counter_currency": "USD", "is_active": True}
        steps = {"settlement_currency": "BTC", "tick_size": 0.1, "contract_size": 10.0, "min_trade_amount": 10.0}
        return json.dumps({"jsonrpc": "2.0", "result": [names | money | steps | {"instrument_type": "reversed"}]})

    def reply(self, request: dict[str, Any]) -> list[str]:
        result = request["params"]["channels"] if request["method"].endswith("subscribe") else "ok"
        return [json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})]

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = _best_first(flow)
        return self._frame("snapshot", (bids, asks), f'"change_id":{flow.last_id}', at_us)

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = (_numbers(side) for side in _best_first(flow))
        head = f'"timestamp":{at_us // 1_000},"instrument_name":"{self._native}","change_id":{flow.last_id}'
        return f'{{"jsonrpc":"2.0","result":{{{head},"bids":{bids},"asks":{asks}}}}}'

    def update(self, change: FlowUpdate, at_us: int) -> str:
        ids = f'"prev_change_id":{change.prev_id},"change_id":{change.last_id}'
        return self._frame("change", (change.bids.items(), change.asks.items()), ids, at_us)

    def _frame(self, kind: str, sides: Sides, ids: str, at_us: int) -> str:
        head = '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{'
        names = f'"type":"{kind}","timestamp":{at_us // 1_000},"instrument_name":"{self._native}"'
        return f'{head}{names},{ids},"bids":{_actions(sides[0])},"asks":{_actions(sides[1])}}}}}}}'


VENUE_FORMATS: Final[dict[str, VenueFormat]] = {
    one.config_table: one for one in (_Binance(), _BinanceUm(), _Okx(), _Deribit())
}
"""By the venue's table in the configuration."""


def _best_first(flow: SimulatedFlow) -> Sides:
    return sorted(flow.bids.items(), reverse=True), sorted(flow.asks.items())


def _price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}"


def _pairs(levels: Side) -> str:
    return "[" + ",".join([f'["{ticks // 10}.{ticks % 10}0","{size}"]' for ticks, size in levels]) + "]"


def _fours(levels: Side) -> str:
    return "[" + ",".join([f'["{ticks // 10}.{ticks % 10}","{size}","0","3"]' for ticks, size in levels]) + "]"


def _numbers(levels: Side) -> str:
    return "[" + ",".join([f"[{_price(ticks)},{float(size)}]" for ticks, size in levels]) + "]"


def _actions(levels: Side) -> str:
    return "[" + ",".join([_action(ticks, size) for ticks, size in levels]) + "]"


def _action(ticks: int, size: str) -> str:
    return f'["delete",{_price(ticks)},0.0]' if size == "0" else f'["change",{_price(ticks)},{float(size)}]'


SPAWN: Final = multiprocessing.get_context("spawn")
LEVELS: Final = 400
TURN_S: Final = 0.001
DISCONNECTED_S: Final = 0.3
ANSWER_S_MAX: Final = 30
LISTING: Final = ("exchangeInfo", "instruments")


class FakeVenueProcess:
    """The venue's process, as the benchmark uses it."""

    def __init__(self, venue_format: VenueFormat, *, per_second: int, core: int | None) -> None:
        self._pipe, far = SPAWN.Pipe()
        self._process = SPAWN.Process(
            target=_main, args=(far, venue_format.config_table, per_second, core), daemon=True
        )
        self._process.start()
        self.port: int = self._receive()

    def disconnect(self) -> None:
        """Close every connection and the port, and open the same port again a moment later."""
        self._pipe.send("disconnect")

    def accepted_at_ns(self) -> int:
        """Return when the first connection after a disconnect was accepted."""
        self._pipe.send("accepted")
        return int(self._receive())

    def close(self) -> None:
        """Terminate the process."""
        self._pipe.send("end")
        self._process.join()

    def _receive(self) -> Any:  # noqa: ANN401 -- numbers, by the question
        if not self._pipe.poll(ANSWER_S_MAX):
            raise TimeoutError("the venue of the benchmark does not answer")
        return self._pipe.recv()


def pin_to_core(core: int | None) -> None:
    """Pin this process to one core, where there are at least two."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def _main(pipe: Connection, table: str, per_second: int, core: int | None) -> None:
    pin_to_core(core)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Venue(VENUE_FORMATS[table], per_second, pipe).live())


class _Venue:
    def __init__(self, venue_format: VenueFormat, per_second: int, pipe: Connection) -> None:
        self._format, self._per_second, self._pipe = venue_format, per_second, pipe
        self._flow = SimulatedFlow(LEVELS, 1)
        self._changes = self._flow.updates()
        self._subscribers: set[ServerConnection] = set()
        self._server: Server | None = None
        self._port = self._accepted_at_ns = 0

    async def live(self) -> None:
        self._over = asyncio.Event()
        await self._open()
        self._pipe.send(self._port)
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._handle_command)
        async with asyncio.TaskGroup() as self._group:
            stream = self._group.create_task(self._stream())
            await self._over.wait()
            stream.cancel()
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        await self._close()

    def _handle_command(self) -> None:
        message = self._pipe.recv()
        if message == "disconnect":
            self._accepted_at_ns = 0
            self._group.create_task(self._disconnect())
        elif message == "accepted":
            self._pipe.send(self._accepted_at_ns)
        else:
            self._over.set()

    async def _disconnect(self) -> None:
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
            for connection in list(self._subscribers):
                connection.transport.abort()
            self._subscribers.clear()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002 -- its callback
        if "Upgrade" in request.headers:
            return None
        path, at_us = request.path.partition("?")[0], time.time_ns() // 1_000
        is_listing = any(path.endswith(word) for word in LISTING)
        body = (self._format.instruments() if is_listing else self._format.snapshot(self._flow, at_us)).encode()
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json", "Connection": "close"})
        return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, body)

    async def _listen(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in connection:
                if text == "ping":
                    await connection.send("pong")
                else:
                    await self._handle_request(connection, json.loads(text))
        self._subscribers.discard(connection)

    async def _handle_request(self, connection: ServerConnection, request: dict[str, Any]) -> None:
        for text in self._format.reply(request):
            await connection.send(text)
        word = str(request.get("method", request.get("op"))).lower()
        if not word.endswith("subscribe"):
            return
        self._subscribers.discard(connection)
        if "unsubscribe" not in word:
            snapshot = self._format.first_snapshot(self._flow, time.time_ns() // 1_000)
            if snapshot is not None:
                connection.transport.write(_framed(snapshot))
            self._subscribers.add(connection)

    async def _stream(self) -> None:
        """Send the frames that are due each millisecond, or one frame at a time where that is fewer."""
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
        if not self._subscribers:
            return
        frame = _framed(self._format.update(change, time.time_ns() // 1_000))
        for connection in self._subscribers:
            if connection.state is State.OPEN:
                connection.transport.write(frame)


def _framed(text: str) -> bytes:
    """Return a text as one websocket frame of a server; the library would cost more than the flow."""
    body = text.encode()
    size = len(body)
    if size < 126:
        return b"\x81" + bytes([size]) + body
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + body
    return b"\x81\x7f" + size.to_bytes(8, "big") + body
