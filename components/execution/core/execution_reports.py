"""Applies a venue's report about an order: which order it is about, and which fills and updates it adds to the journal.

Late, repeated and reordered reports add nothing twice. A fill that no execution explains is inferred from the
cumulative quantity and the average price.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum, auto
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.orders import Filled, OrderState, OrderUpdated, UpdateSource
from components.contracts.values import ZERO, ExecutionId, OrderType, VenueOrderId, format_decimal
from components.execution.core.order import PRICE_STEP, Order, next_state
from components.execution.core.venue_messages import Execution, VenueOrder


@final
class ReportResult(Struct, frozen=True, gc=False):
    """The records to append, and why the venue must be queried (empty if it need not be)."""

    records: tuple[Filled | OrderUpdated, ...]
    query_reason: str = ""


@final
class OrderReport(Struct, frozen=True, gc=False):
    """A venue's report about an order, with its source."""

    order: VenueOrder
    source: UpdateSource
    at_ns: int
    execution: Execution | None = None
    is_cancel_rejected: bool = False


class OrderMatch(Enum):
    """Whether an order found under our client order id is ours, its fence, or a conflict."""

    OURS = auto()
    FENCE = auto()
    CONFLICT = auto()


def inferred_execution_id(venue_order_id: VenueOrderId, cumulative_quantity: Decimal) -> ExecutionId:
    """Return the id of an execution that only REST reported: the same for every read and after a restart."""
    return ExecutionId(f"{venue_order_id}:{format_decimal(cumulative_quantity)}")


def apply_report(order: Order, report: OrderReport) -> ReportResult:
    """Return the records that a report adds to an order."""
    venue_order = report.order
    fills, query_reason = _fills(order, report)
    cumulative = fills[-1].cumulative_quantity if fills else order.filled
    if venue_order.state is None or query_reason:
        return ReportResult(tuple(fills), query_reason or f"unknown status {venue_order.venue_status!r}")
    if venue_order.filled_quantity < cumulative:
        # The report is older than our state. Only a final state that contradicts ours needs a query.
        contradicts = venue_order.state.is_final and not order.state.is_final
        return ReportResult(
            tuple(fills), f"{venue_order.venue_status} with a smaller filled quantity than known" if contradicts else ""
        )
    state = next_state(order.state, venue_order.state, cumulative, cancel_rejected=report.is_cancel_rejected)
    changed = fills or state is not order.state or order.venue_order_id is None
    return ReportResult((*fills, _update(order, report, state, cumulative)) if changed else ())


def fill_from(order: Order, execution: Execution, *, source: UpdateSource, at_ns: int) -> Filled | None:
    """Return the fill that an execution adds; None if it is known already or an earlier execution is missing."""
    filled_before = execution.cumulative_quantity - execution.quantity
    if execution.execution_id in order.execution_ids or execution.cumulative_quantity <= order.filled:
        return None
    if filled_before > order.filled or execution.price <= ZERO:
        return None
    return Filled(
        execution_id=execution.execution_id,
        intent_id=order.intent_id,
        client_order_id=order.client_order_id,
        venue_order_id=execution.venue_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=execution.cumulative_quantity - order.filled,
        price=execution.price,
        cumulative_quantity=execution.cumulative_quantity,
        source=source,
        venue_at_ns=execution.venue_at_ns,
        at_ns=at_ns,
    )


def adopt_report(
    venue_order: VenueOrder, *, source: UpdateSource, reason: str, at_ns: int, filled: Decimal = ZERO
) -> OrderUpdated:
    """Return the first record of an external order; `filled` is the quantity that the positions already include."""
    working = OrderState.PARTIALLY_FILLED if filled > ZERO else OrderState.OPEN
    is_counted = venue_order.state is not None and venue_order.state.is_final and filled == venue_order.filled_quantity
    return OrderUpdated(
        intent_id=None,
        client_order_id=venue_order.client_order_id,
        venue_order_id=venue_order.venue_order_id,
        symbol=venue_order.symbol,
        side=venue_order.side,
        quantity=venue_order.quantity,
        filled_quantity=filled,
        average_price=venue_order.average_price if filled > ZERO else None,
        state=venue_order.state if is_counted and venue_order.state is not None else working,
        source=source,
        reason=reason,
        at_ns=at_ns,
    )


