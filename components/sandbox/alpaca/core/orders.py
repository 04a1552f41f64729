"""Orders at Alpaca: terms, statuses and events."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from components.sandbox.numerics import ZERO

AVERAGE_STEP = Decimal("0.000000001")


class Side(StrEnum):
    """Side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return +1 for a buy and -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """Return the other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """Type of an order."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """Time in force of an order."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    CLS = "cls"


class OrderStatus(StrEnum):
    """Status of an order."""

    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"


TERMINAL_STATUSES = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.REPLACED}
)
# Statuses that the venue leaves by itself a moment later.
TRANSIENT_STATUSES = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE})
# Statuses in which an order can fill; a fill can overtake a pending cancel or replace.
WORKING_STATUSES = frozenset(
    {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}
)


class EventKind(StrEnum):
    """Kinds of order events."""

    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIAL_FILL = "partial_fill"
    FILL = "fill"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    PENDING_REPLACE = "pending_replace"
    REPLACED = "replaced"
    ORDER_REPLACE_REJECTED = "order_replace_rejected"


FILL_EVENTS = frozenset({EventKind.FILL, EventKind.PARTIAL_FILL})


class OrderTerms(Struct, frozen=True, kw_only=True):
    """The validated terms of an order."""

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    position_intent: str | None = None


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order with its current state."""

    order_id: str
    client_order_id: str
    number: int
    terms: OrderTerms
    status: OrderStatus
    submitted_at_ns: int
    updated_at_ns: int
    filled_qty: Decimal = ZERO
    filled_cost: Decimal = ZERO
    triggered: bool = False
    high_water_mark: Decimal | None = None
    filled_at_ns: int | None = None
    ended_at_ns: int | None = None
    expires_at_ns: int | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    # A replacement waits until the replaced order has ended; until then it neither trades nor reserves funds.
    waits: bool = False
    # Filled quantity of the replaced order at the time of the request. If it has grown since, the replacement is
    # rejected.
    replaces_filled_qty: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        """Return whether the order can still change."""
        return self.status not in TERMINAL_STATUSES

    @property
    def filled_avg_price(self) -> Decimal | None:
        """Return the average fill price; None before the first fill."""
        return (self.filled_cost / self.filled_qty).quantize(AVERAGE_STEP) if self.filled_qty else None

    @property
    def remaining(self) -> Decimal:
        """Return the quantity still to fill; zero for a notional order, whose quantity depends on the price."""
        return ZERO if self.terms.qty is None else self.terms.qty - self.filled_qty


class OrderEvent(Struct, frozen=True, kw_only=True):
    """One event of an order, with the order's state after it."""

    kind: EventKind
    order: Order
    at_ns: int
    execution_id: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None
    position_qty: Decimal | None = None
