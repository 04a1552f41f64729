"""What execution remembers of one order, and the table of states it can go through."""

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
    canonical,
)

PRICE_STEP: Final = Decimal("1e-9")
"""A price worked out of averages is rounded here; venues round theirs much earlier."""

IN_QUESTION: Final = frozenset({OrderState.SENDING, OrderState.UNKNOWN})
"""Where an order may or may not be at the venue."""

AT_THE_VENUE: Final = frozenset(
    {
        OrderState.OPEN,
        OrderState.PARTIALLY_FILLED,
        OrderState.CANCELLING,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.EXPIRED_AT_VENUE,
        OrderState.REJECTED,
    }
)
"""Where the venue's own word can put an order."""

NEXT: Final[Mapping[OrderState, frozenset[OrderState]]] = {
    # What is found at the venue has been sent, whatever a damaged disk lost of it.
    OrderState.RECEIVED: AT_THE_VENUE | {OrderState.SENDING, OrderState.NEVER_SENT},
    # A request that certainly was not processed (halted, throttled, never connected) was never sent.
    OrderState.SENDING: AT_THE_VENUE | {OrderState.UNKNOWN, OrderState.NEVER_SENT},
    OrderState.UNKNOWN: AT_THE_VENUE | {OrderState.NEVER_LANDED},
    OrderState.OPEN: AT_THE_VENUE - {OrderState.OPEN},
    OrderState.PARTIALLY_FILLED: AT_THE_VENUE - {OrderState.OPEN, OrderState.PARTIALLY_FILLED},
    # Back to work only where the venue refuses the cancel.
    OrderState.CANCELLING: AT_THE_VENUE - {OrderState.CANCELLING},
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.EXPIRED_AT_VENUE: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.NEVER_LANDED: frozenset(),
    OrderState.NEVER_SENT: frozenset(),
}


def may_follow(before: OrderState, after: OrderState) -> bool:
    """Say whether an order can go from one state to the other; staying is always possible."""
    return after is before or after in NEXT[before]


def heard(before: OrderState, said: OrderState, filled: Decimal, *, cancel_refused: bool = False) -> OrderState:
    """Give the state after the venue's word, which may be late: a final state stays, a cancel is not forgotten."""
    working = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)
    if said in working:
        said = OrderState.PARTIALLY_FILLED if filled > ZERO else OrderState.OPEN
        if before is OrderState.CANCELLING and not cancel_refused:
            return before
    return said if may_follow(before, said) else before


@final
class Order(Struct, frozen=True, gc=False, kw_only=True):
    """One order, ours (with an intent) or somebody else's at the same account."""

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
    spent: Decimal = ZERO
    """What the filled quantity cost."""
    executions: tuple[ExecutionId, ...] = ()
    fence: FenceTerms | None = None
    is_cancel_wanted: bool = False
    is_withdrawn: bool = False

    @property
    def is_ours(self) -> bool:
        """Say whether an intent of risk stands behind it."""
        return self.intent_id is not None

    @property
    def average_price(self) -> Decimal | None:
        """What one unit cost so far, to nine decimals."""
        if self.filled <= ZERO:
            return None
        return Decimal(canonical((self.spent / self.filled).quantize(PRICE_STEP, ROUND_HALF_EVEN)))

    @property
    def key(self) -> str:
        """Name it in our books: ours by the client order id, another's by the venue's, which no client id can be."""
        return self.client_order_id if self.is_ours else f"venue:{self.venue_order_id}"


def received(record: IntentReceived, *, is_withdrawn: bool = False, is_cancel_wanted: bool = False) -> Order:
    """Begin an order of ours, of which more may have been said before it came."""
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
        is_cancel_wanted=is_cancel_wanted,
        is_withdrawn=is_withdrawn,
    )


def first_heard(record: OrderUpdated) -> Order:
    """Begin an order that is not ours, or one that was refused before it was received; its fills so far are counted."""
    return Order(
        client_order_id=record.client_order_id,
        symbol=record.symbol,
        side=record.side,
        quantity=record.quantity,
        state=record.state,
        intent_id=record.intent_id,
        venue_order_id=record.venue_order_id,
        filled=record.filled_quantity,
        spent=record.filled_quantity * (record.average_price or ZERO),
    )


def updated(order: Order, record: OrderUpdated) -> Order:
    """Take in an update; a step that the table does not know is a bug."""
    if not may_follow(order.state, record.state):
        raise InvariantError(f"order {order.client_order_id}: {record.state} after {order.state}")
    return replace(
        order,
        state=record.state,
        venue_order_id=order.venue_order_id or record.venue_order_id,
        frame=b"" if record.state.is_final else order.frame,
    )


def filled(order: Order, record: Filled) -> Order:
    """Take in a fill; the total never falls."""
    if record.quantity <= ZERO or record.cumulative_quantity != order.filled + record.quantity:
        raise InvariantError(
            f"order {order.client_order_id}: {record.quantity} to {record.cumulative_quantity} after {order.filled}"
        )
    return replace(
        order,
        venue_order_id=order.venue_order_id or record.venue_order_id,
        filled=record.cumulative_quantity,
        spent=order.spent + record.quantity * record.price,
        executions=(*order.executions, record.execution_id),
    )