def match_order(order: Order, venue_order: VenueOrder) -> OrderMatch:
    """Compare the venue's order with ours: symbol, side, quantity, type and limit price."""
    if (venue_order.symbol, venue_order.side) != (order.symbol, order.side):
        return OrderMatch.CONFLICT
    body = (venue_order.quantity, venue_order.order_type, venue_order.limit_price)
    if body == (order.quantity, order.order_type, order.limit_price):
        return OrderMatch.OURS
    fence = order.fence
    if fence is not None and body == (fence.quantity, OrderType.LIMIT, fence.limit_price):
        return OrderMatch.FENCE
    return OrderMatch.CONFLICT


def describe_mismatch(order: Order, venue_order: VenueOrder) -> str:
    """Return how the venue's order differs from ours."""
    return f"{_describe(order)} is ours, {_describe(venue_order)} is at the venue"


def _fills(order: Order, report: OrderReport) -> tuple[list[Filled], str]:
    """Return the fills up to the venue's cumulative quantity; the last is the execution if the report has one."""
    venue_order, execution = report.order, report.execution
    if venue_order.filled_quantity <= order.filled:
        return [], ""
    if execution is None:
        return _inferred_fill(order, report, venue_order.filled_quantity, ZERO)
    filled_before = venue_order.filled_quantity - execution.quantity
    before, query_reason = _inferred_fill(order, report, filled_before, execution.quantity * execution.price)
    cumulative = before[-1].cumulative_quantity if before else order.filled
    fill = fill_from(replace(order, filled=cumulative), execution, source=report.source, at_ns=report.at_ns)
    return ([*before, fill] if fill is not None else before), query_reason


def _inferred_fill(order: Order, report: OrderReport, up_to: Decimal, cost_after: Decimal) -> tuple[list[Filled], str]:
    """Return one fill for everything missing up to a cumulative quantity.

    Its price is the one that the venue's average implies.
    """
    quantity = up_to - order.filled
    if quantity <= ZERO:
        return [], ""
    average = report.order.average_price
    if average is None or average <= ZERO:
        return [], f"filled {format_decimal(report.order.filled_quantity)} without an average price"
    left = (average * report.order.filled_quantity - cost_after - order.cumulative_cost) / quantity
    price = (left if left > ZERO else average).quantize(PRICE_STEP, ROUND_HALF_EVEN)
    execution = Execution(
        execution_id=inferred_execution_id(report.order.venue_order_id, up_to),
        venue_order_id=report.order.venue_order_id,
        quantity=quantity,
        price=Decimal(format_decimal(price)),
        cumulative_quantity=up_to,
        venue_at_ns=report.at_ns,
    )
    fill = fill_from(order, execution, source=report.source, at_ns=report.at_ns)
    return ([fill], "") if fill is not None else ([], "")


def _update(order: Order, report: OrderReport, state: OrderState, cumulative: Decimal) -> OrderUpdated:
    venue_order = report.order
    return OrderUpdated(
        intent_id=order.intent_id,
        client_order_id=order.client_order_id,
        venue_order_id=venue_order.venue_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=cumulative,
        average_price=venue_order.average_price if venue_order.filled_quantity == cumulative else None,
        state=state,
        source=report.source,
        reason=venue_order.venue_status,
        at_ns=report.at_ns,
    )


def _describe(order: Order | VenueOrder) -> str:
    limit = "" if order.limit_price is None else f" at {format_decimal(order.limit_price)}"
    return f"{order.side} {format_decimal(order.quantity)} {order.symbol} {order.order_type}{limit}"
