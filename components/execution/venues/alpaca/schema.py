"""Alpaca's JSON documents, with Alpaca's field names; fields that are not needed are left out."""

from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

Document = TypeVar("Document")
DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""Every error that input can cause in the decoder; broken UTF-8 is a ValueError, deep nesting a RecursionError."""


class OrderDocument(Struct, frozen=True, gc=False):
    """An order; a number may be missing or null where Alpaca documents it."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    status: str
    qty: Decimal | None = None
    filled_qty: Decimal | None = None
    filled_avg_price: Decimal | None = None
    type: str | None = None
    order_type: str | None = None
    limit_price: Decimal | None = None
    legs: tuple["OrderDocument", ...] | None = None


class FillDocument(Struct, frozen=True, gc=False):
    """A fill among the account's activities: one execution, without client order id and without the stream's id."""

    id: str
    order_id: str
    price: Decimal
    qty: Decimal
    cum_qty: Decimal
    transaction_time: str


class PositionDocument(Struct, frozen=True, gc=False):
    """A position; the quantity is negative when short."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal | None = None
    side: str = ""


class AccountDocument(Struct, frozen=True, gc=False):
    """The account."""

    account_number: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False


class ClockDocument(Struct, frozen=True, gc=False):
    """The venue's clock and session."""

    timestamp: str
    is_open: bool
    next_open: str
    next_close: str


class CancelledDocument(Struct, frozen=True, gc=False):
    """Result for one order of a cancel-all request."""

    id: str
    status: int


class ErrorDocument(Struct, frozen=True, gc=False):
    """The body of an error response."""

    message: str = ""
    code: int | None = None


class TradeUpdateDocument(Struct, frozen=True, gc=False):
    """An event of an order; price and quantity are of this one execution."""

    event: str
    order: OrderDocument
    timestamp: str | None = None
    execution_id: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None


class StreamDocument(Struct, frozen=True, gc=False):
    """A frame of the stream; the stream's name determines the type of its data."""

    stream: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class AuthorizationDocument(Struct, frozen=True, gc=False):
    """Reply to the authentication."""

    status: str = ""
    action: str = ""
    message: str = ""


class ListeningDocument(Struct, frozen=True, gc=False):
    """The complete set of subscribed streams."""

    streams: tuple[str, ...] = ()


class NewOrderDocument(Struct, frozen=True, gc=False, omit_defaults=True):
    """The body of an order request: numbers as strings, never as floats."""

    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    client_order_id: str
    limit_price: str | None = None


def decode_document(body: bytes | msgspec.Raw, kind: type[Document]) -> Document | None:
    """Return the decoded document; None if the bytes are not one."""
    try:
        return msgspec.json.decode(body, type=kind)
    except DECODE_ERRORS:
        return None
