"""Compares the journal with the venue's account.

It decides which orders to query, which fills are unmatched, and which differences are confirmed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from components.contracts.errors import ConfigError
from components.contracts.orders import OpeningBalance, VenueAccount, VenuePosition
from components.contracts.values import ZERO, ClientOrderId, VenueOrderId, format_decimal
from components.execution.core.state import ExecutionState, Positions, quantities_by_symbol
from components.execution.core.venue_messages import Execution, QueryOrder, VenueSnapshot

CONFIRMING_READS_MIN: Final = 3
"""A difference is confirmed when this many snapshots in a row show it and no fill came in between."""


@dataclass(slots=True)
class MismatchDebounce:
    """Confirms a difference only when it persists: snapshots and fills overtake each other."""

    differences: tuple[str, ...] = ()
    fill_count: int = -1
    confirmations: int = 0

    def is_confirmed(self, found: tuple[str, ...], fill_count: int) -> bool:
        """Count one snapshot and return whether its result may be recorded."""
        if not found:
            self.confirmations = 0
            return True
        is_same = found == self.differences and fill_count == self.fill_count
        self.confirmations = self.confirmations + 1 if is_same else 1
        self.differences, self.fill_count = found, fill_count
        return self.confirmations >= CONFIRMING_READS_MIN


def orders_to_query(state: ExecutionState, unmatched: Iterable[VenueOrderId]) -> tuple[QueryOrder, ...]:
    """Return the orders whose state the venue must report even if they are no longer open."""
    ours = (QueryOrder(order.client_order_id, order.venue_order_id) for order in state.open_orders())
    return (*ours, *(QueryOrder(ClientOrderId(""), venue_order_id) for venue_order_id in sorted(unmatched)))


def unmatched_fills(state: ExecutionState, fills: Iterable[Execution]) -> set[VenueOrderId]:
    """Return the venue order ids of fills that match no known order."""
    return {fill.venue_order_id for fill in fills if state.order_by_venue_id(fill.venue_order_id) is None}


def find_differences(state: ExecutionState, snapshot: VenueSnapshot) -> tuple[str, ...]:
    """Return every difference between a snapshot and the state after the snapshot was applied."""
    return (
        *position_differences(state.positions, snapshot.positions),
        *_reopened(state, snapshot),
        *_missing_at_venue(state, snapshot),
    )


def position_differences(ours: Positions, venue: Iterable[VenuePosition]) -> tuple[str, ...]:
    """Return every symbol whose quantity at the venue differs from ours."""
    theirs = quantities_by_symbol(venue)
    quantities = ((symbol, ours.get(symbol, ZERO), theirs.get(symbol, ZERO)) for symbol in sorted({*ours, *theirs}))
    return tuple(
        f"{symbol}: {format_decimal(counted)} counted, {format_decimal(reported)} at the venue"
        for symbol, counted, reported in quantities
        if counted != reported
    )


def is_consistent(before: VenueSnapshot, after: VenueSnapshot) -> bool:
    """Return whether nothing was filled between two snapshots, so that positions and orders are of the same moment."""
    return before.filled_quantities() == after.filled_quantities() and before.positions == after.positions


def check_account(opening: OpeningBalance, account: VenueAccount) -> None:
    """Raise ConfigError if the venue's account is not the one that this journal belongs to."""
    ours = opening.venue_account.account_number
    if account.account_number != ours:
        raise ConfigError(
            f"the venue's account is {account.account_number}, the journal of {opening.account} is of {ours}:"
            " use that account's keys, or another account name"
        )


def _reopened(state: ExecutionState, snapshot: VenueSnapshot) -> tuple[str, ...]:
    working = [
        venue_order
        for venue_order in snapshot.orders
        if venue_order.state is not None and not venue_order.state.is_final
    ]
    matched = [(venue_order, state.order_by_venue_id(venue_order.venue_order_id)) for venue_order in working]
    return tuple(
        f"order {venue_order.client_order_id}: {order.state} here, {venue_order.venue_status} at the venue"
        for venue_order, order in matched
        if order is not None and order.state.is_final and venue_order.filled_quantity >= order.filled
    )


def _missing_at_venue(state: ExecutionState, snapshot: VenueSnapshot) -> tuple[str, ...]:
    missing = (
        state.order_by_venue_id(query.venue_order_id) for query in snapshot.missing if query.venue_order_id is not None
    )
    return tuple(
        f"order {order.client_order_id}: {order.state} here, unknown at the venue"
        for order in missing
        if order is not None and order.state.is_working
    )
