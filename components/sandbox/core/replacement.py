"""What a replacement asks for: the old order's terms with a few of them changed."""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.core.decimals import decimal_places
from components.sandbox.core.orders import Order, OrderStatus, OrderTerms, OrderType
from components.sandbox.core.refusals import NOTHING_CHANGED, ORDER_NOT_OPEN, ORDER_NOT_SENT, ApiError, unprocessable
from components.sandbox.core.validation import OrderBody, parse_order_terms


class ReplaceBody(Struct, frozen=True, kw_only=True):
    """The body of PATCH /v2/orders/{id}; what is absent stays as it was."""

    qty: Decimal | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    client_order_id: str | None = None


def replacement_terms(old: Order, body: ReplaceBody) -> OrderTerms | ApiError:
    """Return the new order's terms; its quantity is the new total less what the old one has filled."""
    if refusal := _check_replaceable(old, body):
        return refusal
    revised = parse_order_terms(_merged_body(old.terms, body))
    if isinstance(revised, ApiError):
        return revised
    # What the new order does to the position is found out when it enters.
    if revised == replace(old.terms, position_intent=None):
        return NOTHING_CHANGED
    total = revised.qty or Decimal(0)
    if total <= old.filled_qty:
        return unprocessable("qty must be greater than filled_qty")
    return parse_order_terms(_merged_body(revised, ReplaceBody(qty=total - old.filled_qty)))


def _check_replaceable(old: Order, body: ReplaceBody) -> ApiError | None:
    if old.status in {OrderStatus.ACCEPTED, OrderStatus.PENDING_NEW}:
        return ORDER_NOT_SENT
    if old.status not in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}:
        return ORDER_NOT_OPEN
    if old.terms.notional is not None:
        return unprocessable("notional orders cannot be replaced")
    changes_fraction = (
        body.qty is not None and body.qty != old.terms.qty and decimal_places(old.terms.qty or Decimal(0)) > 0
    )
    return unprocessable("qty of fractional orders cannot be replaced") if changes_fraction else None


def _merged_body(terms: OrderTerms, body: ReplaceBody) -> OrderBody:
    by_price = terms.type is OrderType.TRAILING_STOP and terms.trail_price is not None
    by_percent = terms.type is OrderType.TRAILING_STOP and not by_price
    return OrderBody(
        symbol=terms.symbol,
        qty=terms.qty if body.qty is None else body.qty,
        side=terms.side,
        type=terms.type,
        time_in_force=body.time_in_force or terms.time_in_force,
        limit_price=terms.limit_price if body.limit_price is None else body.limit_price,
        stop_price=terms.stop_price if body.stop_price is None else body.stop_price,
        trail_price=(body.trail or terms.trail_price) if by_price else None,
        trail_percent=(body.trail or terms.trail_percent) if by_percent else None,
        extended_hours=terms.extended_hours,
    )
