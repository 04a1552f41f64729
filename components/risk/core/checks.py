"""Every question that risk asks of an intent; each says what it observed, what the limit is, and whether it holds."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.decisions import Checked, Code, Facts
from components.contracts.market import BookState
from components.contracts.signals import Intent, Purpose
from components.contracts.trading import TradingState, worst
from components.contracts.values import ZERO, Side
from components.risk.core.ledger import EXACT, Exposure
from components.risk.core.limits import Limits
from components.risk.core.rules import may_pass
from components.risk.core.state import RiskState, paced, shape_of

BPS: Final = Decimal(10_000)
NS_PER_MS: Final = 1_000_000


class Case(Struct, frozen=True, gc=False):
    """One intent with everything it is judged by."""

    intent: Intent
    facts: Facts
    limits: Limits
    state: RiskState
    exposure: Exposure
    shrinks: bool
    middle: Decimal | None
    price: Decimal | None
    """What one unit would cost: the limit, or for a market order the far side of the quote."""


Check: TypeAlias = Callable[[Case], Checked]

_NOT_FOR_EXITS: Final = {code: Checked(code, "-", "does not concern exits", holds=True) for code in Code}
_NOT_FOR_ENTRIES: Final = {code: Checked(code, "-", "does not concern entries", holds=True) for code in Code}

# What nearly every order is told, made once: a judgement is mostly the writing of its account.
_MAY_PASS: Final = {purpose: f"{purpose} may pass" for purpose in Purpose}
_PASSES_FREELY: Final = {
    purpose: Checked(Code.TRADING_STATE, str(TradingState.ACTIVE), said, holds=True)
    for purpose, said in _MAY_PASS.items()
}
_IN_SYNC: Final = Checked(Code.BOOK_STATE, str(BookState.SYNCED), BookState.SYNCED, holds=True)
_NOTHING_AGAINST: Final = Checked(Code.SELF_CROSS, "0 opposite orders", "0", holds=True)


def trading_state_allows_it(case: Case) -> Checked:
    """Let pass what the trading state lets pass, and no entry while stopping."""
    causes = case.facts.causes
    if case.facts.is_stopping and not case.shrinks:
        return Checked(Code.TRADING_STATE, "stopping", TradingState.ACTIVE, holds=False)
    purpose = case.intent.purpose
    if not causes:
        return _PASSES_FREELY[purpose]
    state = worst(frozenset(causes))
    observed = f"{state}: {', '.join(causes)}"
    return Checked(Code.TRADING_STATE, observed, _MAY_PASS[purpose], holds=may_pass(state, purpose, causes))


def symbol_is_allowed(case: Case) -> Checked:
    """Enter only what is on the list; what is held may always be left."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.SYMBOL_ALLOWED]
    symbol, limits = case.intent.symbol, case.limits
    return Checked(Code.SYMBOL_ALLOWED, symbol, limits.said[Code.SYMBOL_ALLOWED], holds=symbol in limits.allowed)


def signal_is_young(case: Case) -> Checked:
    """Refuse what is old, what has expired, and what claims to come from the future."""
    intent, now_ns, limits = case.intent, case.facts.now_ns, case.limits
    age_ns = now_ns - intent.created_at_ns
    is_in_time = -limits.clock_skew_ms_max * NS_PER_MS <= age_ns <= limits.signal_age_ms_max * NS_PER_MS
    return Checked(
        Code.SIGNAL_AGE,
        _in_ms(age_ns) if now_ns < intent.expires_at_ns else f"{_in_ms(age_ns)}, expired",
        limits.said[Code.SIGNAL_AGE],
        holds=is_in_time and now_ns < intent.expires_at_ns,
    )


def order_is_no_repeat(case: Case) -> Checked:
    """Refuse another intent under a used id, one that may be forgotten, and the same order again within the window."""
    observed = _repetition(case)
    return Checked(Code.DUPLICATE, observed or "new", case.limits.said[Code.DUPLICATE], holds=not observed)


