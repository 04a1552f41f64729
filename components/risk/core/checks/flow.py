"""Checks of the order flow: trading state, signal age, duplicates, self-cross, open orders, order rate."""

from typing import Final

from components.contracts.decisions import CheckName, CheckResult
from components.contracts.signals import Purpose
from components.contracts.trading import TradingState, trading_state_of
from components.contracts.values import Side
from components.risk.core.account_state import approvals_last_minute, order_fingerprint
from components.risk.core.checks.context import NOT_APPLICABLE_TO_EXITS, CheckContext, format_ms
from components.risk.core.halts import permits
from components.risk.core.limits import NS_PER_MS

# Results that nearly every order gets, created once: most of the cost of a decision is building its results.
_PERMITTED_TEXT: Final = {purpose: f"{purpose} permitted" for purpose in Purpose}
_PERMITTED_WHILE_ACTIVE: Final = {
    purpose: CheckResult(CheckName.TRADING_STATE, str(TradingState.ACTIVE), text, passed=True)
    for purpose, text in _PERMITTED_TEXT.items()
}
_NO_OPPOSITE_ORDERS: Final = CheckResult(CheckName.SELF_CROSS, "0 opposite orders", "0", passed=True)


def check_trading_state(context: CheckContext) -> CheckResult:
    """Allow what the trading state permits, and no entry while the service stops."""
    causes = context.inputs.causes
    if context.inputs.is_stopping and not context.reduce_only:
        return CheckResult(CheckName.TRADING_STATE, "stopping", TradingState.ACTIVE, passed=False)
    purpose = context.intent.purpose
    if not causes:
        return _PERMITTED_WHILE_ACTIVE[purpose]
    state = trading_state_of(frozenset(causes))
    observed = f"{state}: {', '.join(causes)}"
    return CheckResult(
        CheckName.TRADING_STATE, observed, _PERMITTED_TEXT[purpose], passed=permits(state, purpose, causes)
    )


def check_signal_age(context: CheckContext) -> CheckResult:
    """Refuse a signal that is too old, has expired, or has a creation time in the future."""
    intent, now_ns, limits = context.intent, context.inputs.now_ns, context.limits
    age_ns = now_ns - intent.created_at_ns
    is_in_time = -limits.clock_skew_ms_max * NS_PER_MS <= age_ns <= limits.signal_age_ms_max * NS_PER_MS
    return CheckResult(
        CheckName.SIGNAL_AGE,
        format_ms(age_ns) if now_ns < intent.expires_at_ns else f"{format_ms(age_ns)}, expired",
        limits.descriptions[CheckName.SIGNAL_AGE],
        passed=is_in_time and now_ns < intent.expires_at_ns,
    )


def check_duplicate(context: CheckContext) -> CheckResult:
    """Refuse a different intent under a used id, and the same order again within the window.

    An intent that may have been approved and evicted from the reply cache is refused too.
    """
    observed = _duplicate_of(context)
    return CheckResult(
        CheckName.DUPLICATE, observed or "new", context.limits.descriptions[CheckName.DUPLICATE], passed=not observed
    )


def check_self_cross(context: CheckContext) -> CheckResult:
    """Refuse an order while an order on the opposite side is live: the venue rejects it as a wash trade."""
    opposite = context.exposure.order_count(Side.SELL if context.intent.side is Side.BUY else Side.BUY)
    return (
        CheckResult(CheckName.SELF_CROSS, f"{opposite} opposite orders", "0", passed=False)
        if opposite
        else _NO_OPPOSITE_ORDERS
    )


def check_open_orders(context: CheckContext) -> CheckResult:
    """Limit the number of live orders on the account."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.OPEN_ORDERS]
    count = len(context.state.orders) + 1
    return CheckResult(
        CheckName.OPEN_ORDERS,
        str(count),
        context.limits.descriptions[CheckName.OPEN_ORDERS],
        passed=count <= context.limits.open_orders_max,
    )


def check_order_rate(context: CheckContext) -> CheckResult:
    """Limit the number of orders approved per minute."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.ORDER_RATE]
    count = approvals_last_minute(context.state, context.inputs.now_ns) + 1
    passed = count <= context.limits.order_rate_per_minute_max
    return CheckResult(
        CheckName.ORDER_RATE, str(count), context.limits.descriptions[CheckName.ORDER_RATE], passed=passed
    )


def _duplicate_of(context: CheckContext) -> str:
    """Return what this intent duplicates; empty if it is new."""
    intent, state = context.intent, context.state
    if state.reply_cache.find(intent.intent_id) is not None:
        return "another intent has this id"
    if intent.created_at_ns <= state.reply_cache.evicted_through_ns:
        return "may have been approved and evicted"
    if not context.reduce_only and _is_repeated_order(context):
        return "the same order again"
    return ""


def _is_repeated_order(context: CheckContext) -> bool:
    fingerprint = order_fingerprint(context.intent)
    since_ns = context.inputs.now_ns - context.limits.repeat_window_ms * NS_PER_MS
    for one in reversed(context.state.recent_approvals):
        if one.at_ns <= since_ns:
            return False
        if one.fingerprint == fingerprint:
            return True
    return False
