"""Proves from the venue's own books and both journals that no order was doubled and none was lost."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final

from components.contracts.decisions import Decision, DecisionMessage, HandoverRefused, OrderEventApplied
from components.contracts.orders import (
    Filled,
    IntentReceived,
    Opening,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
)
from components.contracts.values import ZERO, canonical

ABSENT: Final = frozenset({OrderState.NEVER_LANDED, OrderState.NEVER_SENT, OrderState.REJECTED})
"""What became of an order that the venue may rightly not list."""


class Flaw(StrEnum):
    """What a system that was hurt must not show."""

    DOUBLED = "doubled"
    LOST = "lost"
    UNKNOWN = "unknown"
    UNAPPROVED = "unapproved"
    POSITIONS = "positions"
    JOURNAL = "journal"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Finding:
    """One flaw, and what shows it."""

    flaw: Flaw
    detail: str


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One line of the venue's own list."""

    client_order_id: str
    filled_quantity: Decimal


@dataclass(frozen=True)
class Evidence:
    """Everything that was written: the venue's books, execution's journal, risk's log; read when nobody writes."""

    listed: Sequence[VenueOrder]
    venue_positions: Mapping[str, str]
    orders: Sequence[OrderMessage]
    decisions: Sequence[DecisionMessage]

    @cached_property
    def applied(self) -> tuple[OrderEventApplied, ...]:
        """What risk took over from execution's journal."""
        return tuple(one for one in self.decisions if isinstance(one, OrderEventApplied))

    @cached_property
    def fills(self) -> tuple[Filled, ...]:
        """Every execution that execution wrote down."""
        return tuple(one for one in self.orders if isinstance(one, Filled))

    @cached_property
    def sent(self) -> frozenset[str]:
        """The names under which a request may have left."""
        return frozenset(one.client_order_id for one in self.orders if isinstance(one, OrderSending))

    @cached_property
    def states(self) -> Mapping[str, OrderState]:
        """What each of our orders became last."""
        found: dict[str, OrderState] = {}
        for one in self.orders:
            if isinstance(one, IntentReceived):
                found[one.client_order_id] = OrderState.RECEIVED
            elif isinstance(one, OrderSending) and one.fence is None:
                found[one.client_order_id] = OrderState.SENDING
            elif isinstance(one, OrderUpdated) and one.intent_id is not None:
                found[one.client_order_id] = one.state
        return found

    @cached_property
    def allowed(self) -> Mapping[str, str]:
        """The intents that risk said yes to, by the stem that their orders' names begin with."""
        yes = (one.intent for one in self.decisions if isinstance(one, Decision) and one.allowed)
        return {f"{intent.signal_id}-{intent.leg}": intent.intent_id for intent in yes}


def findings(evidence: Evidence) -> list[Finding]:
    """Hold every proof against the evidence; nothing found means that all of them hold."""
    return [Finding(flaw, detail) for flaw, proof in PROOFS for detail in proof(evidence)]


def holdings(messages: Iterator[OrderMessage]) -> dict[str, str]:
    """Add positions up from where they began; canonical, flat symbols left out."""
    held: dict[str, Decimal] = {}
    for one in messages:
        if isinstance(one, Opening):
            held = {position.symbol: position.quantity for position in one.positions}
        elif isinstance(one, Filled):
            held[one.symbol] = held.get(one.symbol, ZERO) + one.side.sign * one.quantity
    return {symbol: canonical(quantity) for symbol, quantity in sorted(held.items()) if quantity != ZERO}


def _twice_at_the_venue(evidence: Evidence) -> Iterator[str]:
    names = Counter(one.client_order_id for one in evidence.listed)
    yield from (f"{name} stands {count} times in the venue's list" for name, count in names.items() if count > 1)
    stems = Counter(_stem(name) for name in names)
    yield from (f"intent {stem} became {count} orders" for stem, count in stems.items() if count > 1)


