"""Proves from the venue's order list and both journals that no order was duplicated, lost or unapproved.

The evidence is gathered after all processes have stopped: the venue is started once more on its own state with a market
that stands still, and both journals are verified and read from their first record.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import httpx
import msgspec

from components.contracts.decisions import CommandRejected, Decision, DecisionMessage, OrderEventApplied
from components.contracts.errors import CorruptData, TradingError, VenueUnavailable
from components.contracts.orders import (
    Filled,
    IntentReceived,
    OpeningBalance,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
)
from components.contracts.streams import DECISIONS, ORDERS, Stream
from components.contracts.values import ZERO, format_decimal
from components.runtime.bus.codec import message_decoder
from components.runtime.journal.reader import read_records, verify_journal
from components.runtime.paths import Paths
from components.xtrader.supervisor.launcher import stop_with_parent
from components.xtrader.supervisor.processes import SANDBOX, VenueEndpoints

MAY_BE_UNLISTED: Final = frozenset({OrderState.NEVER_LANDED, OrderState.NEVER_SENT, OrderState.REJECTED})
"""Final states of orders that the venue need not list."""
VENUE_RESPONSE_S_MAX: Final = 10.0
JOURNALS: Final = ("execution", "risk")


class Violation(StrEnum):
    """The kinds of violation that a drill looks for."""

    DUPLICATED = "duplicated"
    LOST = "lost"
    UNKNOWN = "unknown"
    UNAPPROVED = "unapproved"
    POSITIONS = "positions"
    JOURNAL = "journal"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class ViolationFound:
    """One violation and the evidence of it."""

    violation: Violation
    detail: str


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One order of the venue's own list."""

    client_order_id: str
    filled_quantity: Decimal


@dataclass(frozen=True)
class Evidence:
    """What the venue and both journals hold after the run; nothing writes any more."""

    listed: Sequence[ListedOrder]
    venue_positions: Mapping[str, str]
    orders: Sequence[OrderMessage]
    decisions: Sequence[DecisionMessage]

    @cached_property
    def applied(self) -> tuple[OrderEventApplied, ...]:
        """The order events that risk applied from execution's journal."""
        return tuple(one for one in self.decisions if isinstance(one, OrderEventApplied))

    @cached_property
    def fills(self) -> tuple[Filled, ...]:
        """Every fill in execution's journal."""
        return tuple(one for one in self.orders if isinstance(one, Filled))

    @cached_property
    def sent(self) -> frozenset[str]:
        """The client order ids of every order that may have been sent."""
        return frozenset(one.client_order_id for one in self.orders if isinstance(one, OrderSending))

    @cached_property
    def states(self) -> Mapping[str, OrderState]:
        """The last state of each of our orders."""
        states: dict[str, OrderState] = {}
        for one in self.orders:
            if isinstance(one, IntentReceived):
                states[one.client_order_id] = OrderState.RECEIVED
            elif isinstance(one, OrderSending) and one.fence is None:
                states[one.client_order_id] = OrderState.SENDING
            elif isinstance(one, OrderUpdated) and one.intent_id is not None:
                states[one.client_order_id] = one.state
        return states

    @cached_property
    def approved_intents(self) -> Mapping[str, str]:
        """The ids of approved intents, by the prefix of their client order ids."""
        approved = (one.intent for one in self.decisions if isinstance(one, Decision) and one.allowed)
        return {f"{intent.signal_id}-{intent.leg}": intent.intent_id for intent in approved}


def positions_from(messages: Iterator[OrderMessage]) -> dict[str, str]:
    """Return the positions after the opening balance and all fills; canonical, without flat symbols."""
    held: dict[str, Decimal] = {}
    for one in messages:
        if isinstance(one, OpeningBalance):
            held = {position.symbol: position.quantity for position in one.positions}
        elif isinstance(one, Filled):
            held[one.symbol] = held.get(one.symbol, ZERO) + one.side.sign * one.quantity
    return {symbol: format_decimal(quantity) for symbol, quantity in sorted(held.items()) if quantity != ZERO}


