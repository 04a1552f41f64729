"""Matching of orders against the simulated quotes."""

from decimal import ROUND_DOWN, Decimal

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.alpaca.core.orders import Order, OrderType, Side, TimeInForce
from components.sandbox.numerics import CENT, is_drawn

# Alpaca's own paper venue fills a random part in one of ten cases; the rest waits for the next quote.
PARTIAL_ONE_IN = 10
NOTIONAL_STEP = Decimal("0.000000001")


class Quote(Struct, frozen=True):
    """The best bid and ask of one symbol, in dollars and shares."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int
    at_ns: int

    @property
    def mid(self) -> Decimal:
        """Return the mid price, at which positions are valued."""
        return (self.bid + self.ask) / 2

    def executable_price(self, side: Side) -> Decimal:
        """Return the price at which an order of this side trades immediately."""
        return self.ask if side is Side.BUY else self.bid


class Execution(Struct, frozen=True):
    """One fill: quantity and price."""

    qty: Decimal
    price: Decimal


def update_stop(order: Order, quote: Quote) -> Order:
    """Return the order with its trailing mark moved and its stop triggered if reached; other types are unchanged."""
    if order.triggered or order.terms.type in {OrderType.MARKET, OrderType.LIMIT}:
        return order
    trailed = _update_trailing_mark(order, quote)
    stop = effective_stop_price(trailed)
    if stop is None or not _is_reached(order.terms.side, stop, quote):
        return trailed
    return replace(trailed, triggered=True)


def match_order(order: Order, quote: Quote, draw: int) -> Execution | None:
    """Return the fill at this quote, or None.

    Fills take the best price at any size; one draw in ten fills only a part.
    """
    if not is_marketable(order, quote):
        return None
    price = quote.executable_price(order.terms.side)
    if order.terms.notional is not None:
        return Execution((order.terms.notional / price).quantize(NOTIONAL_STEP, ROUND_DOWN), price)
    whole = int(order.remaining)
    if (
        order.terms.time_in_force is TimeInForce.FOK
        or whole < 2
        or whole != order.remaining
        or not is_drawn(draw, PARTIAL_ONE_IN)
    ):
        return Execution(order.remaining, price)
    return Execution(Decimal(1 + (draw >> 8) % (whole - 1)), price)


def is_marketable(order: Order, quote: Quote) -> bool:
    """Return whether an order would trade at this quote."""
    terms = order.terms
    if terms.type in {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP} and not order.triggered:
        return False
    if terms.limit_price is None:
        return True
    return (quote.executable_price(terms.side) - terms.limit_price) * terms.side.sign <= 0


def effective_stop_price(order: Order) -> Decimal | None:
    """Return the trigger price of an order; that of a trailing stop follows its mark."""
    terms, mark = order.terms, order.high_water_mark
    if terms.type is not OrderType.TRAILING_STOP or mark is None:
        return terms.stop_price
    distance = terms.trail_price if terms.trail_price is not None else mark * (terms.trail_percent or 0) / 100
    return (mark + terms.side.sign * distance).quantize(CENT)


def _update_trailing_mark(order: Order, quote: Quote) -> Order:
    if order.terms.type is not OrderType.TRAILING_STOP:
        return order
    seen = quote.executable_price(order.terms.side)
    mark = order.high_water_mark
    best = seen if mark is None else (min if order.terms.side is Side.BUY else max)(mark, seen)
    return order if best == mark else replace(order, high_water_mark=best)


def _is_reached(side: Side, stop: Decimal, quote: Quote) -> bool:
    return (quote.executable_price(side) - stop) * side.sign >= 0
