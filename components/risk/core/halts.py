"""Active causes, latched causes, and what each trading state permits.

A cause is a reason to restrict trading. Most causes follow from evidence and clear by themselves; a latched cause stays
until an operator clears it.
"""

from collections.abc import Collection
from typing import Final, TypeAlias

from components.contracts.decisions import CauseCleared, CauseRaised
from components.contracts.orders import (
    ClientOrderIdConflict,
    ControlReceived,
    IntentReceived,
    OrderMessage,
    Reconciled,
    VenueConnectivity,
)
from components.contracts.signals import Purpose
from components.contracts.trading import CAUSE_EFFECTS, Cause, TradingState
from components.contracts.values import ZERO
from components.risk.core.account_state import RiskState
from components.risk.core.limits import NS_PER_MS, Timing
from components.risk.core.observations import Observations
from components.risk.core.projection import is_reconciled, positions_match

CauseReasons: TypeAlias = dict[Cause, str]
POSITIONS_UNKNOWN: Final = frozenset(
    {Cause.STARTING, Cause.UNRECONCILED, Cause.EXECUTION_DOWN, Cause.DIVERGENCE, Cause.ID_COLLISION}
)
"""While one of these causes is active, the positions are unknown, so a stop order could increase one."""
PERMITTED_WHILE_HALTED: Final = frozenset({Purpose.STOP, Purpose.FLATTEN})
"""Orders that may close a position while trading is halted, unless positions are unknown."""


def active_causes(state: RiskState, observations: Observations, timing: Timing, now_ns: int) -> CauseReasons:
    """Return every cause that the evidence gives now, with its reason; latched causes are not included.

    Until both streams are synced and the account was reconciled for the first time, STARTING replaces all others.
    """
    account_causes = _account_causes(state, observations, timing, now_ns)
    if Cause.STARTING in state.causes and (account_causes or observations.market_lost is not None):
        waiting = [
            *account_causes.values(),
            *([f"market: {observations.market_lost}"] if observations.market_lost is not None else []),
        ]
        return {Cause.STARTING: "; ".join(waiting)}
    return account_causes | _market_causes(state, observations, now_ns)


def readiness_blockers(state: RiskState, observations: Observations, timing: Timing, now_ns: int) -> tuple[str, ...]:
    """Return what readiness waits for: order events, reconciliation, market data, a fresh price."""
    unmet = list(_account_causes(state, observations, timing, now_ns).values())
    if observations.market_lost is not None:
        unmet.append(f"market: {observations.market_lost}")
    elif stale := observations.staleness(now_ns):
        unmet.append(f"prices: {stale}")
    return tuple(unmet)


def cause_changes(state: RiskState, active: CauseReasons, now_ns: int) -> list[CauseRaised | CauseCleared]:
    """Return the records that bring the causes in line with the evidence.

    New causes are raised before old ones are cleared, so that the trading state never passes through a laxer one.
    """
    if not active and not state.causes:
        return []
    clearable = [cause for cause in state.causes if not CAUSE_EFFECTS[cause].latched]
    cleared = [CauseCleared(cause, "evidence restored", now_ns) for cause in clearable if cause not in active]
    return [*newly_raised(state, active, now_ns), *cleared]


def newly_raised(state: RiskState, reasons: CauseReasons, now_ns: int) -> list[CauseRaised]:
    """Return a record for each cause that is not active yet."""
    return [CauseRaised(cause, why, now_ns) for cause, why in reasons.items() if cause not in state.causes]


def latched_by(state: RiskState, event: OrderMessage) -> CauseReasons:
    """Return the latched causes that this event raises; called before the event is applied."""
    match event:
        case ClientOrderIdConflict(client_order_id=name, detail=detail):
            return {Cause.ID_COLLISION: f"{name}: {detail}"}
        case Reconciled() if not is_reconciled(state, event):
            return _divergence(state, event)
        case _:
            return {}


def missing_from_log(state: RiskState, event: OrderMessage) -> str:
    """Return what execution acted on but this log does not contain; empty if nothing is missing.

    A missing record means that the end of this log was lost.
    """
    match event:
        case IntentReceived(intent=intent, terms=terms):
            order, cached = state.orders.get(intent.intent_id), state.reply_cache.find(intent.intent_id)
            if order is not None and order.terms is not None:
                is_ours = order.terms == terms
            else:
                is_ours = cached is not None and cached.reply.sequence == terms.state_sequence
            return "" if is_ours else f"intent {intent.intent_id}, approved by record {terms.state_sequence}"
        case ControlReceived(control=control, terms=terms) if terms.state_sequence > state.last_sequence:
            return f"control {control.command_id}, given at record {terms.state_sequence}"
        case _:
            return ""


