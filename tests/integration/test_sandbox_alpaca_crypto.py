"""The sandbox's crypto stream, tested with Alpaca's own client library and with our adapter."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.live import CryptoDataStream
from alpaca.data.models import Orderbook, Quote, Trade
from alpaca.data.requests import CryptoLatestOrderbookRequest
from websockets.asyncio.client import connect

from components.contracts.market import BookState
from components.contracts.values import Symbol
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits, SyncResult
from components.market_data.core.events import DepthSnapshot, DepthUpdate
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import (
    ApiCredentials,
    Authenticated,
    Channel,
    Decoded,
    SubscribeAck,
    UnsubscribeAck,
)
from components.market_data.venues.alpaca.adapter import AlpacaCryptoAdapter
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.runtime.config.secrets import Secret
from tests.support.alpaca_py import MarketDataCollector, connect_once, running_stream
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration

PATH = "/v1beta3/crypto/us"
BTC = Symbol("ALPACA:BTC-USD")
FRAMES_MAX = 400
Level = dict[float, float]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--symbols", "AAPL", "--crypto-rate", "20") as own:
        yield own


@pytest.fixture
def free(sandbox: SandboxProcess) -> SandboxProcess:
    """Wait until the connection of the previous test is closed."""
    eventually(lambda: sandbox.state()["subscribers"]["crypto"] is None)
    return sandbox


def stream_url(sandbox: SandboxProcess) -> str:
    return sandbox.endpoints["trading_url"].replace("http", "ws", 1) + PATH


def vendors(sandbox: SandboxProcess) -> CryptoDataStream:
    where = sandbox.endpoints
    return CryptoDataStream(where["key"], where["secret"], url_override=stream_url(sandbox))


class MaintainedBook:
    """A book maintained from the messages of Alpaca's client library, with its top after each of them."""

    def __init__(self) -> None:
        self.resets = 0
        self.at: dict[datetime, tuple[Level, Level]] = {}
        self._sides: tuple[Level, Level] = ({}, {})

    async def on_orderbook(self, message: Any) -> None:
        assert isinstance(message, Orderbook)
        if message.reset:
            self.resets += 1
            self._sides = ({}, {})
        for side, levels in zip(self._sides, (message.bids, message.asks), strict=True):
            for level in levels:
                side[level.price] = level.size
                if not level.size:
                    del side[level.price]
        self.at[message.timestamp] = (self._sides[0].copy(), self._sides[1].copy())


def test_the_vendors_client_maintains_the_venues_book(free: SandboxProcess) -> None:
    stream, maintained, others = vendors(free), MaintainedBook(), MarketDataCollector()
    stream.subscribe_orderbooks(maintained.on_orderbook, "BTC/USD")
    stream.subscribe_quotes(others.on_data, "BTC/USD", "ETH/USD")
    stream.subscribe_trades(others.on_data, "*")
    rest = CryptoHistoricalDataClient(url_override=free.endpoints["trading_url"])

    def matches_venue() -> bool:
        found = rest.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD"))
        book = found["BTC/USD"]
        if len(maintained.at) < 20 or book.timestamp not in maintained.at:
            return False
        sides = tuple({level.price: level.size for level in side} for side in (book.bids, book.asks))
        assert maintained.at[book.timestamp] == sides
        return True

    with running_stream(stream):
        eventually(matches_venue, within_s=15.0)
        eventually(lambda: {type(one) for one in others.all} == {Quote, Trade}, within_s=15.0)
        assert free.state()["subscribers"]["crypto"]["orderbooks"] == ["BTC/USD"]
    assert maintained.resets == 1
    assert all(max(bids) < min(asks) for bids, asks in maintained.at.values())
    quotes = [one for one in others.all if isinstance(one, Quote)]
    assert {one.symbol for one in quotes} == {"BTC/USD", "ETH/USD"}
    assert all(one.bid_price < one.ask_price for one in quotes)


def test_one_authenticated_connection_is_allowed(free: SandboxProcess) -> None:
    first, second = vendors(free), vendors(free)
    first.subscribe_quotes(MarketDataCollector().on_data, "BTC/USD")
    with running_stream(first):
        eventually(lambda: free.state()["subscribers"]["crypto"] is not None)
        with pytest.raises(ValueError, match="connection limit exceeded"):
            connect_once(second)
    where = free.endpoints
    with pytest.raises(ValueError, match="auth failed"):
        connect_once(CryptoDataStream(where["key"], "wrong", url_override=stream_url(free)))


