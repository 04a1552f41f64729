"""Execution's messages: the records of its order journal, published as the stream `orders`."""

from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.commands import Control
from components.contracts.errors import InvariantError
from components.contracts.protocol import Message
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.values import (
    CLIENT_ORDER_ID_LENGTH_MAX,
    AccountId,
    ClientOrderId,
    ExecutionId,
    IntentId,
    Side,
    Symbol,
    Venue,
    VenueOrderId,
    is_identifier,
)


class OrderState(StrEnum):
    """The state of an order, from the receipt of its intent on."""

    RECEIVED = "received"
    SENDING = "sending"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "cancelling"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired_at_venue"
    REJECTED = "rejected"
    NEVER_LANDED = "never_landed"
    """Sent, but not at the venue, now or later: another order has used up its client order id."""
    NEVER_SENT = "never_sent"

    @property
    def is_final(self) -> bool:
        """Return whether no other state can follow. Only then is unfilled exposure released."""
        return self in FINAL_STATES

    @property
    def is_working(self) -> bool:
        """Return whether the order is open at the venue as far as known."""
        return self in WORKING_STATES


FINAL_STATES: Final = frozenset(
    {
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
        OrderState.NEVER_LANDED,
        OrderState.NEVER_SENT,
    }
)
WORKING_STATES: Final = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL})


class UpdateSource(StrEnum):
    """The source of an order update."""

    LOCAL = "ourselves"
    REPLY = "reply"
    STREAM = "stream"
    QUERY = "query"
    RECONCILIATION = "reconciliation"


def client_order_id(intent: Intent, attempt: int) -> ClientOrderId:
    """Return the client order id of a signal, leg and attempt. Both sides recognize a duplicate by it."""
    name = f"{intent.signal_id}-{intent.leg}-{attempt}"
    if not is_identifier(name, length_max=CLIENT_ORDER_ID_LENGTH_MAX):
        raise InvariantError(f"client order id {name!r}: must be 1-{CLIENT_ORDER_ID_LENGTH_MAX} of A-Z a-z 0-9 _ . -")
    return ClientOrderId(name)


class IntentReceived(Message, frozen=True, tag="IntentReceived"):
    """An approved intent is durable; from now on it can be acknowledged and sent.

    `frame` is the sealed frame as received. After a restart the approval is authenticated again before the order is
    sent.
    """

    intent: Intent
    terms: ApprovalTerms
    client_order_id: ClientOrderId
    at_ns: int
    frame: bytes = b""


class FenceTerms(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The terms of a fence: an order that uses up a client order id so that an earlier one cannot land later."""

    quantity: Decimal
    limit_price: Decimal


class OrderSending(Message, frozen=True, tag="OrderSending"):
    """The request may be sent from now on. With `fence` it is the fence of an order whose outcome is unknown."""

    intent_id: IntentId
    client_order_id: ClientOrderId
    attempt: int
    at_ns: int
    fence: FenceTerms | None = None


class OrderUpdated(Message, frozen=True, tag="OrderUpdated"):
    """The new state of an order. `intent_id` is None for an external order."""

    intent_id: IntentId | None
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    symbol: Symbol
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    state: OrderState
    source: UpdateSource
    reason: str
    at_ns: int


class Filled(Message, frozen=True, tag="Filled"):
    """One execution. `cumulative_quantity` is the total of the order after it."""

    execution_id: ExecutionId
    intent_id: IntentId | None
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    source: UpdateSource
    venue_at_ns: int
    at_ns: int


class ControlReceived(Message, frozen=True, tag="ControlReceived"):
    """A control from risk is durable."""

    control: Control
    terms: ApprovalTerms
    at_ns: int


class VenuePosition(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One position as reported by the venue; negative when short."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal


class VenueAccount(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The account as reported by the venue."""

    account_number: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    trading_blocked: bool


class VenueSession(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Whether the venue is open, and the offset of its clock."""

    is_open: bool
    next_open_at_ns: int
    next_close_at_ns: int
    clock_offset_ns: int


class OpeningBalance(Message, frozen=True, tag="OpeningBalance"):
    """The positions at the venue when this journal was empty; positions are counted from here."""

    account: AccountId
    venue_account: VenueAccount
    positions: tuple[VenuePosition, ...]
    at_ns: int


class Reconciled(Message, frozen=True, tag="Reconciled"):
    """A comparison of the venue's account, positions and session with the journal.

    No `differences` means that they are equal.
    """

    venue: Venue
    venue_account: VenueAccount
    session: VenueSession
    positions: tuple[VenuePosition, ...]
    open_orders: tuple[ClientOrderId, ...]
    differences: tuple[str, ...]
    at_ns: int


class VenueConnectivity(StrEnum):
    """How well the venue can be reached."""

    HEALTHY = "reached"
    DEGRADED = "degraded"
    LOST = "lost"


class VenueConnectivityChanged(Message, frozen=True, tag="VenueConnectivityChanged"):
    """The connectivity of the venue's REST API or order stream changed."""

    venue: Venue
    connectivity: VenueConnectivity
    reason: str
    at_ns: int


class ClientOrderIdConflict(Message, frozen=True, tag="ClientOrderIdConflict"):
    """The venue has another order with our client order id. Trading halts."""

    client_order_id: ClientOrderId
    detail: str
    at_ns: int


OrderMessage: TypeAlias = (
    IntentReceived
    | OrderSending
    | OrderUpdated
    | Filled
    | ControlReceived
    | OpeningBalance
    | Reconciled
    | VenueConnectivityChanged
    | ClientOrderIdConflict
)
