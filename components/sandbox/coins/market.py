"""Alpaca's crypto: a stream that begins each book with all of it and goes on with changes; whole books over REST."""

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
from aiohttp import web
from typing_extensions import override

from components.sandbox.coins.documents import (
    LISTINGS,
    Document,
    best,
    change_document,
    image_document,
    print_document,
    quote_document,
)
from components.sandbox.core.refusals import Refusal
from components.sandbox.core.stamps import stamp
from components.sandbox.core.subscriptions import CRYPTO
from components.sandbox.flow.cursor import Cursor
from components.sandbox.flow.orders import IdSpace, OrderFlow
from components.sandbox.flow.pace import Pace
from components.sandbox.server.feed import Feed
from components.sandbox.server.gate import CRYPTO_PATH
from components.sandbox.server.replies import Refused
from components.sandbox.server.store import Credentials

BATCH_NS = 50_000_000
LOOK_EVERY_S = 0.02
_TO_JSON = msgspec.json.Encoder(decimal_format="number")
Best = tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]


class CryptoMarket:
    """The books, when each changed last, and what was said of them so far."""

    def __init__(self, credentials: Credentials, seed: int, now_ns: Callable[[], int]) -> None:
        self.flow = OrderFlow(LISTINGS, seed, IdSpace.PER_SYMBOL)
        self.feed = CryptoFeed(self, credentials)
        self._now_ns = now_ns
        self._opened_ns = now_ns()
        self._voices = [_Voice(self, symbol, self._opened_ns) for symbol in self.flow.listings]

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints."""
        return [web.get(CRYPTO_PATH, self.feed.serve), web.get(f"{CRYPTO_PATH}/latest/orderbooks", self.latest)]

    async def latest(self, request: web.Request) -> web.Response:
        """Return whole books; a pair that is not listed is left out."""
        asked = [part for part in request.query.get("symbols", "").upper().split(",") if part]
        if not asked:
            raise Refused(Refusal(400, None, "symbols is required"))
        books = {one: self._shown(one) for one in dict.fromkeys(asked) if one in self.flow.listings}
        return web.Response(body=_TO_JSON.encode({"orderbooks": books}), content_type="application/json")

    async def work(self, changes_per_s: float) -> None:
        """Move the market and say what is due, for ever."""
        pace = Pace((self.flow,), changes_per_s, self._now_ns)
        while True:
            pace.catch_up()
            self.speak()
            await asyncio.sleep(LOOK_EVERY_S)

    def speak(self) -> None:
        """Say what is due of every pair."""
        now_ns = self._now_ns()
        for voice in self._voices:
            voice.speak(now_ns)

    def changed_ns(self, symbol: str) -> int:
        """Say when a book changed last."""
        last_id = self.flow.last_id(symbol)
        before = self.flow.id_before(symbol, 1)
        changes = self.flow.changes_after(symbol, before, last_id)
        return changes[-1].at_ns if changes else self._opened_ns

    def _shown(self, symbol: str) -> Document:
        document = image_document(symbol, self.flow.book(symbol))
        return {"t": stamp(self.changed_ns(symbol)), "b": document["b"], "a": document["a"]}


class CryptoFeed(Feed):
    """The stream; the account's one connection to it."""

    offered = CRYPTO

    def __init__(self, market: CryptoMarket, credentials: Credentials) -> None:
        super().__init__(credentials, frozenset(market.flow.listings))
        self._market = market

    @override
    def beginning(self, channel: str, symbol: str) -> tuple[Document, int] | None:
        """Begin a book with all of it."""
        if channel != "orderbooks":
            return None
        # The next batch may tell again what is in it: quantities are absolute, so that does no harm.
        return image_document(symbol, self._market.flow.book(symbol)), self._market.changed_ns(symbol)


class _Voice:
    """What is said of one pair, each batch once."""

    def __init__(self, market: CryptoMarket, symbol: str, opened_ns: int) -> None:
        self._market, self._symbol = market, symbol
        self._cursor = Cursor(symbol, market.flow.last_id(symbol), BATCH_NS, opened_ns)
        self._prints_count = 0
        self._best: Best | None = None

    def speak(self, now_ns: int) -> None:
        flow, symbol = self._market.flow, self._symbol
        batch = self._cursor.take(flow, now_ns)
        if batch is None:
            return
        prints = flow.prints_after(symbol, self._prints_count)
        self._prints_count = flow.prints_count(symbol)
        self._tell("trades", ((print_document(symbol, one), one.at_ns) for one in prints))
        self._tell("orderbooks", ((change_document(symbol, batch.bids, batch.asks), batch.at_ns),))
        book = flow.book(symbol)
        if (now := best(book)) != self._best:
            self._best = now
            self._tell("quotes", ((quote_document(symbol, book), batch.at_ns),))

    def _tell(self, channel: str, documents: Iterable[tuple[Document, int]]) -> None:
        for document, at_ns in documents:
            self._market.feed.publish(channel, self._symbol, document, at_ns)
