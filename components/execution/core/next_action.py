"""The next action for one order: submit, query, place a fence, request a cancel, set a state, or wait.

It is decided again each time from the current state of the order and never stored as a plan.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias, final

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from components.contracts.errors import InvariantError
from components.contracts.orders import FenceTerms, OrderState
from components.contracts.signals import Purpose
from components.contracts.trading import TradingState
from components.contracts.values import Side
from components.execution.core.order import Order
from components.execution.core.venue_messages import Fence

QUERY_DELAYS_NS: Final = (200_000_000, 500_000_000, 1_000_000_000, 2_000_000_000, 4_000_000_000)
"""Delays between queries for an unknown outcome; the last one repeats."""
DELAY_NS_MAX: Final = 60_000_000_000
"""No action is delayed for longer, whatever the venue asks for."""


@final
class FenceLimits(BaseModel):
    """Size and prices of fences: so far from any market that a fence does not fill before it is cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantity: Decimal = Field(gt=0, max_digits=12)
    buy_price: Decimal = Field(gt=0, max_digits=12)
    sell_price: Decimal = Field(gt=0, max_digits=12)


class NotSentReason(StrEnum):
    """Why the last attempt was certainly not processed."""

    THROTTLED = "throttled by the venue"
    UNREACHABLE = "the venue could not be reached"


@dataclass(slots=True)
class InFlight:
    """Requests in flight and retry times of one order; not stored, so empty after a restart."""

    submitted_at_ns: int = 0
    """When the order (or its fence) was sent; 0 if no response is awaited."""
    query_sent_at_ns: int = 0
    """When a query or a cancel was sent; 0 if no response is awaited."""
    attempts: int = 0
    due_at_ns: int = 0
    is_absent: bool = False
    """The venue's last response was that it does not know the order."""
    not_sent_reason: NotSentReason | None = None
    query_reason: str = ""
    """Why the venue has to be queried although the order's outcome is known."""
    cancel_requests: int = 0

    def back_off(self, now_ns: int) -> None:
        """Delay the next action, longer after each attempt."""
        self.due_at_ns = now_ns + QUERY_DELAYS_NS[min(self.attempts, len(QUERY_DELAYS_NS) - 1)]
        self.attempts += 1


@final
class SubmitConditions(Struct, frozen=True, gc=False, kw_only=True):
    """What permits or prevents submitting, the same for all orders."""

    is_ready: bool
    """Every older order is resolved and the account is reconciled, so new orders may be submitted."""
    is_venue_lost: bool
    is_stopping: bool
    trading_state: TradingState
    has_id_conflict: bool


@final
class Wait(Struct, frozen=True, gc=False):
    """Nothing is due."""


@final
class Submit(Struct, frozen=True, gc=False):
    """Submit the order, for the first time or again under the same id."""


@final
class Query(Struct, frozen=True, gc=False):
    """Query the venue for the order."""


@final
class BackOff(Struct, frozen=True, gc=False):
    """Delay the next query, longer after each attempt."""


@final
class PlaceFence(Struct, frozen=True, gc=False):
    """Use up the order's client order id with a fence."""


@final
class RequestCancel(Struct, frozen=True, gc=False):
    """Request the venue to cancel the order."""


@final
class SetState(Struct, frozen=True, gc=False):
    """Record a state that needs no report of the venue."""

    state: OrderState
    reason: str


NextAction: TypeAlias = Wait | Submit | Query | BackOff | PlaceFence | RequestCancel | SetState
WAIT: Final = Wait()


def next_action(order: Order, in_flight: InFlight, conditions: SubmitConditions, now_ns: int) -> NextAction:
    """Return the action that is due for this order."""
    match order.state:
        case OrderState.RECEIVED:
            return _next_for_received(order, conditions, now_ns)
        case OrderState.SENDING:
            return _next_while_sending(order, in_flight, conditions, now_ns)
        case OrderState.UNKNOWN:
            return _next_while_unknown(order, in_flight, conditions, now_ns)
        case OrderState.OPEN | OrderState.PARTIALLY_FILLED | OrderState.PENDING_CANCEL:
            return _next_while_working(order, in_flight, now_ns)
        case _:
            return Query() if in_flight.query_reason and _is_due(in_flight, now_ns) else WAIT