def book_can_be_trusted(case: Case) -> Checked:
    """Trust prices only while their book is in sync and the bus unbroken."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.BOOK_STATE]
    facts = case.facts
    if facts.bus_intact and facts.book_state is BookState.SYNCED:
        return _IN_SYNC
    observed = str(facts.book_state) if facts.bus_intact else "bus gap"
    return Checked(Code.BOOK_STATE, observed, BookState.SYNCED, holds=False)


def quote_is_fresh(case: Case) -> Checked:
    """Judge only by a price that was received a moment ago."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.QUOTE_AGE]
    facts, limits = case.facts, case.limits
    limit = limits.said[Code.QUOTE_AGE]
    if case.middle is None:
        return Checked(Code.QUOTE_AGE, "no quote", limit, holds=False)
    age_ns = facts.now_ns - facts.quote_received_at_ns
    is_fresh = -limits.clock_skew_ms_max * NS_PER_MS <= age_ns <= limits.quote_age_ms_max * NS_PER_MS
    return Checked(Code.QUOTE_AGE, _in_ms(age_ns), limit, holds=is_fresh)


def spread_is_narrow(case: Case) -> Checked:
    """Do not trade into a hole."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.SPREAD]
    limit, facts = case.limits.said[Code.SPREAD], case.facts
    if case.middle is None or facts.bid_price is None or facts.ask_price is None:
        return Checked(Code.SPREAD, "no quote", limit, holds=False)
    spread_bps = (facts.ask_price - facts.bid_price) / case.middle * BPS
    return Checked(Code.SPREAD, f"{spread_bps:.2f} bps", limit, holds=spread_bps <= case.limits.spread_bps_max)


def price_is_near(case: Case) -> Checked:
    """Keep the price within the collar around the middle of the last quote, on either side."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.PRICE_COLLAR]
    limit = case.limits.said[Code.PRICE_COLLAR]
    if case.middle is None or case.price is None:
        return Checked(Code.PRICE_COLLAR, "no quote", limit, holds=False)
    away_bps = abs(case.price - case.middle) / case.middle * BPS
    return Checked(Code.PRICE_COLLAR, f"{away_bps:.2f} bps", limit, holds=away_bps <= case.limits.price_collar_bps_max)


def price_fits_the_tick(case: Case) -> Checked:
    """Ask only prices that the venue can quote."""
    price = case.intent.limit_price
    if price is None:
        return Checked(Code.PRICE_TICK, "market", "-", holds=True)
    tick = case.limits.tick(price)
    return Checked(Code.PRICE_TICK, f"{price:f}", f"{tick:f}", holds=not price % tick)


def quantity_is_allowed(case: Case) -> Checked:
    """Bound one order's quantity, in whole increments; an exit is bounded by what is held."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.ORDER_QUANTITY]
    quantity, limits = case.intent.quantity, case.limits
    holds = quantity <= limits.order_quantity_max and not quantity % limits.quantity_increment
    return Checked(Code.ORDER_QUANTITY, f"{quantity:f}", limits.said[Code.ORDER_QUANTITY], holds=holds)


def order_is_small_enough(case: Case) -> Checked:
    """Bound what one order is worth."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.ORDER_NOTIONAL]
    limit = case.limits.said[Code.ORDER_NOTIONAL]
    if case.price is None:
        return Checked(Code.ORDER_NOTIONAL, "no price", limit, holds=False)
    notional = EXACT.multiply(case.intent.quantity, case.price)
    return Checked(Code.ORDER_NOTIONAL, f"{notional:f}", limit, holds=notional <= case.limits.order_notional_max)


