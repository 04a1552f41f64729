"""Translates between Alpaca's documents and our messages.

A status or event type that is unknown to us is never guessed.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from components.contracts.orders import OrderState, VenueAccount, VenuePosition, VenueSession
from components.contracts.signals import Intent
from components.contracts.values import (
    ZERO,
    ClientOrderId,
    ExecutionId,
    OrderType,
    Side,
    Symbol,
    VenueOrderId,
    format_decimal,
)
from components.execution.core.execution_reports import inferred_execution_id
from components.execution.core.venue_messages import EventKind, Execution, Fence, VenueOrder, VenueOrderEvent
from components.execution.venues.alpaca.schema import (
    AccountDocument,
    ClockDocument,
    FillDocument,
    NewOrderDocument,
    OrderDocument,
    PositionDocument,
    TradeUpdateDocument,
)
from components.runtime.clock import NS_PER_S

STATE_BY_STATUS: Final[Mapping[str, OrderState]] = {
    "pending_new": OrderState.OPEN,
    "accepted": OrderState.OPEN,
    "new": OrderState.OPEN,
    "held": OrderState.OPEN,
    "accepted_for_bidding": OrderState.OPEN,
    "pending_review": OrderState.OPEN,
    "stopped": OrderState.OPEN,
    "suspended": OrderState.OPEN,
    "done_for_day": OrderState.OPEN,
    "calculated": OrderState.OPEN,
    "pending_replace": OrderState.OPEN,
    "partially_filled": OrderState.PARTIALLY_FILLED,
    "pending_cancel": OrderState.PENDING_CANCEL,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "replaced": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}
"""Every status that Alpaca documents; a replaced order continues under another id."""
KIND_BY_EVENT: Final[Mapping[str, EventKind]] = {
    "fill": EventKind.EXECUTION,
    "partial_fill": EventKind.EXECUTION,
    "order_cancel_rejected": EventKind.CANCEL_REJECTED,
    "order_replace_rejected": EventKind.STATUS,
    "pending_new": EventKind.STATUS,
    "accepted": EventKind.STATUS,
    "new": EventKind.STATUS,
    "canceled": EventKind.STATUS,
    "expired": EventKind.STATUS,
    "rejected": EventKind.STATUS,
    "replaced": EventKind.STATUS,
    "done_for_day": EventKind.STATUS,
    "calculated": EventKind.STATUS,
    "stopped": EventKind.STATUS,
    "suspended": EventKind.STATUS,
    "pending_review": EventKind.STATUS,
    "restated": EventKind.STATUS,
    "held": EventKind.STATUS,
    "pending_cancel": EventKind.STATUS,
    "pending_replace": EventKind.STATUS,
}
"""Every event type that Alpaca documents."""
SIDE_BY_NAME: Final[Mapping[str, Side]] = {"buy": Side.BUY, "sell": Side.SELL}
TIMESTAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def encode_order(client_order_id: ClientOrderId, intent: Intent) -> bytes:
    """Return the body of an order request."""
    limit = None if intent.limit_price is None else format_decimal(intent.limit_price)
    return msgspec.json.encode(
        NewOrderDocument(
            symbol=intent.symbol,
            qty=format_decimal(intent.quantity),
            side=intent.side,
            type=intent.order_type,
            time_in_force=intent.time_in_force,
            client_order_id=client_order_id,
            limit_price=limit,
        )
    )


def encode_fence(fence: Fence) -> bytes:
    """Return the body of a fence request."""
    return msgspec.json.encode(
        NewOrderDocument(
            symbol=fence.symbol,
            qty=format_decimal(fence.quantity),
            side=fence.side,
            type=OrderType.LIMIT,
            time_in_force=fence.time_in_force,
            client_order_id=fence.client_order_id,
            limit_price=format_decimal(fence.limit_price),
        )
    )


def parse_order(document: OrderDocument) -> VenueOrder:
    """Return the order of a document; raise ValueError if it is not valid."""
    if document.side not in SIDE_BY_NAME:
        raise ValueError(f"order {document.id}: side {document.side!r}")
    _require_valid_numbers(
        f"order {document.id}", document.qty, document.filled_qty, document.filled_avg_price, document.limit_price
    )
    return VenueOrder(
        venue_order_id=VenueOrderId(document.id),
        client_order_id=ClientOrderId(document.client_order_id),
        symbol=Symbol(document.symbol),
        side=SIDE_BY_NAME[document.side],
        quantity=document.qty or ZERO,
        order_type=document.type or document.order_type or "",
        limit_price=document.limit_price,
        filled_quantity=document.filled_qty or ZERO,
        average_price=document.filled_avg_price,
        state=STATE_BY_STATUS.get(document.status),
        venue_status=document.status,
    )


def parse_order_with_legs(document: OrderDocument) -> tuple[VenueOrder, ...]:
    """Return an order and its legs."""
    legs = document.legs or ()
    return (parse_order(document), *(order for leg in legs for order in parse_order_with_legs(leg)))


def parse_event(document: TradeUpdateDocument) -> VenueOrderEvent:
    """Return the event of a document; raise ValueError if it is not valid."""
    kind = KIND_BY_EVENT.get(document.event)
    return VenueOrderEvent(
        kind, parse_order(document.order), _parse_execution(document) if kind is EventKind.EXECUTION else None
    )


def parse_fill(document: FillDocument) -> Execution:
    """Return the execution of an activity; its id is inferred and the same at every read."""
    venue_order_id = VenueOrderId(document.order_id)
    _require_valid_numbers(f"fill of {venue_order_id}", document.qty, document.price, document.cum_qty)
    return Execution(
        execution_id=inferred_execution_id(venue_order_id, document.cum_qty),
        venue_order_id=venue_order_id,
        quantity=document.qty,
        price=document.price,
        cumulative_quantity=document.cum_qty,
        venue_at_ns=parse_timestamp(document.transaction_time),
    )


def parse_position(document: PositionDocument) -> VenuePosition:
    """Return the position of a document."""
    _require_valid_numbers(f"position in {document.symbol}", abs(document.qty), document.avg_entry_price)
    quantity = -abs(document.qty) if document.side == "short" else document.qty
    return VenuePosition(Symbol(document.symbol), quantity, document.avg_entry_price or ZERO)


def parse_account(document: AccountDocument) -> VenueAccount:
    """Return the account of a document."""
    return VenueAccount(
        account_number=document.account_number,
        cash=document.cash,
        equity=document.equity,
        buying_power=document.buying_power,
        trading_blocked=document.trading_blocked or document.account_blocked or document.trade_suspended_by_user,
    )


def parse_session(document: ClockDocument, *, requested_at_ns: int, received_at_ns: int) -> VenueSession:
    """Return the trading session and the offset of the venue's clock.

    The venue's timestamp is assumed to be halfway between request and response.
    """
    return VenueSession(
        is_open=document.is_open,
        next_open_at_ns=parse_timestamp(document.next_open),
        next_close_at_ns=parse_timestamp(document.next_close),
        clock_offset_ns=parse_timestamp(document.timestamp) - (requested_at_ns + received_at_ns) // 2,
    )


def parse_timestamp(text: str) -> int:
    """Return a timestamp with up to nine decimals in nanoseconds; raise ValueError if it is not valid."""
    found = TIMESTAMP.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a timestamp")
    second, fraction, zone = found.groups()
    since = datetime.fromisoformat(f"{second}{zone.upper()}") - EPOCH
    return (since // timedelta(seconds=1)) * NS_PER_S + int((fraction or "").ljust(9, "0"))


def format_timestamp(at_ns: int) -> str:
    """Return a timestamp for a query."""
    seconds, fraction = divmod(at_ns, NS_PER_S)
    moment = EPOCH + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def _parse_execution(document: TradeUpdateDocument) -> Execution | None:
    cumulative = document.order.filled_qty or ZERO
    if document.price is None or document.qty is None:
        return None
    _require_valid_numbers(f"execution of {document.order.id}", document.price, document.qty)
    if not ZERO < document.qty <= cumulative:
        return None
    venue_order_id = VenueOrderId(document.order.id)
    name = document.execution_id
    return Execution(
        execution_id=ExecutionId(name) if name else inferred_execution_id(venue_order_id, cumulative),
        venue_order_id=venue_order_id,
        quantity=document.qty,
        price=document.price,
        cumulative_quantity=cumulative,
        venue_at_ns=parse_timestamp(document.timestamp) if document.timestamp else 0,
    )


def _require_valid_numbers(what: str, *numbers: Decimal | None) -> None:
    """Raise ValueError for a negative or non-finite number: every later comparison with a NaN would raise."""
    if any(number is not None and not (number.is_finite() and number >= ZERO) for number in numbers):
        raise ValueError(f"{what}: {', '.join(str(number) for number in numbers)}")
