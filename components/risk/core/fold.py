"""The fold over the log: one record in, the next state out, the same to the last byte on every replay."""

from collections.abc import Iterable
from typing import TypeVar, assert_never

from msgspec.structs import replace

from components.contracts.decisions import (
    CauseCleared,
    CauseRaised,
    Decision,
    DecisionMessage,
    HandoverRefused,
    LogOpened,
    OrderEventApplied,
    Verdict,
)
from components.contracts.errors import DamagedData
from components.contracts.orders import (
    Collided,
    ControlReceived,
    Filled,
    IntentReceived,
    Opening,
    OrderMessage,
    OrderSending,
    OrderUpdated,
    Reconciled,
    VenueChanged,
)
from components.contracts.trading import EFFECTS, Cause
from components.contracts.values import ZERO, Quantity, Symbol
from components.risk.core.ledger import Exposure, filled, opened
from components.risk.core.limits import Limits
from components.risk.core.memory import remembering
from components.risk.core.orders import LiveOrder, approved, executed, key_of, received, sending, updated
from components.risk.core.state import PACE_STEP_NS, PACE_STEPS, RECENT_MAX, Approval, RiskState, shape_of

Key = TypeVar("Key")
Value = TypeVar("Value")


def apply(state: RiskState, record: DecisionMessage) -> RiskState:
    """Take in the next record of the log."""
    if isinstance(record, Decision):
        return _decided(state, record)
    state = replace(state, last_sequence=state.last_sequence + 1)
    match record:
        case OrderEventApplied(place, event, _):
            return replace(_heard(state, event), orders_place=place)
        case CauseRaised(cause, reason, _):
            return replace(state, causes=state.causes | {cause: reason})
        case CauseCleared(cause, _, _):
            return replace(state, causes=_without(state.causes, cause))
        case HandoverRefused(intent_id, _, _, _):
            return _with_order(state, intent_id, None)
        case LogOpened():
            return _begun(state, record)
        case _:
            assert_never(record)


def replay(state: RiskState, records: Iterable[tuple[int, DecisionMessage]]) -> RiskState:
    """Fold a log, record by record; a number out of order is damage."""
    for sequence, record in records:
        if sequence != state.next_sequence:
            raise DamagedData(f"record {sequence} where {state.next_sequence} belongs")
        state = apply(state, record)
    return state


def verdict_of(decision: Decision, sequence: int) -> Verdict:
    """Put a decision into the words of its answer."""
    return Verdict(decision.intent.intent_id, decision.allowed, decision.checked, sequence)


def _decided(state: RiskState, decision: Decision) -> RiskState:
    """Remember the answer, reserve what was approved: one new state, not one for each."""
    intent, sequence = decision.intent, state.last_sequence + 1
    memory = remembering(state.memory, intent, verdict_of(decision, sequence))
    if not decision.allowed:
        return replace(state, last_sequence=sequence, memory=memory)
    now_ns = decision.facts.now_ns
    orders, exposures = _books_with(state, intent.intent_id, approved(decision))
    return replace(
        state,
        last_sequence=sequence,
        memory=memory,
        recent=(*state.recent[1 - RECENT_MAX :], Approval(now_ns, shape_of(intent))),
        pace=_pace(state, now_ns // PACE_STEP_NS),
        orders=orders,
        exposures=exposures,
    )


def _pace(state: RiskState, step: int) -> tuple[tuple[int, int], ...]:
    kept = [one for one in state.pace if one[0] >= step - PACE_STEPS]
    if kept and kept[-1][0] == step:
        return (*kept[:-1], (step, kept[-1][1] + 1))
    return (*kept, (step, 1))


def _begun(state: RiskState, record: LogOpened) -> RiskState:
    """Begin a life of the process: what was latched stays, everything else is to be proven again."""
    if record.account != state.account:
        raise DamagedData(f"record {state.last_sequence}: the log of account {record.account}, not of {state.account}")
    starting = {Cause.STARTING: "nothing is known yet"}
    latched = {cause: reason for cause, reason in state.causes.items() if EFFECTS[cause].latched}
    limits = Limits.model_validate_json(record.limits)
    return replace(state, limits=limits, opened_sequence=state.last_sequence, causes=starting | latched)


def _heard(state: RiskState, event: OrderMessage) -> RiskState:
    match event:
        case IntentReceived(intent=intent):
            return _with_order(state, intent.intent_id, received(state.orders.get(intent.intent_id), event))
        case OrderSending() | OrderUpdated():
            return _moved(state, event)
        case Filled():
            return _filled(state, event)
        case Opening() | Reconciled():
            return _compared(state, event)
        case VenueChanged(condition=condition):
            return replace(state, venue_condition=condition)
        case ControlReceived() | Collided():
            return state
        case _:
            assert_never(event)


def _moved(state: RiskState, event: OrderSending | OrderUpdated) -> RiskState:
    key = key_of(event.intent_id, event.client_order_id)
    known = state.orders.get(key)
    if isinstance(event, OrderUpdated):
        return _with_order(state, key, updated(known, event))
    return _with_order(state, key, sending(known, event)) if known else state


def _filled(state: RiskState, event: Filled) -> RiskState:
    exposure = filled(state.exposure(event.symbol), event.side, event.quantity, event.price)
    state = replace(state, exposures=state.exposures | {event.symbol: exposure})
    key = key_of(event.intent_id, event.client_order_id)
    order = state.orders.get(key)
    return _with_order(state, key, executed(order, event)) if order else state


def _compared(state: RiskState, event: Opening | Reconciled) -> RiskState:
    if isinstance(event, Opening):
        taken = {
            one.symbol: opened(state.exposure(one.symbol), one.quantity, one.average_price) for one in event.positions
        }
        flat = {symbol: opened(one, ZERO, ZERO) for symbol, one in state.exposures.items()}
        return replace(state, exposures=flat | taken)
    if agrees(state, event):
        return replace(state, reconciled_at_ns=event.at_ns, reconciled_sequence=state.last_sequence, differing=0)
    return replace(state, differing=state.differing + 1)


def agrees(state: RiskState, event: Reconciled) -> bool:
    """Say whether the venue's account of itself is the same as execution's journal, and as ours."""
    return not event.differences and holds_the_same(state, event)


def holds_the_same(state: RiskState, event: Reconciled) -> bool:
    """Say whether the venue states exactly our positions."""
    return {one.symbol: one.quantity for one in event.positions if one.quantity != ZERO} == state.positions()


def _with_order(state: RiskState, key: str, order: LiveOrder | None) -> RiskState:
    """Put an order into the books or take it out."""
    orders, exposures = _books_with(state, key, order)
    return replace(state, orders=orders, exposures=exposures)


def _books_with(
    state: RiskState, key: str, order: LiveOrder | None
) -> tuple[dict[str, LiveOrder], dict[Symbol, Exposure]]:
    """Give orders and exposures with an order in them or without it, what is reserved moved by the difference."""
    before = state.orders.get(key)
    after = None if order is None or order.is_over else order
    one = after or before
    if one is None:
        return state.orders, state.exposures
    orders = _without(state.orders, key) if after is None else state.orders | {key: after}
    reserved = _reserved(after) - _reserved(before)
    exposure = state.exposure(one.symbol).reserved(one.side, reserved, (after is not None) - (before is not None))
    return orders, state.exposures | {one.symbol: exposure}


def _reserved(order: LiveOrder | None) -> Quantity:
    return order.remaining if order else ZERO


def _without(mapping: dict[Key, Value], key: Key) -> dict[Key, Value]:
    return {one: value for one, value in mapping.items() if one != key}