def test_books_over_rest_need_no_authentication(sandbox: SandboxProcess) -> None:
    url = f"{sandbox.endpoints['trading_url']}{PATH}/latest/orderbooks"
    books = httpx.get(url, params={"symbols": "BTC/USD,DOGE/USD"}).json()["orderbooks"]
    assert list(books) == ["BTC/USD"]
    assert set(books["BTC/USD"]) == {"t", "b", "a"}
    assert httpx.get(url).status_code == 400


def our_adapter(sandbox: SandboxProcess) -> AlpacaCryptoAdapter:
    where = sandbox.endpoints
    keys = ApiCredentials(Secret(where["key"].encode()), Secret(where["secret"].encode()))
    adapter = AlpacaCryptoAdapter(stream_url(sandbox), where["trading_url"], CryptoSettings(), keys)
    bodies = [httpx.get(where["trading_url"] + request.path).content for request in adapter.instrument_requests()]
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments(bodies)))
    return adapter


class AdapterConnection:
    """One connection of our adapter, received frame by frame."""

    def __init__(self, connection: Any, adapter: AlpacaCryptoAdapter) -> None:
        self.connection, self.adapter = connection, adapter
        self.book = BookSynchronizer(BTC, adapter.sequence_rule, SyncLimits(), 0, lambda: 0.5)
        self.results: list[SyncResult] = []

    async def until(self, kind: type[object]) -> Any:
        """Receive until such a control message arrives; apply book frames meanwhile."""
        for _ in range(FRAMES_MAX):
            decoded = await self.receive()
            found = next((one for one in decoded.control if isinstance(one, kind)), None)
            if found is not None:
                return found
        raise AssertionError(f"{FRAMES_MAX} frames, and no {kind.__name__}")

    async def receive(self) -> Decoded:
        """Receive one frame."""
        async with asyncio.timeout(scaled(5)):
            decoded = self.adapter.decode(await self.connection.recv(decode=False), 1)
        for one in decoded.data:
            if isinstance(one, DepthSnapshot):
                self.results.append(self.book.apply_snapshot(one))
            elif isinstance(one, DepthUpdate):
                self.results.append(self.book.apply_update(one))
        return decoded


def test_our_adapter_subscribes_and_a_new_subscription_starts_with_a_snapshot(free: SandboxProcess) -> None:
    asyncio.run(_subscribe_twice(free))


async def _subscribe_twice(sandbox: SandboxProcess) -> None:
    adapter = our_adapter(sandbox)
    (plan,) = adapter.plan_connections([BTC])
    books = [topic.name for topic in plan.topics if topic.channel is Channel.DEPTH]
    async with connect(plan.url, compression=None, proxy=None) as connection:
        client = AdapterConnection(connection, adapter)
        for text in adapter.login_messages():
            await connection.send(text)
        await client.until(Authenticated)
        for number in (1, 3):
            client.book.on_subscribed(0, pushes_snapshot=adapter.pushes_snapshot)
            await connection.send(adapter.subscribe_message(books, number))
            assert await client.until(SubscribeAck) == SubscribeAck(tuple(books), number)
            client.results.clear()
            while client.results.count(SyncResult.APPLIED) < 5:
                await client.receive()
            assert client.results[0] is SyncResult.SYNCED
            assert client.book.state is BookState.SYNCED
            await connection.send(adapter.unsubscribe_message(books, number + 1))
            assert await client.until(UnsubscribeAck) == UnsubscribeAck(tuple(books), number + 1)
    assert client.book.stats.snapshots == 2


def test_a_stock_channel_is_not_offered(free: SandboxProcess) -> None:
    asyncio.run(_subscribe_to_statuses(free))


async def _subscribe_to_statuses(sandbox: SandboxProcess) -> None:
    where = sandbox.endpoints
    async with connect(stream_url(sandbox), compression=None, proxy=None) as connection:
        await connection.recv()
        await connection.send(json.dumps({"action": "auth", "key": where["key"], "secret": where["secret"]}))
        await connection.recv()
        await connection.send(json.dumps({"action": "subscribe", "statuses": ["BTC/USD"], "bars": ["BTC/USD"]}))
        async with asyncio.timeout(scaled(5)):
            (reply,) = json.loads(await connection.recv())
    assert "statuses" not in reply
    assert "corrections" not in reply
    assert reply["bars"] == ["BTC/USD"]