def operator_halt(state: RiskState, reason: str, now_ns: int) -> tuple[CauseRaised, ...]:
    """Return the record that latches the operator's halt; nothing if it is already latched."""
    if Cause.OPERATOR_HALT in state.causes:
        return ()
    return (CauseRaised(Cause.OPERATOR_HALT, reason, now_ns),)


def blocking_causes(active: CauseReasons) -> CauseReasons:
    """Return the causes that must end before latched causes can be cleared: those that halt trading by themselves."""
    return {cause: reason for cause, reason in active.items() if CAUSE_EFFECTS[cause].state is TradingState.HALTED}


def resume_refusal(state: RiskState, blocking: CauseReasons, reason: str) -> str:
    """Return why latched causes are not cleared now; empty if they can be.

    Without a reason this is the first of two steps: the text lists what would be cleared.
    """
    if not state.latched_causes:
        return "nothing is latched"
    if blocking:
        return "blocked while " + "; ".join(f"{cause}: {why}" for cause, why in blocking.items())
    if not reason:
        latched = "; ".join(f"{cause} ({state.causes[cause]})" for cause in state.latched_causes)
        return f"would clear {latched}; give a reason to clear it"
    return ""


def clear_latched(state: RiskState, reason: str, now_ns: int) -> tuple[CauseCleared, ...]:
    """Return the records that clear every latched cause, with the operator's reason."""
    return tuple(CauseCleared(cause, reason, now_ns) for cause in state.latched_causes)


def permits(state: TradingState, purpose: Purpose, causes: Collection[Cause]) -> bool:
    """Return whether an order of this purpose is permitted; cancels are always permitted and not checked."""
    match state:
        case TradingState.ACTIVE:
            return True
        case TradingState.REDUCING:
            return purpose.is_reduce_only
        case TradingState.HALTED:
            return purpose in PERMITTED_WHILE_HALTED and POSITIONS_UNKNOWN.isdisjoint(causes)


def _account_causes(state: RiskState, observations: Observations, timing: Timing, now_ns: int) -> CauseReasons:
    if observations.orders_lost is not None:
        return {Cause.EXECUTION_DOWN: f"orders: {observations.orders_lost}"}
    if state.consecutive_mismatches:
        return {Cause.UNRECONCILED: "account: the last reconciliation found differences"}
    if state.reconciled_sequence <= observations.orders_lost_sequence:
        return {Cause.UNRECONCILED: "account: not reconciled since the order stream was synced"}
    if now_ns - state.reconciled_at_ns > timing.reconciliation_age_ms_max * NS_PER_MS:
        return {Cause.UNRECONCILED: f"account: not reconciled within {timing.reconciliation_age_ms_max} ms"}
    return {}


def _market_causes(state: RiskState, observations: Observations, now_ns: int) -> CauseReasons:
    reasons: CauseReasons = {}
    if observations.market_lost is not None:
        reasons[Cause.BUS_GAP] = f"market: {observations.market_lost}"
    elif stale := observations.staleness(now_ns):
        reasons[Cause.DATA_STALE] = stale
    if problem := _venue_problem(state):
        reasons[Cause.VENUE_DEGRADED] = problem
    if jump := observations.clock_jump(now_ns):
        reasons[Cause.CLOCK_SUSPECT] = jump
    return reasons


def _venue_problem(state: RiskState) -> str:
    if state.venue_connectivity in (None, VenueConnectivity.HEALTHY):
        return ""
    return f"the venue is {state.venue_connectivity}"


def _divergence(state: RiskState, event: Reconciled) -> CauseReasons:
    """Return DIVERGENCE, with the symbols that differ, if the positions really differ.

    A difference caused by a fill in flight does not count: it is gone at the next reconciliation.
    """
    if positions_match(state, event) or (event.differences and not state.consecutive_mismatches):
        return {}
    ours, theirs = state.positions(), {one.symbol: one.quantity for one in event.positions if one.quantity}
    unequal = sorted(symbol for symbol in ours.keys() | theirs.keys() if ours.get(symbol) != theirs.get(symbol))
    text = ", ".join(
        f"{symbol}: ours {ours.get(symbol, ZERO):f}, venue {theirs.get(symbol, ZERO):f}" for symbol in unequal
    )
    return {Cause.DIVERGENCE: text}
