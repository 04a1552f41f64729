"""Proves from the venue's own books and both journals that no order was doubled and none was lost.

Gathers what a system wrote, once nothing runs any longer: the venue's own books and both journals.
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
from components.runtime.journal import reader
from components.runtime.paths import Paths
from components.xtrader.supervisor.launcher import stop_with_parent
from components.xtrader.supervisor.processes import SANDBOX, VenueEndpoints

MAY_BE_UNLISTED: Final = frozenset({OrderState.NEVER_LANDED, OrderState.NEVER_SENT, OrderState.REJECTED})
"""What became of an order that the venue may rightly not list."""


class Violation(StrEnum):
    """What a system that was hurt must not show."""

    DOUBLED = "doubled"
    LOST = "lost"
    UNKNOWN = "unknown"
    UNAPPROVED = "unapproved"
    POSITIONS = "positions"
    JOURNAL = "journal"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class ViolationFound:
    """One flaw, and what shows it."""

    violation: Violation
    detail: str


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One line of the venue's own list."""

    client_order_id: str
    filled_quantity: Decimal


@dataclass(frozen=True)
class Evidence:
    """Everything that was written: the venue's books, execution's journal, risk's log; read when nobody writes."""

    listed: Sequence[ListedOrder]
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


def find_violations(evidence: Evidence) -> list[ViolationFound]:
    """Hold every proof against the evidence; nothing found means that all of them hold."""
    return [ViolationFound(flaw, detail) for flaw, proof in CHECKS for detail in proof(evidence)]


def positions_from(messages: Iterator[OrderMessage]) -> dict[str, str]:
    """Add positions up from where they began; canonical, flat symbols left out."""
    held: dict[str, Decimal] = {}
    for one in messages:
        if isinstance(one, OpeningBalance):
            held = {position.symbol: position.quantity for position in one.positions}
        elif isinstance(one, Filled):
            held[one.symbol] = held.get(one.symbol, ZERO) + one.side.sign * one.quantity
    return {symbol: format_decimal(quantity) for symbol, quantity in sorted(held.items()) if quantity != ZERO}


def _listed_twice(evidence: Evidence) -> Iterator[str]:
    names = Counter(one.client_order_id for one in evidence.listed)
    yield from (f"{name} stands {count} times in the venue's list" for name, count in names.items() if count > 1)
    stems = Counter(_intent_prefix(name) for name in names)
    yield from (f"intent {stem} became {count} orders" for stem, count in stems.items() if count > 1)


def _filled_twice(evidence: Evidence) -> Iterator[str]:
    executions = Counter(one.execution_id for one in evidence.fills)
    yield from (f"execution {name} was written {count} times" for name, count in executions.items() if count > 1)
    written = _filled_quantities(evidence.fills)
    for one in evidence.listed:
        ours = written.get(one.client_order_id, ZERO)
        if ours > one.filled_quantity:
            yield f"{one.client_order_id}: {ours} filled here, {one.filled_quantity} at the venue"


def _applied_twice(evidence: Evidence) -> Iterator[str]:
    places = Counter(one.offset.sequence for one in evidence.applied)
    yield from (f"risk applied record {place} {count} times" for place, count in places.items() if count > 1)


def _listed_but_not_journaled(evidence: Evidence) -> Iterator[str]:
    unwritten = {one.client_order_id for one in evidence.listed} - evidence.sent
    yield from (f"{name} is at the venue and was never written down" for name in sorted(unwritten))


def _missing_at_venue(evidence: Evidence) -> Iterator[str]:
    listed = {one.client_order_id for one in evidence.listed}
    for name in sorted(evidence.sent - listed):
        if evidence.states.get(name) not in MAY_BE_UNLISTED:
            yield f"{name} may have left, is {evidence.states.get(name, 'without a state')} and not at the venue"


def _missed_fills(evidence: Evidence) -> Iterator[str]:
    written = _filled_quantities(evidence.fills)
    for one in evidence.listed:
        ours = written.get(one.client_order_id, ZERO)
        if ours < one.filled_quantity:
            yield f"{one.client_order_id}: {one.filled_quantity} filled at the venue, {ours} here"


def _approvals_without_outcome(evidence: Evidence) -> Iterator[str]:
    ended = {one.intent.intent_id for one in evidence.orders if isinstance(one, IntentReceived)}
    ended |= {one.intent_id for one in evidence.orders if isinstance(one, OrderUpdated) and one.intent_id}
    ended |= {one.intent_id for one in evidence.decisions if isinstance(one, CommandRejected)}
    yield from (f"intent {one} was approved and never ended" for one in evidence.allowed.values() if one not in ended)


