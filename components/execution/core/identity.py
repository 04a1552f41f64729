"""Whose order it is that the venue knows under our client order id: ours, its fence, or another."""

from decimal import Decimal
from enum import Enum, auto
from typing import final

from pydantic import BaseModel, ConfigDict, Field

from components.contracts.errors import InvariantError
from components.contracts.orders import FenceTerms
from components.contracts.values import OrderType, Side, format_decimal
from components.execution.core.orders import Order
from components.execution.core.venue import Fence, VenueOrder


class OrderMatch(Enum):
    """What an order found under our name is."""

    OURS = auto()
    FENCE = auto()
    CONFLICT = auto()


@final
class FenceLimits(BaseModel):
    """Where a fence stands: so far from any market that it is not filled in the moment before it is cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantity: Decimal = Field(gt=0, max_digits=12)
    buy_price: Decimal = Field(gt=0, max_digits=12)
    sell_price: Decimal = Field(gt=0, max_digits=12)


def match_order(order: Order, seen: VenueOrder) -> OrderMatch:
    """Compare what the venue has with what we asked for: symbol, side, quantity, type and limit."""
    if (seen.symbol, seen.side) != (order.symbol, order.side):
        return OrderMatch.CONFLICT
    body = (seen.quantity, seen.order_type, seen.limit_price)
    if body == (order.quantity, order.order_type, order.limit_price):
        return OrderMatch.OURS
    fence = order.fence
    if fence is not None and body == (fence.quantity, OrderType.LIMIT, fence.limit_price):
        return OrderMatch.FENCE
    return OrderMatch.CONFLICT


def choose_fence_terms(order: Order, limits: FenceLimits) -> FenceTerms:
    """Choose the fence of an order; one that was chosen before is kept, so that it is recognised."""
    if order.fence is not None:
        return order.fence
    return FenceTerms(limits.quantity, limits.buy_price if order.side is Side.BUY else limits.sell_price)


def fence_request(order: Order, terms: FenceTerms) -> Fence:
    """Write the request for a fence."""
    if order.time_in_force is None:
        raise InvariantError(f"order {order.client_order_id} is not ours to fence")
    return Fence(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        time_in_force=order.time_in_force,
    )


def describe_mismatch(order: Order, seen: VenueOrder) -> str:
    """Say how the order found differs from ours."""
    return f"{_describe(order)} is ours, {_describe(seen)} is at the venue"


def _describe(order: Order | VenueOrder) -> str:
    limit = "" if order.limit_price is None else f" at {format_decimal(order.limit_price)}"
    return f"{order.side} {format_decimal(order.quantity)} {order.symbol} {order.order_type}{limit}"
