"""The words between the service and a venue's adapter: requests, answers, and what the venue says by itself."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias, final

from msgspec import Struct

from components.contracts.orders import OrderState, VenueAccount, VenuePosition, VenueSession
from components.contracts.signals import Approved, Signal
from components.contracts.values import ClientOrderId, ExecutionId, Side, Symbol, TimeInForce, VenueOrderId


@final
class VenueOrder(Struct, frozen=True, gc=False, kw_only=True):
    """One order as the venue states it; `state` is None where its word for it is new to us."""

    venue_order_id: VenueOrderId
    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    """Zero where the venue counts the order in money."""
    order_type: str
    limit_price: Decimal | None
    filled_quantity: Decimal
    average_price: Decimal | None
    state: OrderState | None
    venue_status: str


@final
class Execution(Struct, frozen=True, gc=False, kw_only=True):
    """One execution as the venue states it: this quantity at this price brought the order to `cumulative_quantity`."""

    execution_id: ExecutionId
    venue_order_id: VenueOrderId
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    venue_at_ns: int


@final
class SubmitOrder(Struct, frozen=True, gc=False):
    """Send an approved order; only an approved one can stand here."""

    client_order_id: ClientOrderId
    signal: Signal[Approved]


@final
class Fence(Struct, frozen=True, gc=False, kw_only=True):
    """Use up a client order id with the smallest order, far from the market, so that the one before can never land."""

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: TimeInForce


@final
class QueryOrder(Struct, frozen=True, gc=False):
    """Ask for one order, by the venue's id where we know it, else by ours."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None = None


@final
class CancelOrder(Struct, frozen=True, gc=False):
    """Ask the venue to cancel one order."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId


@final
class CancelAllOrders(Struct, frozen=True, gc=False):
    """Ask the venue to cancel every open order of the account, ours or not."""


@final
class FetchVenueSnapshot(Struct, frozen=True, gc=False):
    """Read open orders, these orders, the fills since then, and last the positions, account and session."""

    number: int
    orders: tuple[QueryOrder, ...]
    fills_after_ns: int


VenueRequest: TypeAlias = SubmitOrder | Fence | QueryOrder | CancelOrder | CancelAllOrders | FetchVenueSnapshot


@final
class OrderAccepted(Struct, frozen=True, gc=False):
    """The venue took the order."""

    order: VenueOrder


@final
class OrderFound(Struct, frozen=True, gc=False):
    """The venue knows the order."""

    order: VenueOrder


@final
class OrderNotFound(Struct, frozen=True, gc=False):
    """The venue does not know the order now, which is no evidence that it never will."""


@final
class RequestRejected(Struct, frozen=True, gc=False):
    """The venue said no to this request, for good."""

    status: int
    text: str


@final
class Unauthorized(Struct, frozen=True, gc=False):
    """The venue does not know our keys, or forbids them this; nothing was done."""

    text: str


@final
class Throttled(Struct, frozen=True, gc=False):
    """The venue throttled the request before looking at it; the same may be sent again then."""

    retry_at_ns: int
    text: str


@final
class DuplicateId(Struct, frozen=True, gc=False):
    """The client order id is used already: something of that name has landed."""

    text: str


@final
class OutcomeUnknown(Struct, frozen=True, gc=False):
    """The request may have been acted on, or not."""

    reason: str


@final
class Unreachable(Struct, frozen=True, gc=False):
    """Not one byte of the request left, so it was not acted on."""

    reason: str


@final
class HaltedByFile(Struct, frozen=True, gc=False):
    """The HALT file stands, so the order did not leave."""

    path: str


@final
class CancelAccepted(Struct, frozen=True, gc=False):
    """The venue will try to cancel; the order's own events tell how it ended."""


@final
class CancelAllAccepted(Struct, frozen=True, gc=False):
    """The venue will try to cancel every order, except the refused ones."""

    rejected: tuple[VenueOrderId, ...]


@final
class VenueSnapshot(Struct, frozen=True, gc=False, kw_only=True):
    """What the venue said, read in this order: positions may hold a fill that orders and fills do not show yet."""

    orders: tuple[VenueOrder, ...]
    missing: tuple[QueryOrder, ...]
    fills: tuple[Execution, ...]
    positions: tuple[VenuePosition, ...]
    account: VenueAccount
    session: VenueSession

    def filled_quantities(self) -> Mapping[VenueOrderId, Decimal]:
        """Give how far each order is filled."""
        return {order.venue_order_id: order.filled_quantity for order in self.orders}


RequestFailure: TypeAlias = RequestRejected | Unauthorized | Throttled | OutcomeUnknown | Unreachable


VenueResponse: TypeAlias = (
    OrderAccepted
    | OrderFound
    | OrderNotFound
    | DuplicateId
    | HaltedByFile
    | CancelAccepted
    | CancelAllAccepted
    | VenueSnapshot
    | RequestFailure
)


class EventKind(StrEnum):
    """What an event of the order stream is about."""

    EXECUTION = "execution"
    CANCEL_REJECTED = "cancel_refused"
    STATUS = "status"


@final
class OrderStreamUp(Struct, frozen=True, gc=False):
    """From now on every order event is heard; what happened before may have been missed."""


@final
class OrderStreamDown(Struct, frozen=True, gc=False):
    """Order events are not heard any more."""

    reason: str


@final
class VenueOrderEvent(Struct, frozen=True, gc=False):
    """One event; `order` is the order after it, `kind` is None where the venue's word is new to us."""

    kind: EventKind | None
    order: VenueOrder
    execution: Execution | None


@final
class UnreadableEvent(Struct, frozen=True, gc=False):
    """An event came that could not be read: something may have been missed."""

    reason: str


OrderStreamMessage: TypeAlias = OrderStreamUp | OrderStreamDown | VenueOrderEvent | UnreadableEvent
