"""Properties that hold for every interleaving of order events and REST responses."""

from decimal import Decimal
from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.contracts.orders import Filled, OrderMessage, OrderState, OrderUpdated
from components.execution.core.order import is_allowed_transition
from components.execution.core.state import ExecutionState
from components.execution.core.venue_messages import (
    FetchVenueSnapshot,
    OrderAccepted,
    OrderFound,
    QueryOrder,
    SubmitOrder,
    VenueOrder,
    VenueOrderEvent,
)
from tests.support.execution_harness import (
    ExecutionHarness,
    activity_fill,
    fill_event,
    filled_to,
    position,
    status_event,
    venue_order,
    venue_snapshot,
)


class OrderHistory:
    """The actual history of an order at the venue: its executions, then perhaps a cancel."""

    def __init__(self, quantities: list[int], *, is_cancelled: bool) -> None:
        self.quantities = quantities
        self.totals = list(accumulate(quantities))
        self.is_cancelled = is_cancelled and self.totals[-1] < 10

    def order(self, count: int) -> VenueOrder:
        """Return the venue's order after this many executions."""
        total = self.totals[count - 1] if count else 0
        if self.is_cancelled and count == len(self.totals):
            return filled_to(total, average=self.average(count), state=OrderState.CANCELLED, venue_status="canceled")
        return filled_to(total, average=self.average(count)) if total else venue_order()

    def average(self, count: int) -> str:
        spent = sum(quantity * price(n) for n, quantity in enumerate(self.quantities[:count]))
        return str(Decimal(spent) / self.totals[count - 1])

    def event(self, number: int) -> VenueOrderEvent:
        quantity, total = self.quantities[number], self.totals[number]
        return fill_event(quantity, total, price=str(price(number)), average=self.average(number + 1))

    def rows(self, count: int) -> list[Any]:
        return [activity_fill(self.quantities[n], self.totals[n], price=str(price(n))) for n in range(count)]

    def reading(self, count: int) -> Any:
        held = self.totals[count - 1] if count else 0
        return venue_snapshot(self.order(count), fills=self.rows(count), positions=[position(held)] if held else [])


def price(number: int) -> int:
    return 150 - number


quantities = st.lists(st.integers(1, 4), min_size=1, max_size=4).filter(lambda parts: sum(parts) <= 10)
report_lists = st.lists(
    st.tuples(st.sampled_from(["event", "status", "reading", "reply", "query"]), st.integers(0, 4)), max_size=14
)


def deliver_report(harness: ExecutionHarness, history: OrderHistory, kind: str, moment: int) -> None:
    """Deliver reports that were true at some moment, in any order and any number of times."""
    count = min(moment, len(history.totals))
    match kind:
        case "event":
            harness.venue_event(history.event(min(moment, len(history.totals) - 1)))
        case "status":
            harness.venue_event(status_event(history.order(count)))
        case "reading":
            harness.reconnect(history.reading(count))
        case "reply":
            for call in harness.requests(SubmitOrder):
                harness.respond(call, OrderAccepted(history.order(count)))
        case _:
            for query in harness.requests(QueryOrder):
                harness.respond(query, OrderFound(history.order(count)))


@given(quantities=quantities, is_cancelled=st.booleans(), reports=report_lists)
def test_report_listsin_any_order_end_in_the_venues_state(
    quantities: list[int], reports: list[tuple[str, int]], *, is_cancelled: bool
) -> None:
    history = OrderHistory(quantities, is_cancelled=is_cancelled)
    harness = ExecutionHarness().open_journal()
    harness.submit()
    for kind, moment in reports:
        deliver_report(harness, history, kind, moment)
    harness.reconnect(history.reading(len(history.totals)))
    deliver_report(harness, history, "query", len(history.totals))
    assert harness.state.positions == {"AAPL": history.totals[-1]}
    assert harness.order_state() is history.order(len(history.totals)).state
    spent = sum(quantity * cost for quantity, cost in harness.fills())
    assert abs(spent - sum(quantity * price(n) for n, quantity in enumerate(quantities))) < Decimal("1e-6")
    check_journal(harness.journal)


@given(quantities=quantities, is_cancelled=st.booleans(), reports=report_lists, cut=st.integers(0, 40))
def test_a_restart_in_the_middle_changes_nothing(
    quantities: list[int], reports: list[tuple[str, int]], cut: int, *, is_cancelled: bool
) -> None:
    history = OrderHistory(quantities, is_cancelled=is_cancelled)
    harness = ExecutionHarness().open_journal()
    opened = len(harness.journal)
    harness.submit()
    for kind, moment in reports:
        deliver_report(harness, history, kind, moment)
    harness = harness.restart(records=min(opened + 2 + cut, len(harness.journal))).start()
    harness.reconnect(history.reading(len(history.totals)))
    deliver_report(harness, history, "query", len(history.totals))
    assert harness.state.positions == {"AAPL": history.totals[-1]}
    assert harness.order_state() is history.order(len(history.totals)).state
    check_journal(harness.journal)


def check_journal(journal: list[OrderMessage]) -> None:
    """Check every journal: totals rise, states follow the table, nothing leaves a final state."""
    state = ExecutionState()
    levels: dict[str, Decimal] = {}
    for record in journal:
        order = state.order_for_record(record) if isinstance(record, OrderUpdated | Filled) else None
        if isinstance(record, OrderUpdated) and order is not None:
            assert is_allowed_transition(order.state, record.state)
        if isinstance(record, Filled):
            assert record.cumulative_quantity == levels.get(record.venue_order_id, Decimal(0)) + record.quantity
            levels[record.venue_order_id] = record.cumulative_quantity
        state.apply(record)


def test_a_snapshot_is_requested_whenever_the_stream_connects() -> None:
    harness = ExecutionHarness().open_journal()
    harness.reconnect(venue_snapshot())
    assert not harness.requests(FetchVenueSnapshot)
