"""Admin API of the Alpaca venue: its complete state, faults, quotes and trades set by hand, the clock, health."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import msgspec
from aiohttp import web

from components.sandbox.alpaca.core.errors import ApiErrorRaised, invalid_request, symbol_not_found
from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.orders import Order
from components.sandbox.alpaca.core.price_walk import MarketTrade
from components.sandbox.alpaca.core.responses import Document, order_document
from components.sandbox.alpaca.core.session import AdjustableClock
from components.sandbox.alpaca.server.data_stream import DataStream
from components.sandbox.alpaca.server.exchange import Exchange, MarketSimulator
from components.sandbox.alpaca.server.storage import OrderFilter, count_events, order_histories, select_orders
from components.sandbox.alpaca.server.trade_updates import TradeUpdatesStream
from components.sandbox.numerics import format_decimal
from components.sandbox.transport.faults import AlpacaFault, AlpacaFaultKind
from components.sandbox.transport.http_server import json_response, read_body

ORDERS_MAX = 1_000_000
STEP_MS_MAX = 366 * 86_400_000


class QuoteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quote to publish."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_size: int = 100
    ask_size: int = 100


class TradeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trade to publish."""

    symbol: str
    price: Decimal
    size: int = 100


class ClockBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far to set the venue's clock forward."""

    ahead_ms: Annotated[int, msgspec.Meta(ge=1, le=STEP_MS_MAX)]


class AdminRoutes:
    """Handlers of the admin API for operators and tests; bound to loopback, without authentication."""

    def __init__(
        self,
        exchange: Exchange,
        simulator: MarketSimulator,
        trade_updates: TradeUpdatesStream,
        data_streams: Mapping[str, DataStream],
        clock: AdjustableClock,
    ) -> None:
        self._exchange = exchange
        self._simulator = simulator
        self._trade_updates = trade_updates
        self._data_streams = data_streams
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.get("/healthz", self.health),
            web.get("/readyz", self.health),
            web.get("/state", self.state),
            web.get("/orders", self.orders),
            web.get("/faults", self.faults),
            web.post("/faults", self.arm),
            web.delete("/faults", self.clear),
            web.post("/quotes", self.quote),
            web.post("/trades", self.trade),
            web.post("/clock", self.advance_clock),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Return that the venue is alive and ready; it depends on nothing else."""
        return json_response({"ok": True})

    async def state(self, _: web.Request) -> web.Response:
        """Return everything: orders with their histories, positions, cash, counts, faults, subscribers, quotes."""
        histories = await self._exchange.ledger.query(order_histories)
        orders = [
            {**order_document(one), "history": histories.get(one.order_id, [])} for one in await self._all_orders()
        ]
        account = self._exchange.account
        return json_response(
            {
                "orders": orders,
                "positions": {held.symbol: format_decimal(held.qty) for held in account.open_positions()},
                "cash": format_decimal(account.cash),
                "counts": self._counts(await self._exchange.ledger.query(count_events)),
                "faults": self._armed_faults(),
                "subscribers": self._subscribers(),
                "quotes": {quote.symbol: [str(quote.bid), str(quote.ask)] for quote in account.quotes.values()},
            }
        )

    async def orders(self, _: web.Request) -> web.Response:
        """Return the venue's own list of orders, oldest first."""
        return json_response([order_document(order) for order in await self._all_orders()])

    async def faults(self, _: web.Request) -> web.Response:
        """Return the armed faults with their counts."""
        return json_response(self._armed_faults())

    async def arm(self, request: web.Request) -> web.Response:
        """Arm a fault; `drop_stream` aborts the connection at once."""
        fault = await read_body(request, AlpacaFault)
        if fault.kind is AlpacaFaultKind.DROP_STREAM:
            self._trade_updates.disconnect()
        self._exchange.faults.arm(fault)
        return json_response(self._armed_faults())

    async def clear(self, _: web.Request) -> web.Response:
        """Disarm all faults."""
        self._exchange.faults.clear()
        return web.Response(status=204)

    async def quote(self, request: web.Request) -> web.Response:
        """Set the market of one symbol."""
        body = await read_body(request, QuoteBody)
        self._require_listed(body.symbol)
        if not 0 < body.bid < body.ask:
            raise ApiErrorRaised(invalid_request("a quote needs 0 < bid < ask"))
        now_ns = self._exchange.now_ns()
        self._simulator.set_quote(Quote(body.symbol, body.bid, body.ask, body.bid_size, body.ask_size, now_ns))
        return web.Response(status=204)

    async def trade(self, request: web.Request) -> web.Response:
        """Publish a trade in one symbol."""
        body = await read_body(request, TradeBody)
        self._require_listed(body.symbol)
        cents = body.price * 100
        if body.size < 1 or cents < 1 or cents != int(cents):
            raise ApiErrorRaised(invalid_request("a trade needs a price in whole cents and a size, both > 0"))
        self._simulator.publish_trade(MarketTrade(body.symbol, int(cents), body.size))
        return web.Response(status=204)

    async def advance_clock(self, request: web.Request) -> web.Response:
        """Set the venue's clock forward; bars, expiries and session changes follow at once."""
        self._clock.advance((await read_body(request, ClockBody)).ahead_ms)
        self._simulator.tick()
        return web.Response(status=204)

    def _require_listed(self, symbol: str) -> None:
        if symbol not in self._exchange.account.quotes:
            raise ApiErrorRaised(symbol_not_found(symbol))

    def _subscribers(self) -> Document:
        return {
            "trade_updates": self._trade_updates.has_listener,
            **{name: one.subscriptions() for name, one in self._data_streams.items()},
        }

    async def _all_orders(self) -> list[Order]:
        return await self._exchange.ledger.query(select_orders(OrderFilter(ascending=True, limit=ORDERS_MAX)))

    def _counts(self, events: int) -> Document:
        account = self._exchange.account
        return {
            "orders": account.orders_count,
            "executions": account.executions_count,
            "open_orders": len(account.orders),
            "events": events,
            "trades": self._exchange.trades_count,
            "quotes_this_run": self._simulator.quotes_count,
        }

    def _armed_faults(self) -> list[Document]:
        return [
            {**msgspec.to_builtins(one.fault), "seen": one.seen, "done": one.done}
            for one in self._exchange.faults.armed
        ]
