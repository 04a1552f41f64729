"""Position accounting of one symbol: quantity, average cost, P&L, and the quantity reserved by working orders."""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.values import ZERO, Money, Price, Quantity, Side, Symbol

EXACT: Final = Context(prec=80)
"""Context whose precision is enough that sums and products of prices and quantities never round."""
COST_STEP: Final = Decimal("1e-12")
"""Rounding step of the only division: the cost of a part of a position."""


class Exposure(Struct, frozen=True, array_like=True, gc=False):
    """Exposure of one symbol; `quantity` and `cost` are negative when short.

    `working_buy` and `working_sell` are the quantities that live orders may still buy and sell.
    """

    symbol: Symbol
    quantity: Quantity = ZERO
    cost: Money = ZERO
    realised: Money = ZERO
    working_buy: Quantity = ZERO
    working_sell: Quantity = ZERO
    buy_orders: int = 0
    sell_orders: int = 0

    @property
    def average_price(self) -> Price:
        """Average cost of one unit; zero when flat."""
        return _average(self.cost, self.quantity) if self.quantity else ZERO

    def working_quantity(self, side: Side) -> Quantity:
        """Return the quantity that orders of this side may still fill."""
        return self.working_buy if side is Side.BUY else self.working_sell

    def order_count(self, side: Side) -> int:
        """Return the number of live orders of this side."""
        return self.buy_orders if side is Side.BUY else self.sell_orders

    def with_reservation(self, side: Side, quantity: Quantity, orders: int) -> "Exposure":
        """Return the exposure with this quantity reserved; a negative quantity releases it."""
        if side is Side.BUY:
            return replace(self, working_buy=self.working_buy + quantity, buy_orders=self.buy_orders + orders)
        return replace(self, working_sell=self.working_sell + quantity, sell_orders=self.sell_orders + orders)


def apply_fill(exposure: Exposure, side: Side, quantity: Quantity, price: Price) -> Exposure:
    """Return the exposure after one execution.

    Money is conserved exactly: when the position is flat again, the realised P&L equals the proceeds minus the cost.
    """
    with localcontext(EXACT):
        signed = quantity * side.sign
        closed = min(quantity, abs(exposure.quantity)) if exposure.quantity * side.sign < 0 else ZERO
        released = _cost_of_closed(exposure.cost, closed, abs(exposure.quantity))
        earned = -closed * side.sign * price - released
        return replace(
            exposure,
            quantity=_normalized(exposure.quantity + signed),
            cost=_normalized(exposure.cost - released + (quantity - closed) * side.sign * price),
            realised=_normalized(exposure.realised + earned),
        )


def with_opening_position(exposure: Exposure, quantity: Quantity, average_price: Price) -> Exposure:
    """Return the exposure with the position that the venue reported; later fills are counted from there."""
    with localcontext(EXACT):
        return replace(exposure, quantity=quantity, cost=quantity * average_price)


def unrealised_pnl(exposure: Exposure, mid: Price | None) -> Money:
    """Return the P&L of closing at this price; without a price the position is valued at cost."""
    if mid is None or not exposure.quantity:
        return ZERO
    with localcontext(EXACT):
        return _normalized(exposure.quantity * mid - exposure.cost)


def exact_sum(amounts: Iterable[Money]) -> Money:
    """Return the sum without rounding."""
    with localcontext(EXACT):
        return _normalized(sum(amounts, ZERO))


def _cost_of_closed(cost: Money, closed: Quantity, held: Quantity) -> Money:
    """Return the cost of the closed part; the last part includes all rounding remainders."""
    if closed == held:
        return cost if closed else ZERO
    return _divide(cost * closed, held)


@lru_cache(maxsize=256)
def _average(cost: Money, quantity: Quantity) -> Price:
    """Return the average price; cached, so that it is divided once per fill and not at each publication."""
    return _normalized(_divide(cost, quantity))


def _divide(number: Decimal, by: Decimal) -> Decimal:
    return EXACT.divide(number, by).quantize(COST_STEP, rounding=ROUND_HALF_EVEN, context=EXACT)


def _normalized(number: Decimal) -> Decimal:
    """Drop trailing zeros and exponents, so that equal amounts have equal bytes."""
    short = number.normalize(EXACT)
    if not short:
        return ZERO
    exponent = short.as_tuple().exponent
    return short.quantize(1, context=EXACT) if isinstance(exponent, int) and exponent > 0 else short
