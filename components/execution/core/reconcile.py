"""Our record held against the venue's: what to ask for, what is still unexplained, and whether a reading is quiet."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from components.contracts.errors import ConfigError
from components.contracts.orders import Opening, VenueAccount
from components.contracts.values import ClientOrderId, VenueOrderId
from components.execution.core.ledger import differences
from components.execution.core.state import ExecutionState
from components.execution.core.venue import Execution, QueryOrder, VenueRead

DIFFERING_READS_MIN: Final = 3
"""A difference counts when so many readings in a row saw the same one and no fill came in between."""


def to_ask(state: ExecutionState, unexplained: Iterable[VenueOrderId]) -> tuple[QueryOrder, ...]:
    """Name the orders whose state the venue must tell even where they are not open any more."""
    ours = (QueryOrder(order.client_order_id, order.venue_order_id) for order in state.open_orders())
    return (*ours, *(QueryOrder(ClientOrderId(""), venue_order_id) for venue_order_id in sorted(unexplained)))


def unexplained(state: ExecutionState, fills: Iterable[Execution]) -> set[VenueOrderId]:
    """Name the venue's orders that were filled and of which we know nothing."""
    return {fill.venue_order_id for fill in fills if state.of_venue_id(fill.venue_order_id) is None}


def compare(state: ExecutionState, read: VenueRead) -> tuple[str, ...]:
    """Name every difference between the venue's word and our record after that word was taken in."""
    return (*differences(state.positions, read.positions), *_risen(state, read), *_vanished(state, read))


def same_moment(before: VenueRead, after: VenueRead) -> bool:
    """Say whether nothing was filled between two readings, so that positions and orders are of one moment."""
    return before.levels() == after.levels() and before.positions == after.positions


def check_account(opening: Opening, account: VenueAccount) -> None:
    """Refuse to trade another account on this journal."""
    ours = opening.venue_account.account_number
    if account.account_number != ours:
        raise ConfigError(
            f"the venue's account is {account.account_number}, the journal of {opening.account} is of {ours}:"
            " use that account's keys, or another account name"
        )


def _risen(state: ExecutionState, read: VenueRead) -> tuple[str, ...]:
    working = [seen for seen in read.orders if seen.state is not None and not seen.state.is_final]
    known = [(seen, state.of_venue_id(seen.venue_order_id)) for seen in working]
    return tuple(
        f"order {seen.client_order_id}: {order.state} here, {seen.word} at the venue"
        for seen, order in known
        if order is not None and order.state.is_final and seen.filled_quantity >= order.filled
    )


def _vanished(state: ExecutionState, read: VenueRead) -> tuple[str, ...]:
    missing = (state.of_venue_id(query.venue_order_id) for query in read.missing if query.venue_order_id is not None)
    return tuple(
        f"order {order.client_order_id}: {order.state} here, unknown at the venue"
        for order in missing
        if order is not None and order.state.is_working
    )


@dataclass(slots=True)
class Doubt:
    """A difference is believed only when it stays: readings and fills cross each other on the wire."""

    differences: tuple[str, ...] = ()
    fills: int = -1
    readings: int = 0

    def is_settled(self, found: tuple[str, ...], fills: int) -> bool:
        """Note one reading; say whether its result may be written down."""
        if not found:
            self.readings = 0
            return True
        is_same = found == self.differences and fills == self.fills
        self.readings = self.readings + 1 if is_same else 1
        self.differences, self.fills = found, fills
        return self.readings >= DIFFERING_READS_MIN
