"""Messages between the service and a venue adapter: requests, responses, and the events of the order stream."""

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
    """One order as the venue reports it; `state` is None if its status is unknown to us."""

    venue_order_id: VenueOrderId
    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    """Zero if the venue counts the order in money."""
    order_type: str
    limit_price: Decimal | None
    filled_quantity: Decimal
    average_price: Decimal | None
    state: OrderState | None
    venue_status: str


@final
class Execution(Struct, frozen=True, gc=False, kw_only=True):
    """One execution as the venue reports it; it brought the order to `cumulative_quantity`."""

    execution_id: ExecutionId
    venue_order_id: VenueOrderId
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    venue_at_ns: int


@final
class SubmitOrder(Struct, frozen=True, gc=False):
    """Submit an approved order; the type admits no other."""

    client_order_id: ClientOrderId
    signal: Signal[Approved]


@final
class Fence(Struct, frozen=True, gc=False, kw_only=True):
    """Use up a client order id with a minimal order far from the market.

    Afterwards an earlier order with this id can never arrive.
    """

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: TimeInForce


@final
class QueryOrder(Struct, frozen=True, gc=False):
    """Query one order by the venue's id if it is known, else by the client order id."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None = None


@final
class CancelOrder(Struct, frozen=True, gc=False):
    """Request the cancel of one order."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId


@final
class CancelAllOrders(Struct, frozen=True, gc=False):
    """Request the cancel of every open order of the account, including external orders."""


@final
class FetchVenueSnapshot(Struct, frozen=True, gc=False):
    """Fetch open orders, the named orders, fills since a time, and last the positions, account and session."""

    number: int
    orders: tuple[QueryOrder, ...]
    fills_after_ns: int


VenueRequest: TypeAlias = SubmitOrder | Fence | QueryOrder | CancelOrder | CancelAllOrders | FetchVenueSnapshot


@final
class OrderAccepted(Struct, frozen=True, gc=False):
    """The venue accepted the order."""

    order: VenueOrder


@final
class OrderFound(Struct, frozen=True, gc=False):
    """The venue knows the order."""

    order: VenueOrder


@final
class OrderNotFound(Struct, frozen=True, gc=False):
    """The venue does not know the order now; a request still in transit may create it later."""


@final
class RequestRejected(Struct, frozen=True, gc=False):
    """The venue rejected this request for good."""

    status: int
    text: str


@final
class Unauthorized(Struct, frozen=True, gc=False):
    """The venue does not accept our keys, or not for this request; nothing was done."""

    text: str


@final
class Throttled(Struct, frozen=True, gc=False):
    """The venue rejected the request by its rate limit, before processing it; it may be sent again later."""

    retry_at_ns: int
    text: str


@final
class DuplicateId(Struct, frozen=True, gc=False):
    """The client order id is used already: some order with this id has arrived."""

    text: str


@final
class OutcomeUnknown(Struct, frozen=True, gc=False):
    """The request may or may not have been processed."""

    reason: str


@final
class Unreachable(Struct, frozen=True, gc=False):
    """No byte of the request was sent, so it was not processed."""

    reason: str


@final
class HaltedByFile(Struct, frozen=True, gc=False):
    """The HALT file exists, so the order was not sent."""

    path: str


@final
class CancelAccepted(Struct, frozen=True, gc=False):
    """The venue will try to cancel the order; later reports contain the outcome."""


@final
class CancelAllAccepted(Struct, frozen=True, gc=False):
    """The venue will try to cancel every order except the rejected ones."""

    rejected: tuple[VenueOrderId, ...]


@final
class VenueSnapshot(Struct, frozen=True, gc=False, kw_only=True):
    """The venue's account, fetched in the order of these fields.

    Positions may include a fill that orders and fills do not show yet.
    """

    orders: tuple[VenueOrder, ...]
    missing: tuple[QueryOrder, ...]
    fills: tuple[Execution, ...]
    positions: tuple[VenuePosition, ...]
    account: VenueAccount
    session: VenueSession

    def filled_quantities(self) -> Mapping[VenueOrderId, Decimal]:
        """Return the filled quantity of each order."""
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
    """What an event of the order stream reports."""

    EXECUTION = "execution"
    CANCEL_REJECTED = "cancel_refused"
    STATUS = "status"


@final
class OrderStreamUp(Struct, frozen=True, gc=False):
    """From now on every order event is received; earlier ones may have been missed."""


@final
class OrderStreamDown(Struct, frozen=True, gc=False):
    """Order events are no longer received."""

    reason: str


@final
class VenueOrderEvent(Struct, frozen=True, gc=False):
    """One event; `order` is the order after it, `kind` is None if the event type is unknown to us."""

    kind: EventKind | None
    order: VenueOrder
    execution: Execution | None


@final
class UnreadableEvent(Struct, frozen=True, gc=False):
    """An event could not be decoded: a change of an order may have been missed."""

    reason: str


OrderStreamMessage: TypeAlias = OrderStreamUp | OrderStreamDown | VenueOrderEvent | UnreadableEvent
