"""Validation of order and replacement requests, with the error texts of the real venue."""

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.alpaca.core.errors import (
    CLIENT_ORDER_ID_TOO_LONG,
    NOTHING_CHANGED,
    ORDER_NOT_OPEN,
    ORDER_NOT_SENT,
    ApiError,
    invalid_request,
    unprocessable,
)
from components.sandbox.alpaca.core.orders import Order, OrderStatus, OrderTerms, OrderType, Side, TimeInForce
from components.sandbox.numerics import ZERO, decimal_places

CLIENT_ORDER_ID_LENGTH_MAX = 128
QUANTITY_PLACES_MAX = 9
TRAIL_PERCENT_MIN = Decimal("0.1")


class OrderBody(Struct, frozen=True, kw_only=True):
    """The body of POST /v2/orders; numbers may be JSON numbers or strings."""

    symbol: str = ""
    qty: Decimal | None = None
    notional: Decimal | None = None
    side: str = ""
    type: str = ""
    time_in_force: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool | None = None
    client_order_id: str | None = None
    order_class: str | None = None
    position_intent: str | None = None


Check = Callable[[OrderBody], str | None]


def parse_order_terms(body: OrderBody) -> OrderTerms | ApiError:
    """Return the terms of an order request, or the error of the first check that fails."""
    for check in _SYNTAX_CHECKS:
        if message := check(body):
            return invalid_request(message)
    for check in _RULE_CHECKS:
        if message := check(body):
            return unprocessable(message)
    return OrderTerms(
        symbol=body.symbol.upper(),
        side=Side(body.side),
        type=OrderType(body.type),
        time_in_force=TimeInForce(body.time_in_force),
        qty=body.qty,
        notional=body.notional,
        limit_price=body.limit_price,
        stop_price=body.stop_price,
        trail_price=body.trail_price,
        trail_percent=body.trail_percent,
        extended_hours=bool(body.extended_hours),
        position_intent=body.position_intent,
    )


def check_client_order_id(client_order_id: str) -> ApiError | None:
    """Return the error for a client order id that is too long, else None."""
    return CLIENT_ORDER_ID_TOO_LONG if len(client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX else None


def is_fractional(body: OrderBody | OrderTerms) -> bool:
    """Return whether an order is for a fraction of a share."""
    return body.notional is not None or (body.qty is not None and decimal_places(body.qty) > 0)


def _check_numbers_finite(body: OrderBody) -> str | None:
    names = ("qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent")
    for name in names:
        value: Decimal | None = getattr(body, name)
        if value is not None and not value.is_finite():
            return f"{name.replace('_', ' ')} must be a number"
    return None


def _check_symbol_present(body: OrderBody) -> str | None:
    return None if body.symbol else "symbol is required"


def _check_one_amount(body: OrderBody) -> str | None:
    if body.qty is None and body.notional is None:
        return "qty or notional is required"
    if body.qty is not None and body.notional is not None:
        return "only one of qty or notional is accepted"
    if body.qty is not None and body.qty <= ZERO:
        return "qty must be > 0"
    return "notional must be > 0" if body.notional is not None and body.notional <= ZERO else None


def _check_enum_values(body: OrderBody) -> str | None:
    if body.side not in set(Side):
        return "invalid side"
    if body.type not in set(OrderType):
        return "invalid order type"
    if body.time_in_force not in set(TimeInForce):
        return "invalid time_in_force"
    return None if body.order_class in {None, "", "simple"} else "invalid order class"


def _check_prices_for_type(body: OrderBody) -> str | None:
    limit, stop = body.limit_price is not None, body.stop_price is not None
    match OrderType(body.type):
        case OrderType.MARKET:
            return "market orders require no stop or limit price" if limit or stop else None
        case OrderType.LIMIT:
            return None if limit else "limit orders require a limit price"
        case OrderType.STOP:
            return None if stop else "stop orders require a stop price"
        case OrderType.STOP_LIMIT:
            return None if limit and stop else "stop limit orders require both stop and limit price"
        case OrderType.TRAILING_STOP:
            return _check_trail(body)


def _check_trail(body: OrderBody) -> str | None:
    if (body.trail_price is None) == (body.trail_percent is None):
        return "trailing stop orders must specify one of trail_price or trail_percent"
    if body.trail_percent is not None and body.trail_percent < TRAIL_PERCENT_MIN:
        return "trail_percent must be greater than or equal to 0.1"
    return "trail price must be > 0" if body.trail_price is not None and body.trail_price <= ZERO else None


def _check_prices_positive(body: OrderBody) -> str | None:
    if body.limit_price is not None and body.limit_price <= ZERO:
        return "limit price must be > 0"
    return "stop price must be > 0" if body.stop_price is not None and body.stop_price <= ZERO else None


def _check_tick_size(body: OrderBody) -> str | None:
    for name in ("limit_price", "stop_price"):
        price: Decimal | None = getattr(body, name)
        if price is not None and decimal_places(price) > price_decimals_max(price):
            text = format(price, "f")
            return f"invalid {name} {text}. sub-penny increment does not fulfill minimum pricing criteria"
    return None


def price_decimals_max(price: Decimal) -> int:
    """Return the number of decimals allowed in a price: two from one dollar up, four below."""
    return 2 if price >= 1 else 4


def _check_time_in_force(body: OrderBody) -> str | None:
    if body.time_in_force in {"day", "gtc"} or body.type in {"market", "limit"}:
        return None
    return f"time_in_force {body.time_in_force} is not valid for {body.type} orders"


def _check_no_auction(body: OrderBody) -> str | None:
    if body.time_in_force not in {"opg", "cls"}:
        return None
    return f"time_in_force {body.time_in_force} is not enabled for this account"


def _check_fractional(body: OrderBody) -> str | None:
    if not is_fractional(body):
        return None
    if body.time_in_force != "day":
        return "fractional orders must be DAY orders"
    if body.qty is not None and decimal_places(body.qty) > QUANTITY_PLACES_MAX:
        return "qty must be limited to 9 decimal places"
    trails = body.type == "trailing_stop"
    return "fractional orders must be market, limit, stop or stop_limit orders" if trails else None


def _check_extended_hours(body: OrderBody) -> str | None:
    if not body.extended_hours or (body.type == "limit" and body.time_in_force in {"day", "gtc"}):
        return None
    return "extended hours order must be DAY or GTC limit orders"


_SYNTAX_CHECKS: tuple[Check, ...] = (
    _check_symbol_present,
    _check_numbers_finite,
    _check_one_amount,
    _check_enum_values,
    _check_prices_for_type,
    _check_prices_positive,
)
_RULE_CHECKS: tuple[Check, ...] = (
    _check_tick_size,
    _check_time_in_force,
    _check_no_auction,
    _check_fractional,
    _check_extended_hours,
)


class ReplaceBody(Struct, frozen=True, kw_only=True):
    """The body of PATCH /v2/orders/{id}; absent fields keep their value."""

    qty: Decimal | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    client_order_id: str | None = None


def replacement_terms(old: Order, body: ReplaceBody) -> OrderTerms | ApiError:
    """Return the terms of the replacement, or an error.

    Its quantity is the new total less what the old order has filled.
    """
    if error := _check_replaceable(old, body):
        return error
    revised = parse_order_terms(_merged_body(old.terms, body))
    if isinstance(revised, ApiError):
        return revised
    # The position intent is inferred when the replacement enters.
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
