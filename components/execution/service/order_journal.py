"""Writes the order journal: each record is applied to the state as it is appended."""

from decimal import Decimal
from typing import Final

from components.contracts.orders import (
    ClientOrderIdConflict,
    Filled,
    OrderMessage,
    OrderState,
    OrderUpdated,
    UpdateSource,
)
from components.contracts.values import ZERO
from components.execution.core.execution_reports import (
    OrderMatch,
    OrderReport,
    ReportResult,
    adopt_report,
    apply_report,
    describe_mismatch,
    fill_from,
    match_order,
)
from components.execution.core.next_action import InFlight
from components.execution.core.order import Order
from components.execution.core.state import ExecutionState
from components.execution.core.venue_messages import Execution, VenueOrder
from components.execution.service.metrics import ExecutionMetrics
from components.runtime.service import Append, Effect, EventLevel, LogEvent

CANCEL_UNCONFIRMED: Final = "the cancel is not confirmed"
"""Why an order is queried after its cancel was accepted."""


class OrderJournal:
    """Applies venue reports to orders; the state changes only by a record that is appended to the journal."""

    def __init__(self, state: ExecutionState, metrics: ExecutionMetrics, *, cancel_check_ns: int) -> None:
        """Continue from the state of the journal."""
        self.state = state
        self._in_flight: dict[str, InFlight] = {}
        self._metrics = metrics
        self._cancel_check_ns = cancel_check_ns

    def in_flight(self, order: Order) -> InFlight:
        """Return the requests in flight of an order."""
        return self._in_flight.setdefault(order.key, InFlight())

    def all_in_flight(self) -> tuple[tuple[str, InFlight], ...]:
        """Return the requests in flight of all orders."""
        return tuple(self._in_flight.items())

    def append(self, record: OrderMessage) -> Append:
        """Apply a record to the state and return the effect that appends it."""
        order = self.state.order_for_record(record) if isinstance(record, OrderUpdated | Filled) else None
        self.state.apply(record)
        self._metrics.count_record(order.state if order is not None else None, record)
        return Append(record)

    def set_state(self, order: Order, state: OrderState, reason: str, source: UpdateSource, now_ns: int) -> Append:
        """Append a state that is not based on the venue's report of the order."""
        return self.append(
            OrderUpdated(
                intent_id=order.intent_id,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                filled_quantity=order.filled,
                average_price=order.average_price,
                state=state,
                source=source,
                reason=reason,
                at_ns=now_ns,
            )
        )

    def apply_report(self, report: OrderReport) -> list[Effect]:
        """Apply a venue's report about one order, ours or external."""
        order, effects = self._find_order(report)
        result = apply_report(order, report)
        effects.extend(self._append_result(order, result))
        self._schedule_query(self.state.orders[order.key], result, report)
        return effects

    def apply_execution(self, execution: Execution, source: UpdateSource, now_ns: int) -> list[Effect]:
        """Apply an execution of a known order, if no earlier execution is missing."""
        order = self.state.order_by_venue_id(execution.venue_order_id)
        fill = fill_from(order, execution, source=source, at_ns=now_ns) if order is not None else None
        return [] if order is None or fill is None else self._append_result(order, ReportResult((fill,)))

    def adopt(
        self, venue_order: VenueOrder, *, reason: str, source: UpdateSource, now_ns: int, filled: Decimal = ZERO
    ) -> list[Effect]:
        """Append the first record of an external order; its fills change our positions too."""
        record = adopt_report(venue_order, source=source, reason=reason, at_ns=now_ns, filled=filled)
        return [self.append(record), _venue_order_event(venue_order, "external_order_adopted", reason=reason)]

    def request_query(self, venue_order: VenueOrder, reason: str, now_ns: int) -> None:
        """Schedule a query for an order."""
        order = self.state.order_by_venue_id(venue_order.venue_order_id)
        if order is not None:
            in_flight = self.in_flight(order)
            in_flight.query_reason, in_flight.due_at_ns = reason, min(in_flight.due_at_ns, now_ns)

    def drop_finished(self) -> None:
        """Remove the in-flight data of orders that are final and need no query."""
        for key, in_flight in self.all_in_flight():
            order = self.state.orders[key]
            if (
                order.state.is_final
                and not in_flight.query_reason
                and not in_flight.submitted_at_ns
                and not in_flight.query_sent_at_ns
            ):
                del self._in_flight[key]

    def _find_order(self, report: OrderReport) -> tuple[Order, list[Effect]]:
        venue_order = report.order
        effects: list[Effect] = []
        tracked = self.state.order_by_venue_id(venue_order.venue_order_id)
        if tracked is not None:
            return tracked, effects
        ours = self.state.order_by_client_id(venue_order.client_order_id)
        reason = "not ours"
        if ours is not None and ours.venue_order_id is None:
            match match_order(ours, venue_order):
                case OrderMatch.OURS:
                    return ours, effects
                case OrderMatch.FENCE:
                    reason = f"the fence of {ours.intent_id}"
                case OrderMatch.CONFLICT:
                    reason = describe_mismatch(ours, venue_order)
                    effects.append(self.append(ClientOrderIdConflict(ours.client_order_id, reason, report.at_ns)))
                    effects.append(
                        _venue_order_event(venue_order, "client_order_id_conflict", level="critical", detail=reason)
                    )
            effects.extend(self._close_never_landed(ours, reason, report))
        effects.extend(self.adopt(venue_order, reason=reason, source=report.source, now_ns=report.at_ns))
        return self._adopted(venue_order), effects

    def _adopted(self, venue_order: VenueOrder) -> Order:
        order = self.state.order_by_venue_id(venue_order.venue_order_id)
        if order is None:
            raise KeyError(venue_order.venue_order_id)
        return order

    def _close_never_landed(self, ours: Order, reason: str, report: OrderReport) -> list[Effect]:
        """Close our order: the order found has used up its id, so ours cannot be at the venue, now or later."""
        effects: list[Effect] = []
        if ours.state is OrderState.SENDING:
            effects.append(self.set_state(ours, OrderState.UNKNOWN, reason, report.source, report.at_ns))
            ours = self.state.orders[ours.key]
        if ours.state is OrderState.UNKNOWN:
            effects.append(self.set_state(ours, OrderState.NEVER_LANDED, reason, report.source, report.at_ns))
        return effects

    def _append_result(self, order: Order, result: ReportResult) -> list[Effect]:
        effects: list[Effect] = [self.append(record) for record in result.records]
        if order.state.is_final and any(isinstance(record, Filled) for record in result.records):
            facts = {"client_order_id": order.client_order_id, "state": order.state.value, "symbol": order.symbol}
            effects.append(LogEvent("late_fill", facts, "error"))
        return effects

    def _schedule_query(self, order: Order, result: ReportResult, report: OrderReport) -> None:
        in_flight = self.in_flight(order)
        if result.query_reason:
            in_flight.query_reason = result.query_reason
            # A query response that requires another query is not followed by one at once.
            if report.source is UpdateSource.QUERY:
                in_flight.back_off(report.at_ns)
            else:
                in_flight.due_at_ns = min(in_flight.due_at_ns, report.at_ns)
        elif report.source is UpdateSource.QUERY or (result.records and not in_flight.query_reason):
            in_flight.query_reason, in_flight.attempts, in_flight.due_at_ns = "", 0, 0
        if (
            order.state is OrderState.PENDING_CANCEL
            and not in_flight.query_reason
            and self._needs_confirmation(order, report)
        ):
            in_flight.query_reason, in_flight.due_at_ns = CANCEL_UNCONFIRMED, report.at_ns + self._cancel_check_ns

    def _needs_confirmation(self, order: Order, report: OrderReport) -> bool:
        # If the venue was just queried about our cancel, the cancel is sent again instead.
        return not (order.is_cancel_requested and report.source is UpdateSource.QUERY)


def _venue_order_event(venue_order: VenueOrder, event: str, *, level: EventLevel = "warning", **facts: str) -> LogEvent:
    names = {
        "client_order_id": venue_order.client_order_id,
        "venue_order_id": venue_order.venue_order_id,
        "symbol": venue_order.symbol,
    }
    return LogEvent(event, {**names, **facts}, level)
