"""Projection of risk's log onto the account state: one record in, the next state out.

Deterministic: every replay of a log gives the same state to the byte.
"""

from collections.abc import Iterable
from typing import TypeVar, assert_never

from msgspec.structs import replace

from components.contracts.decisions import (
    ApprovalReply,
    CauseCleared,
    CauseRaised,
    CommandRejected,
    Decision,
    DecisionMessage,
    OrderEventApplied,
    RiskStarted,
)
from components.contracts.errors import CorruptData
from components.contracts.orders import (
    ClientOrderIdConflict,
    ControlReceived,
    Filled,
    IntentReceived,
    OpeningBalance,
    OrderMessage,
    OrderSending,
    OrderUpdated,
    Reconciled,
    VenueConnectivityChanged,
)
from components.contracts.trading import CAUSE_EFFECTS, Cause
from components.contracts.values import ZERO, Quantity, Symbol
from components.risk.core.account_state import (
    RATE_STEP_NS,
    RATE_STEPS,
    RECENT_APPROVALS_MAX,
    LiveOrder,
    RecentApproval,
    RiskState,
    apply_execution,
    apply_received,
    apply_sending,
    apply_update,
    live_order_from,
    order_fingerprint,
    order_key,
    with_reply,
)
from components.risk.core.limits import Limits
from components.risk.core.positions import Exposure, apply_fill, with_opening_position

Key = TypeVar("Key")
Value = TypeVar("Value")


def apply(state: RiskState, record: DecisionMessage) -> RiskState:
    """Return the state after the next record of the log."""
    if isinstance(record, Decision):
        return _apply_decision(state, record)
    state = replace(state, last_sequence=state.last_sequence + 1)
    match record:
        case OrderEventApplied(offset, event, _):
            return replace(_apply_order_event(state, event), orders_offset=offset)
        case CauseRaised(cause, reason, _):
            return replace(state, causes=state.causes | {cause: reason})
        case CauseCleared(cause, _, _):
            return replace(state, causes=_without(state.causes, cause))
        case CommandRejected(intent_id, _, _, _):
            return _replace_order(state, intent_id, None)
        case RiskStarted():
            return _apply_start(state, record)
        case _:
            assert_never(record)


def replay(state: RiskState, records: Iterable[tuple[int, DecisionMessage]]) -> RiskState:
    """Return the state after these records; raise CorruptData if a sequence number is out of order."""
    for sequence, record in records:
        if sequence != state.next_sequence:
            raise CorruptData(f"record {sequence}, expected {state.next_sequence}")
        state = apply(state, record)
    return state


def approval_reply(decision: Decision, sequence: int) -> ApprovalReply:
    """Return the reply to the request behind a decision."""
    return ApprovalReply(decision.intent.intent_id, decision.allowed, decision.checks, sequence)


