"""The vendor's own client, unmodified, connected to a sandbox; its streams run on threads of their own."""

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
    """Everything that the order stream has delivered."""

    all: list[TradeUpdate] = field(default_factory=list)

    async def on_update(self, message: TradeUpdate) -> None:
        """Store one update; the stream calls this."""
        self.all.append(message)

    def of_order(self, client_order_id: str) -> list[TradeUpdate]:
        """Return the updates of one order."""
        return [one for one in self.all if one.order.client_order_id == client_order_id]

    def event_names(self, client_order_id: str) -> list[str]:
        """Return the names of one order's events in their order."""
        return [str(one.event) for one in self.of_order(client_order_id)]


@dataclass
class MarketDataCollector:
    """Everything that the data stream has delivered."""

    all: list[Any] = field(default_factory=list)

    async def on_data(self, message: Any) -> None:
        """Store one message; the stream calls this."""
        self.all.append(message)

    def of_symbol(self, symbol: str) -> list[Any]:
        """Return the messages of one symbol."""
        return [one for one in self.all if one.symbol == symbol]


def trading_client(sandbox: SandboxProcess, **overrides: Any) -> TradingClient:
    """Return the client that submits orders."""
    keys = sandbox.endpoints | overrides
    return TradingClient(keys["key"], keys["secret"], url_override=keys["trading_url"])


def trading_stream(sandbox: SandboxProcess, updates: TradeUpdateCollector) -> TradingStream:
    """Return the stream of trade updates."""
    where = sandbox.endpoints
    stream = TradingStream(where["key"], where["secret"], url_override=where["stream_url"])
    stream.subscribe_trade_updates(updates.on_update)
    return stream


def data_stream(sandbox: SandboxProcess) -> StockDataStream:
    """Return the stream of market data."""
    where = sandbox.endpoints
    return StockDataStream(where["key"], where["secret"], url_override=where["data_url"])


@contextmanager
def collected_trade_updates(sandbox: SandboxProcess) -> Iterator[TradeUpdateCollector]:
    """Collect trade updates for the length of a block."""
    updates = TradeUpdateCollector()
    with running_stream(trading_stream(sandbox, updates)):
        eventually(lambda: sandbox.state()["subscribers"]["trade_updates"])
        yield updates


@contextmanager
def running_stream(stream: Any) -> Iterator[None]:
    """Run one of the client's streams on an event loop of its own for the length of a block."""
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=_serve, args=(stream, loop, stopped))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


def connect_once(stream: Any) -> None:
    """Connect and log in once, as a stream does before it reads; a rejection raises the client's own exception."""

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
    # Its own `run` can only be stopped from within, and needs seconds to notice.
    task = asyncio.ensure_future(stream._run_forever())  # noqa: SLF001
    await stopped.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await stream.close()


def expect_type(found: Any, kind: type[Found]) -> Found:
    """Narrow the type of a response that could also have been raw data."""
    assert isinstance(found, kind)
    return found


def submit_order(client: TradingClient, request: OrderRequest) -> Order:
    """Submit an order."""
    return expect_type(client.submit_order(request), Order)


def order_by_client_id(client: TradingClient, client_order_id: str) -> Order:
    """Return the order with this client order id."""
    return expect_type(client.get_order_by_client_id(client_order_id), Order)


def wait_for_status(client: TradingClient, client_order_id: str, status: str) -> Order:
    """Wait until an order has a status, then return it."""

    def probe() -> Order | None:
        order = order_by_client_id(client, client_order_id)
        return order if str(order.status.value) == status else None

    found = eventually(probe)
    assert found is not None
    return found


@contextmanager
def expect_api_error(status: int, code: int, message: str) -> Iterator[None]:
    """Expect the venue to reject a request within this block with exactly this error."""
    with pytest.raises(APIError) as refused:
        yield
    error = refused.value
    assert (error.status_code, error.code, error.message) == (status, code, message)
