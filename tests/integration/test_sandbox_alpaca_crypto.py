"""The sandbox's crypto stream: the vendor's own client hears books it can keep, and so does ours."""

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
    """A sandbox whose one place is not taken by the test before."""
    eventually(lambda: sandbox.state()["heard"]["crypto"] is None)
    return sandbox


def stream_url(sandbox: SandboxProcess) -> str:
    return sandbox.endpoints["trading_url"].replace("http", "ws", 1) + PATH


def vendors(sandbox: SandboxProcess) -> CryptoDataStream:
    where = sandbox.endpoints
    return CryptoDataStream(where["key"], where["secret"], url_override=stream_url(sandbox))


class Kept:
    """A book kept from what the vendor's client says, and what its top was at each moment."""

    def __init__(self) -> None:
        self.resets = 0
        self.at: dict[datetime, tuple[Level, Level]] = {}
        self._sides: tuple[Level, Level] = ({}, {})

    async def take(self, said: Any) -> None:
        assert isinstance(said, Orderbook)
        if said.reset:
            self.resets += 1
            self._sides = ({}, {})
        for side, levels in zip(self._sides, (said.bids, said.asks), strict=True):
            for level in levels:
                side[level.price] = level.size
                if not level.size:
                    del side[level.price]
        self.at[said.timestamp] = (self._sides[0].copy(), self._sides[1].copy())


def test_the_vendors_client_keeps_the_venues_own_book(free: SandboxProcess) -> None:
    stream, kept, others = vendors(free), Kept(), MarketDataCollector()
    stream.subscribe_orderbooks(kept.take, "BTC/USD")
    stream.subscribe_quotes(others.on_data, "BTC/USD", "ETH/USD")
    stream.subscribe_trades(others.on_data, "*")
    rest = CryptoHistoricalDataClient(url_override=free.endpoints["trading_url"])

    def agrees() -> bool:
        found = rest.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD"))
        book = found["BTC/USD"]
        if len(kept.at) < 20 or book.timestamp not in kept.at:
            return False
        sides = tuple({level.price: level.size for level in side} for side in (book.bids, book.asks))
        assert kept.at[book.timestamp] == sides
        return True

    with running_stream(stream):
        eventually(agrees, within_s=15.0)
        eventually(lambda: {type(one) for one in others.all} == {Quote, Trade}, within_s=15.0)
        assert free.state()["heard"]["crypto"]["orderbooks"] == ["BTC/USD"]
    assert kept.resets == 1
    assert all(max(bids) < min(asks) for bids, asks in kept.at.values())
    quotes = [one for one in others.all if isinstance(one, Quote)]
    assert {one.symbol for one in quotes} == {"BTC/USD", "ETH/USD"}
    assert all(one.bid_price < one.ask_price for one in quotes)


def test_the_place_is_one_and_keys_are_needed(free: SandboxProcess) -> None:
    first, second = vendors(free), vendors(free)
    first.subscribe_quotes(MarketDataCollector().on_data, "BTC/USD")
    with running_stream(first):
        eventually(lambda: free.state()["heard"]["crypto"] is not None)
        with pytest.raises(ValueError, match="connection limit exceeded"):
            connect_once(second)
    where = free.endpoints
    with pytest.raises(ValueError, match="auth failed"):
        connect_once(CryptoDataStream(where["key"], "wrong", url_override=stream_url(free)))


def test_books_over_rest_need_no_keys(sandbox: SandboxProcess) -> None:
    url = f"{sandbox.endpoints['trading_url']}{PATH}/latest/orderbooks"
    books = httpx.get(url, params={"symbols": "BTC/USD,DOGE/USD"}).json()["orderbooks"]
    assert list(books) == ["BTC/USD"]
    assert set(books["BTC/USD"]) == {"t", "b", "a"}
    assert httpx.get(url).status_code == 400


def our_own(sandbox: SandboxProcess) -> AlpacaCryptoAdapter:
    where = sandbox.endpoints
    keys = ApiCredentials(Secret(where["key"].encode()), Secret(where["secret"].encode()))
    dialect = AlpacaCryptoAdapter(stream_url(sandbox), where["trading_url"], CryptoSettings(), keys)
    bodies = [httpx.get(where["trading_url"] + ask.path).content for ask in dialect.instrument_requests()]
    dialect.set_instruments(InstrumentRegistry(dialect.decode_instruments(bodies)))
    return dialect


class Line:
    """One connection of ours, heard frame by frame."""

    def __init__(self, connection: Any, dialect: AlpacaCryptoAdapter) -> None:
        self.connection, self.dialect = connection, dialect
        self.book = BookSynchronizer(BTC, dialect.sequence_rule, SyncLimits(), 0, lambda: 0.5)
        self.took: list[SyncResult] = []

    async def until(self, kind: type[object]) -> Any:
        """Hear until such a word comes; books are kept meanwhile."""
        for _ in range(FRAMES_MAX):
            read = await self.hear()
            found = next((one for one in read.control if isinstance(one, kind)), None)
            if found is not None:
                return found
        raise AssertionError(f"{FRAMES_MAX} frames, and no {kind.__name__}")

    async def hear(self) -> Decoded:
        """Hear one frame."""
        async with asyncio.timeout(scaled(5)):
            read = self.dialect.decode(await self.connection.recv(decode=False), 1)
        for one in read.data:
            if isinstance(one, DepthSnapshot):
                self.took.append(self.book.apply_snapshot(one))
            elif isinstance(one, DepthUpdate):
                self.took.append(self.book.apply_update(one))
        return read


def test_our_own_words_are_understood_and_a_book_begins_anew_when_asked(free: SandboxProcess) -> None:
    asyncio.run(_subscribe_twice(free))


async def _subscribe_twice(sandbox: SandboxProcess) -> None:
    dialect = our_own(sandbox)
    (plan,) = dialect.plan_connections([BTC])
    books = [topic.name for topic in plan.topics if topic.channel is Channel.DEPTH]
    async with connect(plan.url, compression=None, proxy=None) as connection:
        line = Line(connection, dialect)
        for text in dialect.login_messages():
            await connection.send(text)
        await line.until(Authenticated)
        for number in (1, 3):
            line.book.on_subscribed(0, pushes_snapshot=dialect.pushes_snapshot)
            await connection.send(dialect.subscribe_message(books, number))
            assert await line.until(SubscribeAck) == SubscribeAck(tuple(books), number)
            line.took.clear()
            while line.took.count(SyncResult.APPLIED) < 5:
                await line.hear()
            assert line.took[0] is SyncResult.SYNCED
            assert line.book.state is BookState.SYNCED
            await connection.send(dialect.unsubscribe_message(books, number + 1))
            assert await line.until(UnsubscribeAck) == UnsubscribeAck(tuple(books), number + 1)
    assert line.book.stats.snapshots == 2


def test_a_channel_of_stocks_is_not_offered(free: SandboxProcess) -> None:
    asyncio.run(_ask_for_statuses(free))


async def _ask_for_statuses(sandbox: SandboxProcess) -> None:
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
