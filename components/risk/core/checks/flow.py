from typing import Final

from components.contracts.decisions import CheckName, CheckResult
from components.contracts.signals import Purpose
from components.contracts.trading import TradingState, trading_state_of
from components.contracts.values import Side
from components.risk.core.account_state import approvals_last_minute, order_fingerprint
from components.risk.core.checks.context import NOT_APPLICABLE_TO_EXITS, CheckContext, format_ms
from components.risk.core.halts import permits
from components.risk.core.limits import NS_PER_MS

# What nearly every order is told, made once: a judgement is mostly the writing of its account.
_PERMITTED_TEXT: Final = {purpose: f"{purpose} may pass" for purpose in Purpose}


_PERMITTED_WHILE_ACTIVE: Final = {
    purpose: CheckResult(CheckName.TRADING_STATE, str(TradingState.ACTIVE), said, passed=True)
    for purpose, said in _PERMITTED_TEXT.items()
}


_NO_OPPOSITE_ORDERS: Final = CheckResult(CheckName.SELF_CROSS, "0 opposite orders", "0", passed=True)


def check_trading_state(context: CheckContext) -> CheckResult:
    """Let pass what the trading state lets pass, and no entry while stopping."""
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
    """Refuse what is old, what has expired, and what claims to come from the future."""
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
    """Refuse another intent under a used id, one that may be forgotten, and the same order again within the window."""
    observed = _duplicate_of(context)
    return CheckResult(
        CheckName.DUPLICATE, observed or "new", context.limits.descriptions[CheckName.DUPLICATE], passed=not observed
    )


def check_self_cross(context: CheckContext) -> CheckResult:
    """Never work both sides of a symbol: the venue refuses it as a wash trade."""
    against = context.exposure.order_count(Side.SELL if context.intent.side is Side.BUY else Side.BUY)
    return (
        CheckResult(CheckName.SELF_CROSS, f"{against} opposite orders", "0", passed=False)
        if against
        else _NO_OPPOSITE_ORDERS
    )


def check_open_orders(context: CheckContext) -> CheckResult:
    """Bound how many orders are live on the account."""
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
    """Bound how many orders are approved within a minute."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.ORDER_RATE]
    count = approvals_last_minute(context.state, context.inputs.now_ns) + 1
    holds = count <= context.limits.order_rate_per_minute_max
    return CheckResult(
        CheckName.ORDER_RATE, str(count), context.limits.descriptions[CheckName.ORDER_RATE], passed=holds
    )


def _duplicate_of(context: CheckContext) -> str:
    """Name what this intent repeats; empty when it is new."""
    intent, state = context.intent, context.state
    if state.reply_cache.find(intent.intent_id) is not None:
        return "another intent has this id"
    if intent.created_at_ns <= state.reply_cache.evicted_through_ns:
        return "may have been approved and forgotten"
    if not context.reduce_only and _is_repeated_order(context):
        return "the same order again"
    return ""


def _is_repeated_order(context: CheckContext) -> bool:
    shape = order_fingerprint(context.intent)
    since_ns = context.inputs.now_ns - context.limits.repeat_window_ms * NS_PER_MS
    for one in reversed(context.state.recent_approvals):
        if one.at_ns <= since_ns:
            return False
        if one.fingerprint == shape:
            return True
    return False