def _apply_decision(state: RiskState, decision: Decision) -> RiskState:
    """Cache the reply and reserve an approved order in one new state, not in one for each step."""
    intent, sequence = decision.intent, state.last_sequence + 1
    reply_cache = with_reply(state.reply_cache, intent, approval_reply(decision, sequence))
    if not decision.allowed:
        return replace(state, last_sequence=sequence, reply_cache=reply_cache)
    now_ns = decision.inputs.now_ns
    orders, exposures = _with_live_order(state, intent.intent_id, live_order_from(decision))
    return replace(
        state,
        last_sequence=sequence,
        reply_cache=reply_cache,
        recent_approvals=(
            *state.recent_approvals[1 - RECENT_APPROVALS_MAX :],
            RecentApproval(now_ns, order_fingerprint(intent)),
        ),
        approvals_by_step=_count_approval(state, now_ns // RATE_STEP_NS),
        orders=orders,
        exposures=exposures,
    )


def _count_approval(state: RiskState, step: int) -> tuple[tuple[int, int], ...]:
    counts = [one for one in state.approvals_by_step if one[0] >= step - RATE_STEPS]
    if counts and counts[-1][0] == step:
        return (*counts[:-1], (step, counts[-1][1] + 1))
    return (*counts, (step, 1))


def _apply_start(state: RiskState, record: RiskStarted) -> RiskState:
    """Return the state at a start of the process: latched causes stay, all others are replaced by STARTING."""
    if record.account != state.account:
        raise CorruptData(f"record {state.last_sequence}: the log of account {record.account}, not of {state.account}")
    starting = {Cause.STARTING: "no evidence yet"}
    latched = {cause: reason for cause, reason in state.causes.items() if CAUSE_EFFECTS[cause].latched}
    limits = Limits.model_validate_json(record.limits)
    return replace(state, limits=limits, started_sequence=state.last_sequence, causes=starting | latched)


def _apply_order_event(state: RiskState, event: OrderMessage) -> RiskState:
    match event:
        case IntentReceived(intent=intent):
            return _replace_order(state, intent.intent_id, apply_received(state.orders.get(intent.intent_id), event))
        case OrderSending() | OrderUpdated():
            return _apply_order_update(state, event)
        case Filled():
            return _apply_fill(state, event)
        case OpeningBalance() | Reconciled():
            return _apply_reconciliation(state, event)
        case VenueConnectivityChanged(connectivity=condition):
            return replace(state, venue_connectivity=condition)
        case ControlReceived() | ClientOrderIdConflict():
            return state
        case _:
            assert_never(event)


def _apply_order_update(state: RiskState, event: OrderSending | OrderUpdated) -> RiskState:
    key = order_key(event.intent_id, event.client_order_id)
    order = state.orders.get(key)
    if isinstance(event, OrderUpdated):
        return _replace_order(state, key, apply_update(order, event))
    return _replace_order(state, key, apply_sending(order, event)) if order else state


def _apply_fill(state: RiskState, event: Filled) -> RiskState:
    exposure = apply_fill(state.exposure(event.symbol), event.side, event.quantity, event.price)
    state = replace(state, exposures=state.exposures | {event.symbol: exposure})
    key = order_key(event.intent_id, event.client_order_id)
    order = state.orders.get(key)
    return _replace_order(state, key, apply_execution(order, event)) if order else state


def _apply_reconciliation(state: RiskState, event: OpeningBalance | Reconciled) -> RiskState:
    if isinstance(event, OpeningBalance):
        taken = {
            one.symbol: with_opening_position(state.exposure(one.symbol), one.quantity, one.average_price)
            for one in event.positions
        }
        flat = {symbol: with_opening_position(one, ZERO, ZERO) for symbol, one in state.exposures.items()}
        return replace(state, exposures=flat | taken)
    if is_reconciled(state, event):
        return replace(
            state, reconciled_at_ns=event.at_ns, reconciled_sequence=state.last_sequence, consecutive_mismatches=0
        )
    return replace(state, consecutive_mismatches=state.consecutive_mismatches + 1)


def is_reconciled(state: RiskState, event: Reconciled) -> bool:
    """Return whether the venue's account equals execution's journal and this state."""
    return not event.differences and positions_match(state, event)


def positions_match(state: RiskState, event: Reconciled) -> bool:
    """Return whether the venue reports exactly our positions."""
    return {one.symbol: one.quantity for one in event.positions if one.quantity != ZERO} == state.positions()


def _replace_order(state: RiskState, key: str, order: LiveOrder | None) -> RiskState:
    """Insert, replace or remove a live order."""
    orders, exposures = _with_live_order(state, key, order)
    return replace(state, orders=orders, exposures=exposures)


def _with_live_order(
    state: RiskState, key: str, order: LiveOrder | None
) -> tuple[dict[str, LiveOrder], dict[Symbol, Exposure]]:
    """Return orders and exposures with this order inserted or removed.

    The reserved quantity changes by the difference.
    """
    before = state.orders.get(key)
    after = None if order is None or order.is_closed else order
    one = after or before
    if one is None:
        return state.orders, state.exposures
    orders = _without(state.orders, key) if after is None else state.orders | {key: after}
    reserved = _reserved(after) - _reserved(before)
    exposure = state.exposure(one.symbol).with_reservation(
        one.side, reserved, (after is not None) - (before is not None)
    )
    return orders, state.exposures | {one.symbol: exposure}


def _reserved(order: LiveOrder | None) -> Quantity:
    return order.remaining if order else ZERO


def _without(mapping: dict[Key, Value], key: Key) -> dict[Key, Value]:
    return {one: value for one, value in mapping.items() if one != key}
