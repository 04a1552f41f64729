"""Checks of the order's own terms: symbol, price, tick, quantity, notional."""

from components.contracts.decisions import CheckName, CheckResult
from components.risk.core.checks.context import BPS, NOT_APPLICABLE_TO_EXITS, CheckContext
from components.risk.core.positions import EXACT


def check_symbol(context: CheckContext) -> CheckResult:
    """Allow entries in listed symbols only; a held symbol can always be exited."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.SYMBOL_ALLOWED]
    symbol, limits = context.intent.symbol, context.limits
    return CheckResult(
        CheckName.SYMBOL_ALLOWED,
        symbol,
        limits.descriptions[CheckName.SYMBOL_ALLOWED],
        passed=symbol in limits.allowed_symbols,
    )


def check_price_collar(context: CheckContext) -> CheckResult:
    """Limit the distance of the price from the mid of the last quote, in both directions."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.PRICE_COLLAR]
    limit = context.limits.descriptions[CheckName.PRICE_COLLAR]
    if context.mid is None or context.price is None:
        return CheckResult(CheckName.PRICE_COLLAR, "no quote", limit, passed=False)
    distance_bps = abs(context.price - context.mid) / context.mid * BPS
    return CheckResult(
        CheckName.PRICE_COLLAR,
        f"{distance_bps:.2f} bps",
        limit,
        passed=distance_bps <= context.limits.price_collar_bps_max,
    )


def check_price_tick(context: CheckContext) -> CheckResult:
    """Refuse a price that is not a multiple of the venue's tick size."""
    price = context.intent.limit_price
    if price is None:
        return CheckResult(CheckName.PRICE_TICK, "market", "-", passed=True)
    tick = context.limits.tick_size(price)
    return CheckResult(CheckName.PRICE_TICK, f"{price:f}", f"{tick:f}", passed=not price % tick)


def check_quantity(context: CheckContext) -> CheckResult:
    """Limit one order's quantity, in whole increments; an exit is limited by the position."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.ORDER_QUANTITY]
    quantity, limits = context.intent.quantity, context.limits
    passed = quantity <= limits.order_quantity_max and not quantity % limits.quantity_increment
    return CheckResult(
        CheckName.ORDER_QUANTITY, f"{quantity:f}", limits.descriptions[CheckName.ORDER_QUANTITY], passed=passed
    )


def check_notional(context: CheckContext) -> CheckResult:
    """Limit the notional value of one order."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.ORDER_NOTIONAL]
    limit = context.limits.descriptions[CheckName.ORDER_NOTIONAL]
    if context.price is None:
        return CheckResult(CheckName.ORDER_NOTIONAL, "no price", limit, passed=False)
    notional = EXACT.multiply(context.intent.quantity, context.price)
    return CheckResult(
        CheckName.ORDER_NOTIONAL, f"{notional:f}", limit, passed=notional <= context.limits.order_notional_max
    )
