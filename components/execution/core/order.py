"""One order as execution records it, and its state machine."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.errors import InvariantError
from components.contracts.orders import FenceTerms, Filled, IntentReceived, OrderState, OrderUpdated
from components.contracts.signals import Purpose
from components.contracts.values import (
    ZERO,
    ClientOrderId,
    ExecutionId,
    IntentId,
    Side,
    Symbol,
    TimeInForce,
    VenueOrderId,
    format_decimal,
)

PRICE_STEP: Final = Decimal("1e-9")
"""Rounding step of a price computed from averages; finer than that of any venue."""
UNRESOLVED_STATES: Final = frozenset({OrderState.SENDING, OrderState.UNKNOWN})
"""States in which an order may or may not be at the venue."""
VENUE_STATES: Final = frozenset(
    {
        OrderState.OPEN,
        OrderState.PARTIALLY_FILLED,
        OrderState.PENDING_CANCEL,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
    }
)
"""States that a report of the venue can put an order into."""
TRANSITIONS: Final[Mapping[OrderState, frozenset[OrderState]]] = {
    # An order found at the venue has been sent, even if a damaged disk lost the record of it.
    OrderState.RECEIVED: VENUE_STATES | {OrderState.SENDING, OrderState.NEVER_SENT},
    # A request that was certainly not processed (halted, throttled, never connected) was never sent.
    OrderState.SENDING: VENUE_STATES | {OrderState.UNKNOWN, OrderState.NEVER_SENT},
    OrderState.UNKNOWN: VENUE_STATES | {OrderState.NEVER_LANDED},
    OrderState.OPEN: VENUE_STATES - {OrderState.OPEN},
    OrderState.PARTIALLY_FILLED: VENUE_STATES - {OrderState.OPEN, OrderState.PARTIALLY_FILLED},
    # Back to a working state only if the venue rejects the cancel.
    OrderState.PENDING_CANCEL: VENUE_STATES - {OrderState.PENDING_CANCEL},
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.EXPIRED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.NEVER_LANDED: frozenset(),
    OrderState.NEVER_SENT: frozenset(),
}


def is_allowed_transition(before: OrderState, after: OrderState) -> bool:
    """Return whether an order may change from one state to the other; no change is always allowed."""
    return after is before or after in TRANSITIONS[before]


def next_state(
    before: OrderState, reported: OrderState, filled: Decimal, *, cancel_rejected: bool = False
) -> OrderState:
    """Return the state after a report, which may be late: a final state stays, and a pending cancel is kept."""
    working = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)
    if reported in working:
        reported = OrderState.PARTIALLY_FILLED if filled > ZERO else OrderState.OPEN
        if before is OrderState.PENDING_CANCEL and not cancel_rejected:
            return before
    return reported if is_allowed_transition(before, reported) else before


@final
class Order(Struct, frozen=True, gc=False, kw_only=True):
    """One order: ours (with an intent), or an external order on the same account."""

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    state: OrderState
    intent_id: IntentId | None = None
    venue_order_id: VenueOrderId | None = None
    order_type: str = ""
    limit_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    purpose: Purpose | None = None
    expires_at_ns: int = 0
    frame: bytes = b""
    filled: Decimal = ZERO
    cumulative_cost: Decimal = ZERO
    """Cost of the filled quantity."""
    execution_ids: tuple[ExecutionId, ...] = ()
    fence: FenceTerms | None = None
    is_cancel_requested: bool = False
    is_withdrawn: bool = False

    @property
    def is_ours(self) -> bool:
        """Return whether the order belongs to an intent of risk."""
        return self.intent_id is not None

    @property
    def average_price(self) -> Decimal | None:
        """Average fill price, rounded to nine decimals."""
        if self.filled <= ZERO:
            return None
        return Decimal(format_decimal((self.cumulative_cost / self.filled).quantize(PRICE_STEP, ROUND_HALF_EVEN)))

    @property
    def key(self) -> str:
        """Key in `ExecutionState.orders`: our client order id; for an external order the venue's id with a prefix.

        None of our client order ids can contain the prefix.
        """
        return self.client_order_id if self.is_ours else f"venue:{self.venue_order_id}"


def order_from_intent(
    record: IntentReceived, *, is_withdrawn: bool = False, is_cancel_requested: bool = False
) -> Order:
    """Return a new order of ours; a cancel or withdrawal may have arrived before it."""
    intent = record.intent
    return Order(
        client_order_id=record.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        state=OrderState.RECEIVED,
        intent_id=intent.intent_id,
        order_type=intent.order_type,
        limit_price=intent.limit_price,
        time_in_force=intent.time_in_force,
        purpose=intent.purpose,
        expires_at_ns=record.terms.expires_at_ns,
        frame=record.frame,
        is_cancel_requested=is_cancel_requested,
        is_withdrawn=is_withdrawn,
    )


def adopted_order(record: OrderUpdated) -> Order:
    """Return an order that is external, or that was never sent; its fills so far are counted already."""
    return Order(
        client_order_id=record.client_order_id,
        symbol=record.symbol,
        side=record.side,
        quantity=record.quantity,
        state=record.state,
        intent_id=record.intent_id,
        venue_order_id=record.venue_order_id,
        filled=record.filled_quantity,
        cumulative_cost=record.filled_quantity * (record.average_price or ZERO),
    )


def apply_update(order: Order, record: OrderUpdated) -> Order:
    """Return the order after an update; a transition outside the table raises InvariantError."""
    if not is_allowed_transition(order.state, record.state):
        raise InvariantError(f"order {order.client_order_id}: {record.state} after {order.state}")
    return replace(
        order,
        state=record.state,
        venue_order_id=order.venue_order_id or record.venue_order_id,
        frame=b"" if record.state.is_final else order.frame,
    )


def apply_fill(order: Order, record: Filled) -> Order:
    """Return the order after a fill; raise InvariantError if the fill does not continue the filled quantity."""
    if record.quantity <= ZERO or record.cumulative_quantity != order.filled + record.quantity:
        raise InvariantError(
            f"order {order.client_order_id}: {record.quantity} to {record.cumulative_quantity} after {order.filled}"
        )
    return replace(
        order,
        venue_order_id=order.venue_order_id or record.venue_order_id,
        filled=record.cumulative_quantity,
        cumulative_cost=order.cumulative_cost + record.quantity * record.price,
        execution_ids=(*order.execution_ids, record.execution_id),
    )
