"""REST endpoints of the account: account, configuration, positions, fills."""

from decimal import ROUND_DOWN, Decimal, InvalidOperation

import msgspec
from aiohttp import web

from components.sandbox.alpaca.core.account import AccountConfiguration, Position, held_for_orders
from components.sandbox.alpaca.core.errors import NO_POSITION, ApiErrorRaised, invalid_request
from components.sandbox.alpaca.core.responses import (
    Document,
    account_document,
    asset_id,
    closing_side,
    order_document,
    position_document,
)
from components.sandbox.alpaca.core.session import format_timestamp, new_york_time
from components.sandbox.alpaca.core.validation import OrderBody
from components.sandbox.alpaca.server.exchange import Exchange
from components.sandbox.alpaca.server.rest_orders import accepted_order
from components.sandbox.alpaca.server.rest_parameters import parse_fill_filter, parse_flag
from components.sandbox.alpaca.server.storage import Row, StateChange, select_fills
from components.sandbox.alpaca.venue import Transition
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.http_server import json_response

SHARE_STEP = Decimal("0.000000001")


class AccountRoutes:
    """Handlers for the account, its positions and its fills."""

    def __init__(self, exchange: Exchange, credentials: Credentials) -> None:
        self._exchange = exchange
        self._account = exchange.account
        self._credentials = credentials

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.get("/v2/account", self.account),
            web.get("/v2/account/configurations", self.configuration),
            web.patch("/v2/account/configurations", self.configure),
            web.get("/v2/account/activities", self.fills),
            web.get("/v2/account/activities/FILL", self.fills),
            web.get("/v2/positions", self.positions),
            web.delete("/v2/positions", self.close_all),
            web.get("/v2/positions/{symbol}", self.position),
            web.delete("/v2/positions/{symbol}", self.close),
        ]

    async def account(self, _: web.Request) -> web.Response:
        """Return the account at the current quotes."""
        document = account_document(
            self._credentials.account_id,
            self._credentials.opened_at_ns,
            self._account.balances(),
            self._account.configuration,
        )
        return await self._respond_when_durable(document)

    async def configuration(self, _: web.Request) -> web.Response:
        """Return the account's configuration."""
        return json_response(self._account.configuration)

    async def configure(self, request: web.Request) -> web.Response:
        """Change parts of the account's configuration."""
        present: dict[str, object] = msgspec.to_builtins(self._account.configuration)
        try:
            changes = msgspec.json.decode(await request.read(), type=dict[str, object])
            configuration = msgspec.convert({**present, **changes}, AccountConfiguration)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ApiErrorRaised(invalid_request(f"invalid configuration: {error}")) from error
        self._account.configuration = configuration
        await self._exchange.ledger.append(StateChange(configuration=configuration))
        return json_response(configuration)

    async def fills(self, request: web.Request) -> web.Response:
        """Return a page of fills; there are no other account activities."""
        types = request.query.get("activity_types", "FILL").upper().split(",")
        rows = (
            await self._exchange.ledger.query(select_fills(parse_fill_filter(request.query))) if "FILL" in types else []
        )
        return json_response([_fill_document(row) for row in rows])

    async def positions(self, _: web.Request) -> web.Response:
        """Return the positions that are not flat."""
        return await self._respond_when_durable(
            [self._position_document(held) for held in self._account.open_positions()]
        )

    async def position(self, request: web.Request) -> web.Response:
        """Return one position."""
        return await self._respond_when_durable(self._position_document(self._find_position(request)))

    async def close(self, request: web.Request) -> web.Response:
        """Close a position, or a part of it, with a market order."""
        held = self._find_position(request)
        return json_response(order_document(accepted_order(await self._close(held, _quantity_to_close(held, request)))))

    async def close_all(self, request: web.Request) -> web.Response:
        """Close every position with a market order; one result each."""
        if parse_flag(request.query, "cancel_orders"):
            for order_id in list(self._account.orders):
                await self._cancel_now(order_id)
        return json_response([await self._close_one(held) for held in self._account.open_positions()], 207)

    async def _close_one(self, held: Position) -> Document:
        transition = await self._close(held, abs(held.qty))
        if transition.order is not None:
            return {"symbol": held.symbol, "status": 200, "body": order_document(transition.order)}
        error = transition.error or NO_POSITION
        return {"symbol": held.symbol, "status": error.status, "body": error.body()}

    async def _close(self, held: Position, qty: Decimal) -> Transition:
        body = OrderBody(symbol=held.symbol, qty=qty, side=closing_side(held), type="market", time_in_force="day")
        return await self._exchange.commit(self._exchange.venue.submit(body, self._exchange.now_ns()))

    async def _cancel_now(self, order_id: str) -> None:
        # Shares must be free before they can be sold, so these cancels complete immediately.
        venue, now_ns = self._exchange.venue, self._exchange.now_ns()
        if order_id in self._account.orders:
            requested, ended = venue.cancel(order_id, now_ns), venue.advance_order(order_id, now_ns)
            await self._exchange.persist(Transition((*requested.events, *ended.events)))

    async def _respond_when_durable(self, document: object) -> web.Response:
        # The state in memory may not be durable yet; a response must only show what survives a crash.
        await self._exchange.ledger.query(lambda _: None)
        return json_response(document)

    def _find_position(self, request: web.Request) -> Position:
        wanted = request.match_info["symbol"]
        for held in self._account.open_positions():
            if wanted in {held.symbol, asset_id(held.symbol)}:
                return held
        raise ApiErrorRaised(NO_POSITION)

    def _position_document(self, held: Position) -> Document:
        orders = self._account.open_orders_for(held.symbol)
        return position_document(held, self._account.quotes[held.symbol], held_for_orders(orders, closing_side(held)))


def _quantity_to_close(held: Position, request: web.Request) -> Decimal:
    if {"qty", "percentage"} <= set(request.query):
        raise ApiErrorRaised(invalid_request("only one of qty or percentage is accepted"))
    try:
        if "qty" in request.query:
            return Decimal(request.query["qty"])
        share = Decimal(request.query.get("percentage", "100")) / 100
        return (abs(held.qty) * share).quantize(SHARE_STEP, ROUND_DOWN).normalize()
    except InvalidOperation as error:
        raise ApiErrorRaised(invalid_request("qty or percentage must be a number")) from error


def _fill_document(row: Row) -> Document:
    at_ns = int(str(row["at_ns"]))
    local = new_york_time(at_ns)
    return {
        "id": f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{row['execution_id']}",
        "activity_type": "FILL",
        "transaction_time": format_timestamp(at_ns),
        "type": row["kind"],
        "price": row["price"],
        "qty": row["qty"],
        "side": row["side"],
        "symbol": row["symbol"],
        "leaves_qty": row["leaves_qty"],
        "order_id": row["order_id"],
        "cum_qty": row["cum_qty"],
        "order_status": row["status"],
    }
