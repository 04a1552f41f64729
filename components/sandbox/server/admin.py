"""The operator's side door: the venue's own view of everything, faults, quotes by hand, health."""

from decimal import Decimal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from components.sandbox.core.decimals import plain
from components.sandbox.core.documents import Document, order_document
from components.sandbox.core.faults import Fault, FaultKind
from components.sandbox.core.matching import Quote
from components.sandbox.core.orders import Order
from components.sandbox.core.refusals import invalid, symbol_not_found
from components.sandbox.server.exchange import Exchange
from components.sandbox.server.floor import Floor
from components.sandbox.server.queries import OrderFilter, events_count, histories, orders_like
from components.sandbox.server.replies import Refused, refuse, reply
from components.sandbox.server.rest_orders import read_body
from components.sandbox.server.updates import TradeUpdates

ORDERS_MAX = 1_000_000


class QuoteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quote set by hand."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_size: int = 100
    ask_size: int = 100


class AdminRoutes:
    """Answers operators and tests; bound to loopback, without keys."""

    def __init__(self, exchange: Exchange, floor: Floor, updates: TradeUpdates) -> None:
        self._exchange = exchange
        self._floor = floor
        self._updates = updates

    def routes(self) -> list[web.RouteDef]:
        """List the endpoints."""
        return [
            web.get("/healthz", self.health),
            web.get("/readyz", self.health),
            web.get("/state", self.state),
            web.get("/orders", self.orders),
            web.get("/faults", self.faults),
            web.post("/faults", self.arm),
            web.delete("/faults", self.clear),
            web.post("/quotes", self.quote),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Say that the venue serves; it has nothing to wait for."""
        return reply({"ok": True})

    async def state(self, _: web.Request) -> web.Response:
        """Return everything: orders with their histories, positions, money, counts."""
        told = await self._exchange.ledger.ask(histories)
        orders = [{**order_document(one), "history": told.get(one.order_id, [])} for one in await self._all_orders()]
        books = self._exchange.books
        return reply(
            {
                "orders": orders,
                "positions": {held.symbol: plain(held.qty) for held in books.held()},
                "cash": plain(books.cash),
                "counts": self._counts(await self._exchange.ledger.ask(events_count)),
                "faults": self._armed(),
                "quotes": {quote.symbol: [str(quote.bid), str(quote.ask)] for quote in books.quotes.values()},
            }
        )

    async def orders(self, _: web.Request) -> web.Response:
        """Return the venue's own list of orders, oldest first."""
        return reply([order_document(order) for order in await self._all_orders()])

    async def faults(self, _: web.Request) -> web.Response:
        """List the switches that are on, with what they have done."""
        return reply(self._armed())

    async def arm(self, request: web.Request) -> web.Response:
        """Switch a fault on; a dropped stream drops at once."""
        fault = await read_body(request, Fault)
        if fault.kind is FaultKind.DROP_STREAM:
            self._updates.drop()
        self._exchange.faults.arm(fault)
        return reply(self._armed())

    async def clear(self, _: web.Request) -> web.Response:
        """Switch every fault off."""
        self._exchange.faults.clear()
        return web.Response(status=204)

    async def quote(self, request: web.Request) -> web.Response:
        """Put the market of one symbol where the operator says."""
        body = await read_body(request, QuoteBody)
        if body.symbol not in self._exchange.books.quotes:
            raise Refused(symbol_not_found(body.symbol))
        if not 0 < body.bid < body.ask:
            raise Refused(invalid("a quote needs 0 < bid < ask"))
        now_ns = self._exchange.now_ns()
        self._floor.set_quote(Quote(body.symbol, body.bid, body.ask, body.bid_size, body.ask_size, now_ns))
        return web.Response(status=204)

    async def _all_orders(self) -> list[Order]:
        return await self._exchange.ledger.ask(orders_like(OrderFilter(ascending=True, limit=ORDERS_MAX)))

    def _counts(self, events: int) -> Document:
        books = self._exchange.books
        return {
            "orders": books.orders_count,
            "executions": books.executions_count,
            "open_orders": len(books.orders),
            "events": events,
            "trades": self._exchange.trades_count,
            "quotes_this_run": self._floor.quotes_count,
        }

    def _armed(self) -> list[Document]:
        return [
            {**msgspec.to_builtins(one.fault), "seen": one.seen, "done": one.done}
            for one in self._exchange.faults.armed
        ]


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals into replies."""
    try:
        return await handler(request)
    except Refused as refused:
        return refuse(refused.refusal)