def position_stays_within_limit(case: Case) -> Checked:
    """Count what is held, what is working on the same side, and this order as if all of it filled."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.POSITION]
    intent, exposure = case.intent, case.exposure
    projected = exposure.quantity * intent.side.sign + exposure.working(intent.side) + intent.quantity
    limit = case.limits.position_quantity_max
    return Checked(Code.POSITION, f"{projected:f}", case.limits.said[Code.POSITION], holds=projected <= limit)


def sale_is_covered(case: Case) -> Checked:
    """Sell only what is held and not already being sold, unless selling short is allowed."""
    limit = case.limits.said[Code.SHORT_SALE]
    if case.intent.side is Side.BUY:
        return Checked(Code.SHORT_SALE, "buy", limit, holds=True)
    left = case.exposure.quantity - case.exposure.working_sell - case.intent.quantity
    return Checked(Code.SHORT_SALE, f"{left:f}", limit, holds=left >= ZERO or case.limits.short_selling)


def exit_only_shrinks(case: Case) -> Checked:
    """Never let an exit grow or flip a position, whatever else is on its way."""
    if not case.shrinks:
        return _NOT_FOR_ENTRIES[Code.SHRINKS_ONLY]
    intent, exposure = case.intent, case.exposure
    left = -exposure.quantity * intent.side.sign - exposure.working(intent.side)
    return Checked(Code.SHRINKS_ONLY, f"{intent.quantity:f}", f"{max(left, ZERO):f}", holds=intent.quantity <= left)


def no_own_order_stands_against_it(case: Case) -> Checked:
    """Never work both sides of a symbol: the venue refuses it as a wash trade."""
    against = case.exposure.orders(Side.SELL if case.intent.side is Side.BUY else Side.BUY)
    return Checked(Code.SELF_CROSS, f"{against} opposite orders", "0", holds=False) if against else _NOTHING_AGAINST


def open_orders_are_few(case: Case) -> Checked:
    """Bound how many orders are live on the account."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.OPEN_ORDERS]
    count = len(case.state.orders) + 1
    return Checked(
        Code.OPEN_ORDERS, str(count), case.limits.said[Code.OPEN_ORDERS], holds=count <= case.limits.open_orders_max
    )


def order_rate_is_low(case: Case) -> Checked:
    """Bound how many orders are approved within a minute."""
    if case.shrinks:
        return _NOT_FOR_EXITS[Code.ORDER_RATE]
    count = paced(case.state, case.facts.now_ns) + 1
    holds = count <= case.limits.order_rate_per_minute_max
    return Checked(Code.ORDER_RATE, str(count), case.limits.said[Code.ORDER_RATE], holds=holds)


CHECKS: Final[tuple[Check, ...]] = (
    trading_state_allows_it,
    symbol_is_allowed,
    signal_is_young,
    order_is_no_repeat,
    book_can_be_trusted,
    quote_is_fresh,
    spread_is_narrow,
    price_is_near,
    price_fits_the_tick,
    quantity_is_allowed,
    order_is_small_enough,
    position_stays_within_limit,
    sale_is_covered,
    exit_only_shrinks,
    no_own_order_stands_against_it,
    open_orders_are_few,
    order_rate_is_low,
)


def _repetition(case: Case) -> str:
    """Name what this intent repeats; empty when it is new."""
    intent, state = case.intent, case.state
    if state.memory.find(intent.intent_id) is not None:
        return "another intent has this id"
    if intent.created_at_ns <= state.memory.forgotten_at_ns:
        return "may have been approved and forgotten"
    if not case.shrinks and _is_same_again(case):
        return "the same order again"
    return ""


def _is_same_again(case: Case) -> bool:
    shape = shape_of(case.intent)
    since_ns = case.facts.now_ns - case.limits.repeat_window_ms * NS_PER_MS
    for one in reversed(case.state.recent):
        if one.at_ns <= since_ns:
            return False
        if one.shape == shape:
            return True
    return False


def _in_ms(span_ns: int) -> str:
    return f"{span_ns / NS_PER_MS:.3f} ms"
