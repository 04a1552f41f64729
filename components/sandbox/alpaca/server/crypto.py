"""Alpaca's crypto market data: a websocket of book snapshots, updates, quotes and trades; books over REST."""

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
from aiohttp import web
from typing_extensions import override

from components.sandbox.alpaca.core.errors import ApiError, ApiErrorRaised
from components.sandbox.alpaca.core.session import format_timestamp
from components.sandbox.alpaca.core.subscriptions import CRYPTO_CHANNELS
from components.sandbox.alpaca.server.data_stream import DataStream
from components.sandbox.alpaca.server.middleware import CRYPTO_PATH
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_book import Levels, SimulatedBook
from components.sandbox.simulation.order_flow import BatchCursor, IdSpace, OrderFlow, SimTrade
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.crypto_venue import FlowDriver

Document = dict[str, object]
BestLevels = tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]
BATCH_INTERVAL_NS = 50 * MILLISECOND_NS
PUBLISH_INTERVAL_S = 0.02
_TO_JSON = msgspec.json.Encoder(decimal_format="number")


def _instrument(base: str, tick: str, lot: str, price: str) -> Instrument:
    name = f"{base}/USD"
    return Instrument(symbol=name, base=base, quote="USD", tick=Decimal(tick), lot=Decimal(lot), price=Decimal(price))


INSTRUMENTS = (_instrument("BTC", "0.001", "0.000000001", "91000"), _instrument("ETH", "0.001", "0.000000001", "3000"))


def snapshot_document(symbol: str, book: SimulatedBook) -> Document:
    """Return a complete book."""
    bids, asks = book.top(len(book.bids.prices) + len(book.asks.prices))
    return {**update_document(symbol, bids, asks), "r": True}


def update_document(symbol: str, bids: Levels, asks: Levels) -> Document:
    """Return the levels that changed; size 0 removes a level."""
    return {"T": "o", "S": symbol, "b": _levels(bids), "a": _levels(asks)}


def quote_document(symbol: str, book: SimulatedBook) -> Document:
    """Return the best prices; 0 for an empty side."""
    (bid, bid_size), (ask, ask_size) = best_levels(book)
    return {"T": "q", "S": symbol, "bp": bid, "bs": bid_size, "ap": ask, "as": ask_size}


def trade_document(symbol: str, one: SimTrade) -> Document:
    """Return a trade with the side of its taker."""
    taker = "B" if one.is_buy else "S"
    return {"T": "t", "S": symbol, "p": one.price, "s": one.quantity, "i": one.id, "tks": taker}


def best_levels(book: SimulatedBook) -> BestLevels:
    """Return the best bid and the best ask; zeros for an empty side."""
    bids, asks = book.top(1)
    none = (Decimal(0), Decimal(0))
    return bids[0] if bids else none, asks[0] if asks else none


def _levels(levels: Levels) -> list[Document]:
    return [{"p": price, "s": quantity} for price, quantity in levels]


class CryptoMarket:
    """The books of the listed pairs, and what has been published of them."""

    def __init__(self, credentials: Credentials, seed: int, now_ns: Callable[[], int]) -> None:
        self.flow = OrderFlow(INSTRUMENTS, seed, IdSpace.PER_SYMBOL)
        self.data_stream = CryptoDataStream(self, credentials)
        self._now_ns = now_ns
        self._opened_at_ns = now_ns()
        self._publishers = [_PairPublisher(self, symbol, self._opened_at_ns) for symbol in self.flow.instruments]

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [web.get(CRYPTO_PATH, self.data_stream.serve), web.get(f"{CRYPTO_PATH}/latest/orderbooks", self.latest)]

    async def latest(self, request: web.Request) -> web.Response:
        """Return complete books; pairs that are not listed are left out."""
        symbols = [part for part in request.query.get("symbols", "").upper().split(",") if part]
        if not symbols:
            raise ApiErrorRaised(ApiError(400, None, "symbols is required"))
        books = {one: self._latest_document(one) for one in dict.fromkeys(symbols) if one in self.flow.instruments}
        return web.Response(body=_TO_JSON.encode({"orderbooks": books}), content_type="application/json")

    async def run(self, updates_per_s: float) -> None:
        """Advance the market and publish what is due, until cancelled."""
        pace = FlowDriver((self.flow,), updates_per_s, self._now_ns)
        while True:
            pace.catch_up()
            self.publish_due()
            await asyncio.sleep(PUBLISH_INTERVAL_S)

    def publish_due(self) -> None:
        """Publish what is due for every pair."""
        now_ns = self._now_ns()
        for publisher in self._publishers:
            publisher.publish_due(now_ns)

    def updated_at_ns(self, symbol: str) -> int:
        """Return the time of a book's latest update."""
        last_id = self.flow.last_id(symbol)
        before = self.flow.id_before(symbol, 1)
        updates = self.flow.updates_after(symbol, before, last_id)
        return updates[-1].at_ns if updates else self._opened_at_ns

    def _latest_document(self, symbol: str) -> Document:
        document = snapshot_document(symbol, self.flow.book(symbol))
        return {"t": format_timestamp(self.updated_at_ns(symbol)), "b": document["b"], "a": document["a"]}


class CryptoDataStream(DataStream):
    """The websocket; the account may have one connection to it."""

    offered = CRYPTO_CHANNELS

    def __init__(self, market: CryptoMarket, credentials: Credentials) -> None:
        super().__init__(credentials, frozenset(market.flow.instruments))
        self._market = market

    @override
    def initial_document(self, channel: str, symbol: str) -> tuple[Document, int] | None:
        """Return the snapshot with which a subscription to a book starts."""
        if channel != "orderbooks":
            return None
        # The next batch may repeat updates that are in the snapshot, which is harmless: quantities are absolute.
        return snapshot_document(symbol, self._market.flow.book(symbol)), self._market.updated_at_ns(symbol)


class _PairPublisher:
    """Publishes the trades, updates and quotes of one pair, each batch once."""

    def __init__(self, market: CryptoMarket, symbol: str, opened_ns: int) -> None:
        self._market, self._symbol = market, symbol
        self._cursor = BatchCursor(symbol, market.flow.last_id(symbol), BATCH_INTERVAL_NS, opened_ns)
        self._last_trade_id = 0
        self._best: BestLevels | None = None

    def publish_due(self, now_ns: int) -> None:
        flow, symbol = self._market.flow, self._symbol
        batch = self._cursor.next_batch(flow, now_ns)
        if batch is None:
            return
        trades = flow.trades_after(symbol, self._last_trade_id)
        self._last_trade_id = flow.last_trade_id(symbol)
        self._publish("trades", ((trade_document(symbol, one), one.at_ns) for one in trades))
        self._publish("orderbooks", ((update_document(symbol, batch.bids, batch.asks), batch.at_ns),))
        book = flow.book(symbol)
        if (now := best_levels(book)) != self._best:
            self._best = now
            self._publish("quotes", ((quote_document(symbol, book), batch.at_ns),))

    def _publish(self, channel: str, documents: Iterable[tuple[Document, int]]) -> None:
        for document, at_ns in documents:
            self._market.data_stream.publish(channel, self._symbol, document, at_ns)
