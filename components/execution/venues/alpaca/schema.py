"""Alpaca's documents as they stand on the wire; the names are Alpaca's, and what we do not need is not here."""

from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that bytes can do to the decoder; broken UTF-8 is a ValueError, deep nesting a RecursionError."""


class OrderDocument(Struct, frozen=True, gc=False):
    """An order; a number may be missing or null where Alpaca says so."""

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
    """A row of the account's activities: one execution, without our id and without the stream's."""

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
    """What became of one order of a cancel of all."""

    id: str
    status: int


class ErrorDocument(Struct, frozen=True, gc=False):
    """Why the venue said no."""

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
    """A frame of the stream; what its data is follows from the stream's name."""

    stream: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class AuthorizationDocument(Struct, frozen=True, gc=False):
    """Whether we were let in."""

    status: str = ""
    action: str = ""
    message: str = ""


class ListeningDocument(Struct, frozen=True, gc=False):
    """The whole set of what is heard now."""

    streams: tuple[str, ...] = ()


class NewOrderDocument(Struct, frozen=True, gc=False, omit_defaults=True):
    """What we send to place an order: numbers as texts, so that no float ever touches them."""

    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    client_order_id: str
    limit_price: str | None = None


Document = TypeVar("Document")


def decode_document(body: bytes | msgspec.Raw, kind: type[Document]) -> Document | None:
    """Read a document; None where it is not one."""
    try:
        return msgspec.json.decode(body, type=kind)
    except DECODE_ERRORS:
        return None
