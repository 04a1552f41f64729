"""Checks of the position that an order could lead to: limit, short sale, reduce-only."""

from components.contracts.decisions import CheckName, CheckResult
from components.contracts.values import ZERO, Side
from components.risk.core.checks.context import NOT_APPLICABLE_TO_ENTRIES, NOT_APPLICABLE_TO_EXITS, CheckContext


def check_position(context: CheckContext) -> CheckResult:
    """Limit the position that results if this order and all working orders on the same side fill completely."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.POSITION]
    intent, exposure = context.intent, context.exposure
    projected = exposure.quantity * intent.side.sign + exposure.working_quantity(intent.side) + intent.quantity
    limit = context.limits.position_quantity_max
    return CheckResult(
        CheckName.POSITION, f"{projected:f}", context.limits.descriptions[CheckName.POSITION], passed=projected <= limit
    )


def check_short_sale(context: CheckContext) -> CheckResult:
    """Sell only what is held and not already being sold, unless short selling is allowed."""
    limit = context.limits.descriptions[CheckName.SHORT_SALE]
    if context.intent.side is Side.BUY:
        return CheckResult(CheckName.SHORT_SALE, "buy", limit, passed=True)
    left = context.exposure.quantity - context.exposure.working_sell - context.intent.quantity
    return CheckResult(CheckName.SHORT_SALE, f"{left:f}", limit, passed=left >= ZERO or context.limits.short_selling)


def check_reduce_only(context: CheckContext) -> CheckResult:
    """Refuse an exit that could grow or flip the position, counting all working orders."""
    if not context.reduce_only:
        return NOT_APPLICABLE_TO_ENTRIES[CheckName.REDUCE_ONLY]
    intent, exposure = context.intent, context.exposure
    left = -exposure.quantity * intent.side.sign - exposure.working_quantity(intent.side)
    return CheckResult(
        CheckName.REDUCE_ONLY, f"{intent.quantity:f}", f"{max(left, ZERO):f}", passed=intent.quantity <= left
    )
