"""The vendor's own client, unmodified, pointed at a sandbox, its streams on threads of their own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import OrderRequest
from alpaca.trading.stream import TradingStream

from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess

Found = TypeVar("Found")


@dataclass
class TradeUpdateCollector:
    """What the order stream has said so far."""

    all: list[TradeUpdate] = field(default_factory=list)

    async def on_update(self, said: TradeUpdate) -> None:
        """Keep one; the stream calls this."""
        self.all.append(said)

    def of_order(self, client_order_id: str) -> list[TradeUpdate]:
        """Pick what was said of one order."""
        return [one for one in self.all if one.order.client_order_id == client_order_id]

    def event_names(self, client_order_id: str) -> list[str]:
        """Name the events of one order in their order."""
        return [str(one.event) for one in self.of_order(client_order_id)]


@dataclass
class MarketDataCollector:
    """What the data stream has said so far."""

    all: list[Any] = field(default_factory=list)

    async def on_data(self, said: Any) -> None:
        """Keep one; the stream calls this."""
        self.all.append(said)

    def of_symbol(self, symbol: str) -> list[Any]:
        """Pick what was said of one symbol."""
        return [one for one in self.all if one.symbol == symbol]


def trading_client(sandbox: SandboxProcess, **overrides: Any) -> TradingClient:
    """Make the client that sends orders."""
    keys = sandbox.endpoints | overrides
    return TradingClient(keys["key"], keys["secret"], url_override=keys["trading_url"])


def trading_stream(sandbox: SandboxProcess, updates: TradeUpdateCollector) -> TradingStream:
    """Make the stream that hears of orders."""
    where = sandbox.endpoints
    stream = TradingStream(where["key"], where["secret"], url_override=where["stream_url"])
    stream.subscribe_trade_updates(updates.on_update)
    return stream


def data_stream(sandbox: SandboxProcess) -> StockDataStream:
    """Make the stream that hears of the market."""
    where = sandbox.endpoints
    return StockDataStream(where["key"], where["secret"], url_override=where["data_url"])


@contextmanager
def collected_trade_updates(sandbox: SandboxProcess) -> Iterator[TradeUpdateCollector]:
    """Hear of orders for the length of a block."""
    updates = TradeUpdateCollector()
    with running_stream(trading_stream(sandbox, updates)):
        eventually(lambda: sandbox.state()["heard"]["trade_updates"])
        yield updates


@contextmanager
def running_stream(stream: Any) -> Iterator[None]:
    """Run one of the client's streams on a loop of its own for the length of a block."""
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=_serve, args=(stream, loop, stopped))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


def connect_once(stream: Any) -> None:
    """Try to enter once, as a stream does before it listens; a refusal raises what the client makes of it."""

    async def attempt() -> None:
        try:
            await stream._start_ws()  # noqa: SLF001
        finally:
            await stream.close()

    asyncio.run(attempt())


def _serve(stream: Any, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    loop.run_until_complete(_live(stream, stopped))
    loop.close()


async def _live(stream: Any, stopped: asyncio.Event) -> None:
    # Its own `run` can only be stopped from within, and takes seconds to notice.
    task = asyncio.ensure_future(stream._run_forever())  # noqa: SLF001
    await stopped.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await stream.close()


def expect_type(found: Any, kind: type[Found]) -> Found:
    """Narrow an answer that could also have been raw data."""
    assert isinstance(found, kind)
    return found


def submit_order(client: TradingClient, asked: OrderRequest) -> Order:
    """Submit an order."""
    return expect_type(client.submit_order(asked), Order)


def order_by_client_id(client: TradingClient, client_order_id: str) -> Order:
    """Find an order by its client's id."""
    return expect_type(client.get_order_by_client_id(client_order_id), Order)


def wait_for_status(client: TradingClient, client_order_id: str, status: str) -> Order:
    """Wait until an order stands where it should, then give it."""

    def probe() -> Order | None:
        order = order_by_client_id(client, client_order_id)
        return order if str(order.status.value) == status else None

    found = eventually(probe)
    assert found is not None
    return found


@contextmanager
def expect_api_error(status: int, code: int, message: str) -> Iterator[None]:
    """Expect the venue to say no within this block, in these words."""
    with pytest.raises(APIError) as refused:
        yield
    said = refused.value
    assert (said.status_code, said.code, said.message) == (status, code, message)
