"""Every question that risk asks of an intent; each says what it observed, what the limit is, and whether it holds."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.decisions import CheckName, CheckResult, DecisionInputs
from components.contracts.market import BookState
from components.contracts.signals import Intent, Purpose
from components.contracts.trading import TradingState, trading_state_of
from components.contracts.values import ZERO, Side
from components.risk.core.ledger import EXACT, Exposure
from components.risk.core.limits import Limits
from components.risk.core.rules import permits
from components.risk.core.state import RiskState, approvals_last_minute, order_fingerprint

BPS: Final = Decimal(10_000)
NS_PER_MS: Final = 1_000_000


class CheckContext(Struct, frozen=True, gc=False):
    """One intent with everything it is judged by."""

    intent: Intent
    inputs: DecisionInputs
    limits: Limits
    state: RiskState
    exposure: Exposure
    reduce_only: bool
    mid: Decimal | None
    price: Decimal | None
    """What one unit would cost: the limit, or for a market order the far side of the quote."""


Check: TypeAlias = Callable[[CheckContext], CheckResult]

NOT_APPLICABLE_TO_EXITS: Final = {
    code: CheckResult(code, "-", "does not concern exits", passed=True) for code in CheckName
}
NOT_APPLICABLE_TO_ENTRIES: Final = {
    code: CheckResult(code, "-", "does not concern entries", passed=True) for code in CheckName
}

# What nearly every order is told, made once: a judgement is mostly the writing of its account.
_PERMITTED_TEXT: Final = {purpose: f"{purpose} may pass" for purpose in Purpose}
_PERMITTED_WHILE_ACTIVE: Final = {
    purpose: CheckResult(CheckName.TRADING_STATE, str(TradingState.ACTIVE), said, passed=True)
    for purpose, said in _PERMITTED_TEXT.items()
}
_BOOK_SYNCED: Final = CheckResult(CheckName.BOOK_STATE, str(BookState.SYNCED), BookState.SYNCED, passed=True)
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


def check_symbol(context: CheckContext) -> CheckResult:
    """Enter only what is on the list; what is held may always be left."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.SYMBOL_ALLOWED]
    symbol, limits = context.intent.symbol, context.limits
    return CheckResult(
        CheckName.SYMBOL_ALLOWED,
        symbol,
        limits.descriptions[CheckName.SYMBOL_ALLOWED],
        passed=symbol in limits.allowed_symbols,
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


def check_book_state(context: CheckContext) -> CheckResult:
    """Trust prices only while their book is in sync and the bus unbroken."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.BOOK_STATE]
    facts = context.inputs
    if facts.bus_intact and facts.book_state is BookState.SYNCED:
        return _BOOK_SYNCED
    observed = str(facts.book_state) if facts.bus_intact else "bus gap"
    return CheckResult(CheckName.BOOK_STATE, observed, BookState.SYNCED, passed=False)


def check_quote_age(context: CheckContext) -> CheckResult:
    """Judge only by a price that was received a moment ago."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.QUOTE_AGE]
    facts, limits = context.inputs, context.limits
    limit = limits.descriptions[CheckName.QUOTE_AGE]
    if context.mid is None:
        return CheckResult(CheckName.QUOTE_AGE, "no quote", limit, passed=False)
    age_ns = facts.now_ns - facts.quote_received_at_ns
    is_fresh = -limits.clock_skew_ms_max * NS_PER_MS <= age_ns <= limits.quote_age_ms_max * NS_PER_MS
    return CheckResult(CheckName.QUOTE_AGE, format_ms(age_ns), limit, passed=is_fresh)


def check_spread(context: CheckContext) -> CheckResult:
    """Do not trade into a hole."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.SPREAD]
    limit, facts = context.limits.descriptions[CheckName.SPREAD], context.inputs
    if context.mid is None or facts.bid_price is None or facts.ask_price is None:
        return CheckResult(CheckName.SPREAD, "no quote", limit, passed=False)
    spread_bps = (facts.ask_price - facts.bid_price) / context.mid * BPS
    return CheckResult(
        CheckName.SPREAD, f"{spread_bps:.2f} bps", limit, passed=spread_bps <= context.limits.spread_bps_max
    )


def check_price_collar(context: CheckContext) -> CheckResult:
    """Keep the price within the collar around the middle of the last quote, on either side."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.PRICE_COLLAR]
    limit = context.limits.descriptions[CheckName.PRICE_COLLAR]
    if context.mid is None or context.price is None:
        return CheckResult(CheckName.PRICE_COLLAR, "no quote", limit, passed=False)
    away_bps = abs(context.price - context.mid) / context.mid * BPS
    return CheckResult(
        CheckName.PRICE_COLLAR, f"{away_bps:.2f} bps", limit, passed=away_bps <= context.limits.price_collar_bps_max
    )


def check_price_tick(context: CheckContext) -> CheckResult:
    """Ask only prices that the venue can quote."""
    price = context.intent.limit_price
    if price is None:
        return CheckResult(CheckName.PRICE_TICK, "market", "-", passed=True)
    tick = context.limits.tick_size(price)
    return CheckResult(CheckName.PRICE_TICK, f"{price:f}", f"{tick:f}", passed=not price % tick)


def check_quantity(context: CheckContext) -> CheckResult:
    """Bound one order's quantity, in whole increments; an exit is bounded by what is held."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.ORDER_QUANTITY]
    quantity, limits = context.intent.quantity, context.limits
    holds = quantity <= limits.order_quantity_max and not quantity % limits.quantity_increment
    return CheckResult(
        CheckName.ORDER_QUANTITY, f"{quantity:f}", limits.descriptions[CheckName.ORDER_QUANTITY], passed=holds
    )


def check_notional(context: CheckContext) -> CheckResult:
    """Bound what one order is worth."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.ORDER_NOTIONAL]
    limit = context.limits.descriptions[CheckName.ORDER_NOTIONAL]
    if context.price is None:
        return CheckResult(CheckName.ORDER_NOTIONAL, "no price", limit, passed=False)
    notional = EXACT.multiply(context.intent.quantity, context.price)
    return CheckResult(
        CheckName.ORDER_NOTIONAL, f"{notional:f}", limit, passed=notional <= context.limits.order_notional_max
    )


def check_position(context: CheckContext) -> CheckResult:
    """Count what is held, what is working on the same side, and this order as if all of it filled."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.POSITION]
    intent, exposure = context.intent, context.exposure
    projected = exposure.quantity * intent.side.sign + exposure.working_quantity(intent.side) + intent.quantity
    limit = context.limits.position_quantity_max
    return CheckResult(
        CheckName.POSITION, f"{projected:f}", context.limits.descriptions[CheckName.POSITION], passed=projected <= limit
    )


def check_short_sale(context: CheckContext) -> CheckResult:
    """Sell only what is held and not already being sold, unless selling short is allowed."""
    limit = context.limits.descriptions[CheckName.SHORT_SALE]
    if context.intent.side is Side.BUY:
        return CheckResult(CheckName.SHORT_SALE, "buy", limit, passed=True)
    left = context.exposure.quantity - context.exposure.working_sell - context.intent.quantity
    return CheckResult(CheckName.SHORT_SALE, f"{left:f}", limit, passed=left >= ZERO or context.limits.short_selling)


def check_reduce_only(context: CheckContext) -> CheckResult:
    """Never let an exit grow or flip a position, whatever else is on its way."""
    if not context.reduce_only:
        return NOT_APPLICABLE_TO_ENTRIES[CheckName.REDUCE_ONLY]
    intent, exposure = context.intent, context.exposure
    left = -exposure.quantity * intent.side.sign - exposure.working_quantity(intent.side)
    return CheckResult(
        CheckName.REDUCE_ONLY, f"{intent.quantity:f}", f"{max(left, ZERO):f}", passed=intent.quantity <= left
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


PRE_TRADE_CHECKS: Final[tuple[Check, ...]] = (
    check_trading_state,
    check_symbol,
    check_signal_age,
    check_duplicate,
    check_book_state,
    check_quote_age,
    check_spread,
    check_price_collar,
    check_price_tick,
    check_quantity,
    check_notional,
    check_position,
    check_short_sale,
    check_reduce_only,
    check_self_cross,
    check_open_orders,
    check_order_rate,
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


def format_ms(span_ns: int) -> str:
    return f"{span_ns / NS_PER_MS:.3f} ms"