def _listed_twice(evidence: Evidence) -> Iterator[str]:
    ids = Counter(one.client_order_id for one in evidence.listed)
    yield from (f"the venue lists {name} {count} times" for name, count in ids.items() if count > 1)
    prefixes = Counter(_intent_prefix(name) for name in ids)
    yield from (f"intent {prefix} became {count} orders" for prefix, count in prefixes.items() if count > 1)


def _filled_twice(evidence: Evidence) -> Iterator[str]:
    executions = Counter(one.execution_id for one in evidence.fills)
    yield from (f"execution {name} was journaled {count} times" for name, count in executions.items() if count > 1)
    filled_by_order = _filled_quantities(evidence.fills)
    for one in evidence.listed:
        filled = filled_by_order.get(one.client_order_id, ZERO)
        if filled > one.filled_quantity:
            yield f"{one.client_order_id}: {filled} filled here, {one.filled_quantity} at the venue"


def _applied_twice(evidence: Evidence) -> Iterator[str]:
    sequences = Counter(one.offset.sequence for one in evidence.applied)
    yield from (f"risk applied record {sequence} {count} times" for sequence, count in sequences.items() if count > 1)


def _listed_but_not_journaled(evidence: Evidence) -> Iterator[str]:
    not_journaled = {one.client_order_id for one in evidence.listed} - evidence.sent
    yield from (f"{name} is at the venue but was never journaled" for name in sorted(not_journaled))


def _missing_at_venue(evidence: Evidence) -> Iterator[str]:
    listed = {one.client_order_id for one in evidence.listed}
    for name in sorted(evidence.sent - listed):
        if evidence.states.get(name) not in MAY_BE_UNLISTED:
            state = evidence.states.get(name, "without a state")
            yield f"{name} may have been sent, is {state} and is not at the venue"


def _missed_fills(evidence: Evidence) -> Iterator[str]:
    filled_by_order = _filled_quantities(evidence.fills)
    for one in evidence.listed:
        filled = filled_by_order.get(one.client_order_id, ZERO)
        if filled < one.filled_quantity:
            yield f"{one.client_order_id}: {one.filled_quantity} filled at the venue, {filled} here"


def _approvals_without_outcome(evidence: Evidence) -> Iterator[str]:
    ended = {one.intent.intent_id for one in evidence.orders if isinstance(one, IntentReceived)}
    ended |= {one.intent_id for one in evidence.orders if isinstance(one, OrderUpdated) and one.intent_id}
    ended |= {one.intent_id for one in evidence.decisions if isinstance(one, CommandRejected)}
    yield from (
        f"intent {one} was approved and has no outcome"
        for one in evidence.approved_intents.values()
        if one not in ended
    )


def _records_not_applied(evidence: Evidence) -> Iterator[str]:
    sequences = [one.offset.sequence for one in evidence.applied]
    missed = set(range(1, max(sequences, default=0) + 1)) - set(sequences)
    yield from (f"risk never applied record {sequence} of execution's journal" for sequence in sorted(missed))


def _orders_not_final(evidence: Evidence) -> Iterator[str]:
    yield from (f"{name} is {state}" for name, state in evidence.states.items() if not state.is_final)


def _orders_without_approval(evidence: Evidence) -> Iterator[str]:
    for one in evidence.listed:
        if _intent_prefix(one.client_order_id) not in evidence.approved_intents:
            yield f"{one.client_order_id} is at the venue without an approval"


def _position_mismatches(evidence: Evidence) -> Iterator[str]:
    venue = dict(sorted(evidence.venue_positions.items()))
    ours = {
        "execution's journal": positions_from(iter(evidence.orders)),
        "risk's log": positions_from(one.event for one in evidence.applied),
    }
    yield from (f"{whose} has {held}, the venue {venue}" for whose, held in ours.items() if held != venue)


def _filled_quantities(fills: Sequence[Filled]) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in fills:
        sums[one.client_order_id] = sums.get(one.client_order_id, ZERO) + one.quantity
    return sums