def submit_blocked_by(order: Order, conditions: SubmitConditions, now_ns: int) -> str:
    """Return why an order may not be submitted (again); empty if it may."""
    if order.is_cancel_requested or order.is_withdrawn:
        return "cancelled" if order.is_cancel_requested else "withdrawn"
    if now_ns >= order.expires_at_ns:
        return "the approval expired"
    if conditions.is_stopping:
        return "stopping"
    if conditions.has_id_conflict:
        return "a client order id conflicts"
    if not may_submit(order.purpose, conditions.trading_state):
        return f"trading is {conditions.trading_state}"
    return ""


def may_submit(purpose: Purpose | None, trading: TradingState) -> bool:
    """Return whether an approved order may still be submitted after the trading state changed to this one."""
    match trading:
        case TradingState.ACTIVE:
            return True
        case TradingState.REDUCING:
            return purpose is not None and purpose.is_reduce_only
        case TradingState.HALTED:
            return purpose in (Purpose.STOP, Purpose.FLATTEN)


def choose_fence_terms(order: Order, limits: FenceLimits) -> FenceTerms:
    """Return the terms of an order's fence; terms chosen before are kept, so that the fence is recognised."""
    if order.fence is not None:
        return order.fence
    return FenceTerms(limits.quantity, limits.buy_price if order.side is Side.BUY else limits.sell_price)


def fence_request(order: Order, terms: FenceTerms) -> Fence:
    """Return the request that places a fence."""
    if order.time_in_force is None:
        raise InvariantError(f"order {order.client_order_id} is external and cannot be fenced")
    return Fence(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        time_in_force=order.time_in_force,
    )


def _next_for_received(order: Order, conditions: SubmitConditions, now_ns: int) -> NextAction:
    if reason := submit_blocked_by(order, conditions, now_ns):
        return SetState(OrderState.NEVER_SENT, reason)
    return Submit() if conditions.is_ready and not conditions.is_venue_lost else WAIT


def _next_while_sending(order: Order, in_flight: InFlight, conditions: SubmitConditions, now_ns: int) -> NextAction:
    if in_flight.submitted_at_ns:
        return WAIT
    if in_flight.not_sent_reason is None:
        return SetState(OrderState.UNKNOWN, "the process ended while sending")
    if reason := submit_blocked_by(order, conditions, now_ns):
        return SetState(OrderState.NEVER_SENT, f"{in_flight.not_sent_reason}, then {reason}")
    return Submit() if _is_due(in_flight, now_ns) and not conditions.is_venue_lost else WAIT


def _next_while_unknown(order: Order, in_flight: InFlight, conditions: SubmitConditions, now_ns: int) -> NextAction:
    if in_flight.submitted_at_ns or not _is_due(in_flight, now_ns):
        return WAIT
    if not in_flight.is_absent:
        return Query()
    if order.is_cancel_requested or now_ns >= order.expires_at_ns:
        return PlaceFence()
    # The approval is valid but submission is blocked: the order may not be submitted again, and a fence is not needed
    # before the approval expires.
    return BackOff() if submit_blocked_by(order, conditions, now_ns) or conditions.is_venue_lost else Submit()


def _next_while_working(order: Order, in_flight: InFlight, now_ns: int) -> NextAction:
    if not _is_due(in_flight, now_ns):
        return WAIT
    if in_flight.query_reason:
        return Query()
    if order.is_cancel_requested and order.venue_order_id is not None:
        return RequestCancel()
    return WAIT


def _is_due(in_flight: InFlight, now_ns: int) -> bool:
    # No action is delayed for longer than DELAY_NS_MAX: a due time further away means that the clock was set back.
    is_time = not now_ns < in_flight.due_at_ns <= now_ns + DELAY_NS_MAX
    return not in_flight.query_sent_at_ns and is_time