def _filled_twice(evidence: Evidence) -> Iterator[str]:
    executions = Counter(one.execution_id for one in evidence.fills)
    yield from (f"execution {name} was written {count} times" for name, count in executions.items() if count > 1)
    written = _filled(evidence.fills)
    for one in evidence.listed:
        ours = written.get(one.client_order_id, ZERO)
        if ours > one.filled_quantity:
            yield f"{one.client_order_id}: {ours} filled here, {one.filled_quantity} at the venue"


def _applied_twice(evidence: Evidence) -> Iterator[str]:
    places = Counter(one.place.sequence for one in evidence.applied)
    yield from (f"risk applied record {place} {count} times" for place, count in places.items() if count > 1)


def _unwritten(evidence: Evidence) -> Iterator[str]:
    unwritten = {one.client_order_id for one in evidence.listed} - evidence.sent
    yield from (f"{name} is at the venue and was never written down" for name in sorted(unwritten))


def _vanished(evidence: Evidence) -> Iterator[str]:
    listed = {one.client_order_id for one in evidence.listed}
    for name in sorted(evidence.sent - listed):
        if evidence.states.get(name) not in ABSENT:
            yield f"{name} may have left, is {evidence.states.get(name, 'without a state')} and not at the venue"


def _fills_missed(evidence: Evidence) -> Iterator[str]:
    written = _filled(evidence.fills)
    for one in evidence.listed:
        ours = written.get(one.client_order_id, ZERO)
        if ours < one.filled_quantity:
            yield f"{one.client_order_id}: {one.filled_quantity} filled at the venue, {ours} here"


def _approvals_forgotten(evidence: Evidence) -> Iterator[str]:
    ended = {one.intent.intent_id for one in evidence.orders if isinstance(one, IntentReceived)}
    ended |= {one.intent_id for one in evidence.orders if isinstance(one, OrderUpdated) and one.intent_id}
    ended |= {one.intent_id for one in evidence.decisions if isinstance(one, HandoverRefused)}
    yield from (f"intent {one} was approved and never ended" for one in evidence.allowed.values() if one not in ended)


def _records_missed(evidence: Evidence) -> Iterator[str]:
    sequences = [one.place.sequence for one in evidence.applied]
    missed = set(range(1, max(sequences, default=0) + 1)) - set(sequences)
    yield from (f"risk never applied record {place} of execution's journal" for place in sorted(missed))


def _unfinished(evidence: Evidence) -> Iterator[str]:
    yield from (f"{name} is {state}" for name, state in evidence.states.items() if not state.is_final)


def _unapproved(evidence: Evidence) -> Iterator[str]:
    for one in evidence.listed:
        if _stem(one.client_order_id) not in evidence.allowed:
            yield f"{one.client_order_id} is at the venue without risk's yes"


def _positions_differ(evidence: Evidence) -> Iterator[str]:
    venue = dict(sorted(evidence.venue_positions.items()))
    books = {
        "execution's journal": holdings(iter(evidence.orders)),
        "risk's log": holdings(one.event for one in evidence.applied),
    }
    yield from (f"{whose} says {held}, the venue {venue}" for whose, held in books.items() if held != venue)


def _filled(fills: Sequence[Filled]) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in fills:
        sums[one.client_order_id] = sums.get(one.client_order_id, ZERO) + one.quantity
    return sums


def _stem(client_order_id: str) -> str:
    """Cut the attempt off an order's name: what is left names signal and leg."""
    return client_order_id.rpartition("-")[0]


PROOFS: Final[tuple[tuple[Flaw, Callable[[Evidence], Iterator[str]]], ...]] = (
    (Flaw.DOUBLED, _twice_at_the_venue),
    (Flaw.DOUBLED, _filled_twice),
    (Flaw.DOUBLED, _applied_twice),
    (Flaw.LOST, _unwritten),
    (Flaw.LOST, _vanished),
    (Flaw.LOST, _fills_missed),
    (Flaw.LOST, _approvals_forgotten),
    (Flaw.LOST, _records_missed),
    (Flaw.UNKNOWN, _unfinished),
    (Flaw.UNAPPROVED, _unapproved),
    (Flaw.POSITIONS, _positions_differ),
)