def _intent_prefix(client_order_id: str) -> str:
    """Return the client order id without its attempt: signal and leg."""
    return client_order_id.rpartition("-")[0]


CHECKS: Final[tuple[tuple[Violation, Callable[[Evidence], Iterator[str]]], ...]] = (
    (Violation.DUPLICATED, _listed_twice),
    (Violation.DUPLICATED, _filled_twice),
    (Violation.DUPLICATED, _applied_twice),
    (Violation.LOST, _listed_but_not_journaled),
    (Violation.LOST, _missing_at_venue),
    (Violation.LOST, _missed_fills),
    (Violation.LOST, _approvals_without_outcome),
    (Violation.LOST, _records_not_applied),
    (Violation.UNKNOWN, _orders_not_final),
    (Violation.UNAPPROVED, _orders_without_approval),
    (Violation.POSITIONS, _position_mismatches),
)


def find_violations(evidence: Evidence) -> list[ViolationFound]:
    """Run every check on the evidence and return the violations; an empty list means that every check passed."""
    return [ViolationFound(violation, detail) for violation, check in CHECKS for detail in check(evidence)]


def check_orders(paths: Paths) -> tuple[list[ViolationFound], Evidence | None]:
    """Verify both journals and compare them with the venue.

    Return the violations, and the evidence if it is readable.
    """
    journal_violations = [
        ViolationFound(Violation.JOURNAL, f"{name}: {problem}") for name, problem in _journal_problems(paths)
    ]
    try:
        evidence = gather_evidence(paths)
    except TradingError as error:
        return [*journal_violations, ViolationFound(Violation.JOURNAL, str(error))], None
    return [*journal_violations, *find_violations(evidence)], evidence


def gather_evidence(paths: Paths) -> Evidence:
    """Start the venue once more on its state, and read both journals from their first record."""
    with _restarted_venue(paths) as endpoints:
        venue_state = _venue_state(endpoints)
    return Evidence(
        listed=tuple(ListedOrder(one["client_order_id"], Decimal(one["filled_qty"])) for one in venue_state["orders"]),
        venue_positions={name: format_decimal(Decimal(held)) for name, held in venue_state["positions"].items()},
        orders=_read_messages(paths, "execution", ORDERS),
        decisions=_read_messages(paths, "risk", DECISIONS),
    )


def _journal_problems(paths: Paths) -> Iterator[tuple[str, str]]:
    for name in JOURNALS:
        try:
            problem = verify_journal(paths.journal(name)).problem
        except TradingError as error:
            problem = str(error)
        if problem is not None:
            yield name, problem


def _read_messages(paths: Paths, name: str, stream: Stream) -> tuple[Any, ...]:
    decode = message_decoder(stream)
    return tuple(decode(record.payload) for record in read_records(paths.journal(name)))


@contextmanager
def _restarted_venue(paths: Paths) -> Iterator[VenueEndpoints]:
    """Run the venue on its own state at speed 0, so that nothing changes while it is read."""
    command = SANDBOX.command("--state", str(paths.state / SANDBOX.name), "--speed", "0", "--json")
    venue = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=stop_with_parent,  # noqa: PLW1509  # one thread here
    )
    with venue:
        try:
            line = venue.stdout.readline() if venue.stdout else b""
            yield _parse_endpoints(line)
        finally:
            venue.terminate()


def _parse_endpoints(line: bytes) -> VenueEndpoints:
    try:
        return msgspec.json.decode(line, type=VenueEndpoints)
    except msgspec.MsgspecError as error:
        raise CorruptData(f"the venue could not be restarted on its state: {error}") from error


def _venue_state(endpoints: VenueEndpoints) -> dict[str, Any]:
    try:
        response = httpx.get(f"{endpoints.admin_url}/state", timeout=VENUE_RESPONSE_S_MAX)
        state: dict[str, Any] = response.raise_for_status().json()
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise VenueUnavailable(f"cannot read the venue's state at {endpoints.admin_url}: {error}") from error
    return state
