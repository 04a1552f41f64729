"""Checks of the market data behind an order: book state, quote age, spread."""

from typing import Final

from components.contracts.decisions import CheckName, CheckResult
from components.contracts.market import BookState
from components.risk.core.checks.context import BPS, NOT_APPLICABLE_TO_EXITS, CheckContext, format_ms
from components.risk.core.limits import NS_PER_MS

_BOOK_SYNCED: Final = CheckResult(CheckName.BOOK_STATE, str(BookState.SYNCED), BookState.SYNCED, passed=True)


def check_book_state(context: CheckContext) -> CheckResult:
    """Refuse an entry unless the symbol's book is synced and no message of the bus was lost."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.BOOK_STATE]
    inputs = context.inputs
    if inputs.bus_intact and inputs.book_state is BookState.SYNCED:
        return _BOOK_SYNCED
    observed = str(inputs.book_state) if inputs.bus_intact else "bus gap"
    return CheckResult(CheckName.BOOK_STATE, observed, BookState.SYNCED, passed=False)


def check_quote_age(context: CheckContext) -> CheckResult:
    """Refuse an entry without a recently received quote."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.QUOTE_AGE]
    inputs, limits = context.inputs, context.limits
    limit = limits.descriptions[CheckName.QUOTE_AGE]
    if context.mid is None:
        return CheckResult(CheckName.QUOTE_AGE, "no quote", limit, passed=False)
    age_ns = inputs.now_ns - inputs.quote_received_at_ns
    is_fresh = -limits.clock_skew_ms_max * NS_PER_MS <= age_ns <= limits.quote_age_ms_max * NS_PER_MS
    return CheckResult(CheckName.QUOTE_AGE, format_ms(age_ns), limit, passed=is_fresh)


def check_spread(context: CheckContext) -> CheckResult:
    """Refuse an entry while the spread is wide."""
    if context.reduce_only:
        return NOT_APPLICABLE_TO_EXITS[CheckName.SPREAD]
    limit, inputs = context.limits.descriptions[CheckName.SPREAD], context.inputs
    if context.mid is None or inputs.bid_price is None or inputs.ask_price is None:
        return CheckResult(CheckName.SPREAD, "no quote", limit, passed=False)
    spread_bps = (inputs.ask_price - inputs.bid_price) / context.mid * BPS
    return CheckResult(
        CheckName.SPREAD, f"{spread_bps:.2f} bps", limit, passed=spread_bps <= context.limits.spread_bps_max
    )
