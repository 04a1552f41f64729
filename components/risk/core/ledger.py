"""One symbol's position: what is held, what it cost, what was earned, and what working orders may still do to it."""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.values import ZERO, Money, Price, Quantity, Side, Symbol

EXACT: Final = Context(prec=80)
"""Wide enough that sums and products of prices and quantities never round."""

COST_STEP: Final = Decimal("1e-12")
"""Where the one division rounds: what a part of a position had cost."""


class Exposure(Struct, frozen=True, array_like=True, gc=False):
    """One symbol; `quantity` and `cost` are negative when short, `working_*` is what may still be bought and sold."""

    symbol: Symbol
    quantity: Quantity = ZERO
    cost: Money = ZERO
    realised: Money = ZERO
    working_buy: Quantity = ZERO
    working_sell: Quantity = ZERO
    buys: int = 0
    sells: int = 0

    @property
    def average_price(self) -> Price:
        """What one unit of the position cost; zero when flat."""
        return _average(self.cost, self.quantity) if self.quantity else ZERO

    def working(self, side: Side) -> Quantity:
        """Give what orders of this side may still fill."""
        return self.working_buy if side is Side.BUY else self.working_sell

    def orders(self, side: Side) -> int:
        """Count the live orders of this side."""
        return self.buys if side is Side.BUY else self.sells

    def reserved(self, side: Side, quantity: Quantity, orders: int) -> "Exposure":
        """Reserve what an order may still fill (or release it, with a negative quantity)."""
        if side is Side.BUY:
            return replace(self, working_buy=self.working_buy + quantity, buys=self.buys + orders)
        return replace(self, working_sell=self.working_sell + quantity, sells=self.sells + orders)


def filled(exposure: Exposure, side: Side, quantity: Quantity, price: Price) -> Exposure:
    """Move the position by one execution.

    Money is conserved exactly: flat again, what was realised is what came in less what went out.
    """
    with localcontext(EXACT):
        signed = quantity * side.sign
        closed = min(quantity, abs(exposure.quantity)) if exposure.quantity * side.sign < 0 else ZERO
        released = _part(exposure.cost, closed, abs(exposure.quantity))
        earned = -closed * side.sign * price - released
        return replace(
            exposure,
            quantity=_plain(exposure.quantity + signed),
            cost=_plain(exposure.cost - released + (quantity - closed) * side.sign * price),
            realised=_plain(exposure.realised + earned),
        )


def opened(exposure: Exposure, quantity: Quantity, average_price: Price) -> Exposure:
    """Take a position over as the venue states it; from here on we count ourselves."""
    with localcontext(EXACT):
        return replace(exposure, quantity=quantity, cost=quantity * average_price)


def unrealised(exposure: Exposure, middle: Price | None) -> Money:
    """Give what closing at this price would earn; without a price the position stands at its cost."""
    if middle is None or not exposure.quantity:
        return ZERO
    with localcontext(EXACT):
        return _plain(exposure.quantity * middle - exposure.cost)


def total(amounts: Iterable[Money]) -> Money:
    """Add up without rounding."""
    with localcontext(EXACT):
        return _plain(sum(amounts, ZERO))


def _part(cost: Money, closed: Quantity, held: Quantity) -> Money:
    """Give what the closed part had cost; the last part takes whatever rounding left over."""
    if closed == held:
        return cost if closed else ZERO
    return _divided(cost * closed, held)


@lru_cache(maxsize=256)
def _average(cost: Money, quantity: Quantity) -> Price:
    """Divide once for each fill, not each time that the position is told."""
    return _plain(_divided(cost, quantity))


def _divided(number: Decimal, by: Decimal) -> Decimal:
    return EXACT.divide(number, by).quantize(COST_STEP, rounding=ROUND_HALF_EVEN, context=EXACT)


def _plain(number: Decimal) -> Decimal:
    """Drop trailing zeros and exponents, so that the same amount is always the same bytes."""
    short = number.normalize(EXACT)
    if not short:
        return ZERO
    exponent = short.as_tuple().exponent
    return short.quantize(1, context=EXACT) if isinstance(exponent, int) and exponent > 0 else short