def _records_not_applied(evidence: Evidence) -> Iterator[str]:
    sequences = [one.offset.sequence for one in evidence.applied]
    missed = set(range(1, max(sequences, default=0) + 1)) - set(sequences)
    yield from (f"risk never applied record {place} of execution's journal" for place in sorted(missed))


def _orders_not_final(evidence: Evidence) -> Iterator[str]:
    yield from (f"{name} is {state}" for name, state in evidence.states.items() if not state.is_final)


def _orders_without_approval(evidence: Evidence) -> Iterator[str]:
    for one in evidence.listed:
        if _intent_prefix(one.client_order_id) not in evidence.allowed:
            yield f"{one.client_order_id} is at the venue without risk's yes"


def _position_mismatches(evidence: Evidence) -> Iterator[str]:
    venue = dict(sorted(evidence.venue_positions.items()))
    books = {
        "execution's journal": positions_from(iter(evidence.orders)),
        "risk's log": positions_from(one.event for one in evidence.applied),
    }
    yield from (f"{whose} says {held}, the venue {venue}" for whose, held in books.items() if held != venue)


def _filled_quantities(fills: Sequence[Filled]) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in fills:
        sums[one.client_order_id] = sums.get(one.client_order_id, ZERO) + one.quantity
    return sums


def _intent_prefix(client_order_id: str) -> str:
    """Cut the attempt off an order's name: what is left names signal and leg."""
    return client_order_id.rpartition("-")[0]


CHECKS: Final[tuple[tuple[Violation, Callable[[Evidence], Iterator[str]]], ...]] = (
    (Violation.DOUBLED, _listed_twice),
    (Violation.DOUBLED, _filled_twice),
    (Violation.DOUBLED, _applied_twice),
    (Violation.LOST, _listed_but_not_journaled),
    (Violation.LOST, _missing_at_venue),
    (Violation.LOST, _missed_fills),
    (Violation.LOST, _approvals_without_outcome),
    (Violation.LOST, _records_not_applied),
    (Violation.UNKNOWN, _orders_not_final),
    (Violation.UNAPPROVED, _orders_without_approval),
    (Violation.POSITIONS, _position_mismatches),
)


VENUE_RESPONSE_S_MAX: Final = 10.0


JOURNALS: Final = ("execution", "risk")


def check_orders(paths: Paths) -> tuple[list[ViolationFound], Evidence | None]:
    """Verify both journals, then hold them against the venue's books; without evidence nothing is proven."""
    damage = [ViolationFound(Violation.JOURNAL, f"{name}: {problem}") for name, problem in _journal_problems(paths)]
    try:
        evidence = gather_evidence(paths)
    except TradingError as error:
        return [*damage, ViolationFound(Violation.JOURNAL, str(error))], None
    return [*damage, *find_violations(evidence)], evidence


def gather_evidence(paths: Paths) -> Evidence:
    """Open the venue's books once more and read the journals from their first record."""
    with _restarted_venue(paths) as address:
        books = _venue_state(address)
    return Evidence(
        listed=tuple(ListedOrder(one["client_order_id"], Decimal(one["filled_qty"])) for one in books["orders"]),
        venue_positions={symbol: format_decimal(Decimal(quantity)) for symbol, quantity in books["positions"].items()},
        orders=_read_messages(paths, "execution", ORDERS),
        decisions=_read_messages(paths, "risk", DECISIONS),
    )


def _journal_problems(paths: Paths) -> Iterator[tuple[str, str]]:
    for name in JOURNALS:
        try:
            problem = reader.verify_journal(paths.journal(name)).problem
        except TradingError as error:
            problem = str(error)
        if problem is not None:
            yield name, problem


def _read_messages(paths: Paths, name: str, stream: Stream) -> tuple[Any, ...]:
    decode = message_decoder(stream)
    return tuple(decode(record.payload) for record in reader.read_records(paths.journal(name)))


@contextmanager
def _restarted_venue(paths: Paths) -> Iterator[VenueEndpoints]:
    """Run the venue on its own state, with a market that stands still."""
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
        raise CorruptData(f"the venue's books could not be opened again: {error}") from error


def _venue_state(endpoints: VenueEndpoints) -> dict[str, Any]:
    try:
        found: dict[str, Any] = (
            httpx.get(f"{endpoints.admin_url}/state", timeout=VENUE_RESPONSE_S_MAX).raise_for_status().json()
        )
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise VenueUnavailable(f"the venue's books at {endpoints.admin_url}: {error}") from error
    return found
