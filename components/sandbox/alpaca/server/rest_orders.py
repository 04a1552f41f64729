"""REST endpoints of the orders: create, read, list, cancel, replace."""

import asyncio

from aiohttp import web

from components.sandbox.alpaca.core.errors import (
    BODY_MALFORMED,
    ORDER_NOT_OPEN,
    ApiError,
    ApiErrorRaised,
    already_in_status,
    order_not_found,
)
from components.sandbox.alpaca.core.orders import Order, OrderStatus
from components.sandbox.alpaca.core.responses import order_document
from components.sandbox.alpaca.core.validation import OrderBody, ReplaceBody
from components.sandbox.alpaca.server.exchange import Exchange
from components.sandbox.alpaca.server.rest_parameters import includes_equities, parse_order_filter, parse_order_id
from components.sandbox.alpaca.server.storage import find_order, select_orders
from components.sandbox.alpaca.venue import Transition
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.transport.faults import AlpacaFaultKind
from components.sandbox.transport.http_server import json_response, read_body


class OrderRoutes:
    """Handlers for the paths below /v2/orders."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.post("/v2/orders", self.create),
            web.get("/v2/orders", self.list),
            web.delete("/v2/orders", self.cancel_all),
            web.get("/v2/orders:by_client_order_id", self.read_by_client_order_id),
            web.get("/v2/orders/{order_id}", self.read),
            web.patch("/v2/orders/{order_id}", self.replace),
            web.delete("/v2/orders/{order_id}", self.cancel),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Accept an order; it is durable before the response is sent."""
        body = await read_body(request, OrderBody)
        transition = await self._exchange.commit(self._exchange.venue.submit(body, self._exchange.now_ns()))
        return json_response(order_document(accepted_order(transition)))

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of orders."""
        orders = await self._exchange.ledger.query(select_orders(parse_order_filter(request.query)))
        return json_response([order_document(order) for order in orders if includes_equities(request.query)])

    async def read(self, request: web.Request) -> web.Response:
        """Return one order by its id."""
        return json_response(order_document(await self._find(request)))

    async def read_by_client_order_id(self, request: web.Request) -> web.Response:
        """Return one order by its client order id."""
        client_order_id = request.query.get("client_order_id", "")
        order = await self._exchange.ledger.query(find_order("client_order_id", client_order_id))
        if order is None or self._is_hidden_by_read_lag(order):
            raise ApiErrorRaised(order_not_found(client_order_id))
        return json_response(order_document(order))

    async def replace(self, request: web.Request) -> web.Response:
        """Request a replacement; the response is the new order, which is not in force yet."""
        body = await read_body(request, ReplaceBody)
        old = await self._find(request)
        if old.order_id not in self._exchange.account.orders:
            raise ApiErrorRaised(ORDER_NOT_OPEN)
        transition = self._exchange.venue.replace(old.order_id, body, self._exchange.now_ns())
        return json_response(order_document(accepted_order(await self._exchange.commit(transition))))

    async def cancel(self, request: web.Request) -> web.Response:
        """Request a cancel; an event on the stream reports its completion."""
        order = await self._find(request)
        error = await self._cancel(order.order_id, order.status)
        if error is not None:
            raise ApiErrorRaised(error)
        return web.Response(status=204)

    async def cancel_all(self, _: web.Request) -> web.Response:
        """Request the cancel of all open orders; one result each."""
        open_orders = list(self._exchange.account.orders.values())
        errors = await asyncio.gather(*(self._cancel(order.order_id, order.status) for order in open_orders))
        answers = [_bulk_cancel_result(order.order_id, error) for order, error in zip(open_orders, errors, strict=True)]
        return json_response(answers, 207)

    async def _find(self, request: web.Request) -> Order:
        wanted = parse_order_id(request.match_info["order_id"])
        order = await self._exchange.ledger.query(find_order("order_id", wanted))
        if order is None:
            raise ApiErrorRaised(order_not_found(wanted))
        return order

    async def _cancel(self, wanted: str, last_seen: OrderStatus) -> ApiError | None:
        order = self._exchange.account.orders.get(wanted)
        if order is not None:
            await self._exchange.commit(self._exchange.venue.cancel(wanted, self._exchange.now_ns()))
            return None
        ended = await self._exchange.ledger.query(find_order("order_id", wanted))
        status = last_seen if ended is None else ended.status
        # A second cancel succeeds too; other ended orders cannot be cancelled.
        return None if status is OrderStatus.CANCELED else already_in_status(status)

    def _is_hidden_by_read_lag(self, order: Order) -> bool:
        lag = self._exchange.faults.active_condition(AlpacaFaultKind.READ_LAG)
        return lag is not None and self._exchange.now_ns() - order.submitted_at_ns < lag.ms * MILLISECOND_NS


def accepted_order(transition: Transition) -> Order:
    """Return the order of a transition, or raise its error."""
    if transition.order is None:
        raise ApiErrorRaised(transition.error or BODY_MALFORMED)
    return transition.order


def _bulk_cancel_result(cancelled: str, error: ApiError | None) -> dict[str, object]:
    if error is None:
        return {"id": cancelled, "status": 200}
    return {"id": cancelled, "status": error.status, "body": error.body()}
