"""Whether a well-formed order may enter: shares free to sell, funds free to spend, no trade with oneself."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from components.sandbox.core.account import Configuration, closes, cost_of, held_quantity
from components.sandbox.core.matching import Quote
from components.sandbox.core.orders import Order, OrderType, Side, Terms
from components.sandbox.core.refusals import (
    COST_BASIS_TOO_SMALL,
    FORBIDDEN,
    NO_LONG_WHILE_SHORT,
    NO_SHORT_WHILE_LONG,
    NO_SHORTING,
    SUSPENDED,
    Refusal,
    buying_power,
    insufficient_quantity,
    unprocessable,
    wash_trade,
)
from components.sandbox.core.validation import is_fractional

NOTIONAL_MIN = Decimal(1)
UNPRICED = frozenset({OrderType.MARKET, OrderType.STOP, OrderType.TRAILING_STOP})


class Scene(Struct, frozen=True, kw_only=True):
    """What the account looks like to one order that wants in."""

    position_qty: Decimal
    orders: Sequence[Order]  # open ones of the same symbol
    quote: Quote
    buying_power: Decimal
    configuration: Configuration


def admit(terms: Terms, scene: Scene) -> Refusal | None:
    """Return the first reason to keep an order out, in the order in which the venue looks."""
    for check in _CHECKS:
        if refusal := check(terms, scene):
            return refusal
    return None


def infer_intent(side: Side, position_qty: Decimal) -> str:
    """Name what an order does to the position, in the venue's words."""
    return f"{side}_to_{'close' if closes(position_qty, side) else 'open'}"


def _account_trades(terms: Terms, scene: Scene) -> Refusal | None:
    if scene.configuration.suspend_trade:
        return SUSPENDED
    if is_fractional(terms) and not scene.configuration.fractional_trading:
        return Refusal(403, FORBIDDEN, "fractional trading is disabled for this account")
    small = terms.notional is not None and terms.notional < NOTIONAL_MIN
    return COST_BASIS_TOO_SMALL if small else None


def _intent_is_true(terms: Terms, scene: Scene) -> Refusal | None:
    inferred = infer_intent(terms.side, scene.position_qty)
    if terms.position_intent in {None, inferred}:
        return None
    return unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {terms.position_intent}")


def _stop_lies_ahead(terms: Terms, scene: Scene) -> Refusal | None:
    if terms.stop_price is None or (scene.quote.taken_by(terms.side) - terms.stop_price) * terms.side.sign < 0:
        return None
    relation = "greater" if terms.side is Side.BUY else "less"
    return unprocessable(f"stop price must be {relation} than current price")


def _does_not_wash(terms: Terms, scene: Scene) -> Refusal | None:
    for order in scene.orders:
        if order.terms.side is terms.side or order.waits:
            continue
        if order.terms.type in UNPRICED:
            return wash_trade(order.order_id, "opposite side market/stop order exists")
        if _would_cross(terms, order.terms):
            return wash_trade(order.order_id, "opposite side limit order exists")
    return None


def _would_cross(terms: Terms, other: Terms) -> bool:
    if terms.limit_price is None or other.limit_price is None:
        return True
    return (terms.limit_price - other.limit_price) * terms.side.sign >= 0


def _closes_what_is_free(terms: Terms, scene: Scene) -> Refusal | None:
    # An order that brings a position towards zero can never take it through zero.
    if not closes(scene.position_qty, terms.side):
        return None
    held, existing = held_quantity(scene.orders, terms.side), abs(scene.position_qty)
    requested = (
        terms.qty if terms.qty is not None else (terms.notional or Decimal(0)) / scene.quote.taken_by(terms.side)
    )
    if requested <= existing - held:
        return None
    related = [order.order_id for order in scene.orders if order.terms.side is terms.side]
    return insufficient_quantity(terms.symbol, requested=requested, existing=existing, held=held, related=related)


def _may_open(terms: Terms, scene: Scene) -> Refusal | None:
    if scene.position_qty != 0:
        return None
    opposite = any(order.terms.side is not terms.side for order in scene.orders)
    if terms.side is Side.BUY:
        return NO_LONG_WHILE_SHORT if opposite else None
    if scene.configuration.no_shorting:
        return NO_SHORTING
    if is_fractional(terms):
        return unprocessable("fractional orders cannot be sold short")
    return NO_SHORT_WHILE_LONG if opposite else None


def _can_be_paid(terms: Terms, scene: Scene) -> Refusal | None:
    if closes(scene.position_qty, terms.side):
        return None
    cost = cost_of(terms, terms.qty or Decimal(0), scene.quote)
    return None if cost <= scene.buying_power else buying_power(scene.buying_power, cost)


_CHECKS = (
    _account_trades,
    _intent_is_true,
    _stop_lies_ahead,
    _does_not_wash,
    _closes_what_is_free,
    _may_open,
    _can_be_paid,
)
