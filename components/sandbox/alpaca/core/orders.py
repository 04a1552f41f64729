"""An order at the venue: its fields, its states, and the events that move it."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from components.sandbox.numerics import ZERO

AVERAGE_STEP = Decimal("0.000000001")


class Side(StrEnum):
    """Which way an order trades."""

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
    """How an order finds its price."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    CLS = "cls"


class OrderStatus(StrEnum):
    """Where an order stands."""

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


# States that the venue itself leads on from, a moment later.
TRANSIENT_STATUSES = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE})


# States in which the market can still fill an order; a fill may win over a cancel or a replace that is under way.
WORKING_STATUSES = frozenset(
    {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}
)


class EventKind(StrEnum):
    """What just happened to an order."""

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
    """What was asked for, after every check of form."""

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
    """One order with all that ever happened to it."""

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
    # A replacement waits until the order it replaces has left; meanwhile it neither trades nor reserves.
    waits: bool = False
    # What the replaced order had filled when the replacement was asked for; more by then, and the fill has won.
    replaces_filled_qty: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        """Tell whether anything may still happen to it."""
        return self.status not in TERMINAL_STATUSES

    @property
    def filled_avg_price(self) -> Decimal | None:
        """Return the average price of what has filled."""
        return (self.filled_cost / self.filled_qty).quantize(AVERAGE_STEP) if self.filled_qty else None

    @property
    def remaining(self) -> Decimal:
        """Return the quantity that still works; nothing for an order in dollars, whose quantity its price decides."""
        return ZERO if self.terms.qty is None else self.terms.qty - self.filled_qty


class OrderEvent(Struct, frozen=True, kw_only=True):
    """One step of an order's life, with the order as it is afterwards."""

    kind: EventKind
    order: Order
    at_ns: int
    execution_id: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None
    position_qty: Decimal | None = None
