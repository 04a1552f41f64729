"""Checks of a well-formed order against the account: free shares, buying power, wash trades."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from components.sandbox.alpaca.core.account import AccountConfiguration, held_for_orders, order_cost, reduces_position
from components.sandbox.alpaca.core.errors import (
    COST_BASIS_TOO_SMALL,
    FORBIDDEN,
    NO_LONG_WHILE_SHORT,
    NO_SHORT_WHILE_LONG,
    NO_SHORTING,
    TRADING_SUSPENDED,
    ApiError,
    insufficient_buying_power,
    insufficient_quantity,
    unprocessable,
    wash_trade,
)
from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.orders import Order, OrderTerms, OrderType, Side
from components.sandbox.alpaca.core.validation import is_fractional

NOTIONAL_MIN = Decimal(1)
UNPRICED_TYPES = frozenset({OrderType.MARKET, OrderType.STOP, OrderType.TRAILING_STOP})


class AdmissionContext(Struct, frozen=True, kw_only=True):
    """The state of the account that the checks of one order need."""

    position_qty: Decimal
    orders: Sequence[Order]  # open orders of the same symbol
    quote: Quote
    buying_power: Decimal
    configuration: AccountConfiguration


def check_admission(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    """Return the error of the first check that fails, in the order of the real venue; None if all pass."""
    for check in _CHECKS:
        if error := check(terms, context):
            return error
    return None


def infer_position_intent(side: Side, position_qty: Decimal) -> str:
    """Return what an order does to the position, in the venue's terms."""
    return f"{side}_to_{'close' if reduces_position(position_qty, side) else 'open'}"


def _check_trading_enabled(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    if context.configuration.suspend_trade:
        return TRADING_SUSPENDED
    if is_fractional(terms) and not context.configuration.fractional_trading:
        return ApiError(403, FORBIDDEN, "fractional trading is disabled for this account")
    small = terms.notional is not None and terms.notional < NOTIONAL_MIN
    return COST_BASIS_TOO_SMALL if small else None


def _check_position_intent(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    inferred = infer_position_intent(terms.side, context.position_qty)
    if terms.position_intent in {None, inferred}:
        return None
    return unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {terms.position_intent}")


def _check_stop_price(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    if (
        terms.stop_price is None
        or (context.quote.executable_price(terms.side) - terms.stop_price) * terms.side.sign < 0
    ):
        return None
    relation = "greater" if terms.side is Side.BUY else "less"
    return unprocessable(f"stop price must be {relation} than current price")


def _check_wash_trade(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    for order in context.orders:
        if order.terms.side is terms.side or order.waits:
            continue
        if order.terms.type in UNPRICED_TYPES:
            return wash_trade(order.order_id, "opposite side market/stop order exists")
        if _would_cross(terms, order.terms):
            return wash_trade(order.order_id, "opposite side limit order exists")
    return None


def _would_cross(terms: OrderTerms, other: OrderTerms) -> bool:
    if terms.limit_price is None or other.limit_price is None:
        return True
    return (terms.limit_price - other.limit_price) * terms.side.sign >= 0


def _check_available_quantity(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    # An order that reduces a position must not reverse it.
    if not reduces_position(context.position_qty, terms.side):
        return None
    held, existing = held_for_orders(context.orders, terms.side), abs(context.position_qty)
    requested = (
        terms.qty
        if terms.qty is not None
        else (terms.notional or Decimal(0)) / context.quote.executable_price(terms.side)
    )
    if requested <= existing - held:
        return None
    related = [order.order_id for order in context.orders if order.terms.side is terms.side]
    return insufficient_quantity(terms.symbol, requested=requested, existing=existing, held=held, related=related)


def _check_opening(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    if context.position_qty != 0:
        return None
    opposite = any(order.terms.side is not terms.side for order in context.orders)
    if terms.side is Side.BUY:
        return NO_LONG_WHILE_SHORT if opposite else None
    if context.configuration.no_shorting:
        return NO_SHORTING
    if is_fractional(terms):
        return unprocessable("fractional orders cannot be sold short")
    return NO_SHORT_WHILE_LONG if opposite else None


def _check_buying_power(terms: OrderTerms, context: AdmissionContext) -> ApiError | None:
    if reduces_position(context.position_qty, terms.side):
        return None
    cost = order_cost(terms, terms.qty or Decimal(0), context.quote)
    return None if cost <= context.buying_power else insufficient_buying_power(context.buying_power, cost)


_CHECKS = (
    _check_trading_enabled,
    _check_position_intent,
    _check_stop_price,
    _check_wash_trade,
    _check_available_quantity,
    _check_opening,
    _check_buying_power,
)
