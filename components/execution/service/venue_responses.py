"""Applies a venue's response to the order that the request was about."""

from typing import Final

from components.contracts.orders import OrderState, UpdateSource
from components.execution.config import ExecutionConfig
from components.execution.core.execution_reports import OrderReport
from components.execution.core.next_action import DELAY_NS_MAX, InFlight, NotSentReason
from components.execution.core.order import UNRESOLVED_STATES, Order
from components.execution.core.venue_messages import (
    CancelAccepted,
    CancelAllOrders,
    CancelOrder,
    DuplicateId,
    Fence,
    FetchVenueSnapshot,
    HaltedByFile,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryOrder,
    RequestRejected,
    SubmitOrder,
    Throttled,
    Unauthorized,
    Unreachable,
    VenueRequest,
    VenueResponse,
)
from components.execution.service.metrics import ExecutionMetrics
from components.execution.service.order_journal import CANCEL_UNCONFIRMED, OrderJournal
from components.execution.service.venue_health import RequestBudget, VenueHealth
from components.runtime.clock import NS_PER_MS
from components.runtime.service import Effect, LogEvent, ObserveLatency

CANCEL_CHECK_BACKOFF_MAX: Final = 8
"""Upper bound of the factor by which the checks of an unconfirmed cancel slow down."""
OrderRequest = SubmitOrder | Fence | QueryOrder | CancelOrder


class VenueResponses:
    """Handles the responses to requests about orders; the order driver decides what follows."""

    def __init__(
        self,
        journal: OrderJournal,
        budget: RequestBudget,
        health: VenueHealth,
        metrics: ExecutionMetrics,
        config: ExecutionConfig,
    ) -> None:
        """Use the journal and the budget of the order driver."""
        self._journal, self._budget, self._health, self._metrics = journal, budget, health, metrics
        self._limits = config.venue_health
        self._cancel_check_ns = config.orders.cancel_check_ms * NS_PER_MS

    def record_health(self, request: VenueRequest, response: VenueResponse, now_ns: int) -> None:
        """Record how well the venue responds, whatever the response is."""
        match response:
            case OutcomeUnknown(reason) | Unreachable(reason):
                self._health.record_failure(reason)
            case Throttled(retry_at_ns, text):
                self._health.record_throttled(text)
                self._budget.pause_until(retry_at_ns, now_ns)
            case Unauthorized(text):
                self._health.record_unauthorized(text)
            case HaltedByFile():
                return
            case _:
                self._health.record_response(self._response_time_ns(request, now_ns), self._limits)

    def apply(self, request: OrderRequest, response: VenueResponse, now_ns: int) -> list[Effect]:
        """Apply a response to its order."""
        order = self._order_of(request)
        if order is None:
            return self._on_unknown_order(response, now_ns)
        in_flight = self._journal.in_flight(order)
        match request:
            case SubmitOrder():
                observed = ObserveLatency(self._metrics.submit, in_flight.submitted_at_ns or now_ns)
                in_flight.submitted_at_ns = 0
                return [observed, *self._on_submit_response(order, in_flight, response, now_ns)]
            case Fence():
                in_flight.submitted_at_ns = 0
                return self._on_fence_response(order, in_flight, response, now_ns)
            case QueryOrder():
                in_flight.query_sent_at_ns = 0
                return self._on_query_response(order, in_flight, response, now_ns)
            case CancelOrder():
                in_flight.query_sent_at_ns = 0
                return self._on_cancel_response(order, in_flight, response, now_ns)

    def _response_time_ns(self, request: VenueRequest, now_ns: int) -> int:
        """Return the response time of one request; 0 for a snapshot, which consists of many."""
        order = None if isinstance(request, FetchVenueSnapshot | CancelAllOrders) else self._order_of(request)
        if order is None:
            return 0
        in_flight = self._journal.in_flight(order)
        began_at_ns = (
            in_flight.submitted_at_ns if isinstance(request, SubmitOrder | Fence) else in_flight.query_sent_at_ns
        )
        return now_ns - (began_at_ns or now_ns)

    def _order_of(self, request: OrderRequest) -> Order | None:
        state = self._journal.state
        if isinstance(request, QueryOrder | CancelOrder) and request.venue_order_id is not None:
            return state.order_by_venue_id(request.venue_order_id)
        return state.order_by_client_id(request.client_order_id)

    def _on_unknown_order(self, response: VenueResponse, now_ns: int) -> list[Effect]:
        return (
            self._journal.apply_report(OrderReport(response.order, UpdateSource.QUERY, now_ns))
            if isinstance(response, OrderFound)
            else []
        )

    def _on_submit_response(
        self, order: Order, in_flight: InFlight, response: VenueResponse, now_ns: int
    ) -> list[Effect]:
        if order.state not in UNRESOLVED_STATES and not isinstance(response, OrderAccepted):
            # The stream was faster than the reply; if the two disagree, the venue is queried.
            in_flight.query_reason = f"the reply was {type(response).__name__}"
            return []
        match response:
            case OrderAccepted(venue_order):
                return self._journal.apply_report(OrderReport(venue_order, UpdateSource.REPLY, now_ns))
            case RequestRejected() | Unauthorized():
                return self._on_rejected(order, in_flight, response, now_ns)
            case Throttled() | Unreachable() | HaltedByFile():
                return self._on_not_sent(order, in_flight, response, now_ns)
            case DuplicateId(text):
                return self._on_outcome_unknown(order, in_flight, f"{text}; querying the order", now_ns, query_now=True)
            case _:
                reason = response.reason if isinstance(response, OutcomeUnknown) else str(response)
                return self._on_outcome_unknown(order, in_flight, reason, now_ns, query_now=False)

    def _on_rejected(
        self, order: Order, in_flight: InFlight, response: RequestRejected | Unauthorized, now_ns: int
    ) -> list[Effect]:
        reason = f"{response.status} {response.text}" if isinstance(response, RequestRejected) else response.text
        if order.state is OrderState.SENDING:
            return [self._journal.set_state(order, OrderState.REJECTED, reason, UpdateSource.REPLY, now_ns)]
        # The venue rejected the repeated request; the first one may have arrived, and may be the reason for the
        # rejection.
        in_flight.back_off(now_ns)
        return [_order_event("resubmit_rejected", order, reason)]

    def _on_not_sent(
        self, order: Order, in_flight: InFlight, response: Throttled | Unreachable | HaltedByFile, now_ns: int
    ) -> list[Effect]:
        """Schedule another submission, or close the order: the request was certainly not processed."""
        match response:
            case Throttled(retry_at_ns):
                in_flight.not_sent_reason = NotSentReason.THROTTLED
                in_flight.due_at_ns = min(max(retry_at_ns, now_ns), now_ns + DELAY_NS_MAX)
            case Unreachable():
                in_flight.not_sent_reason = NotSentReason.UNREACHABLE
                in_flight.back_off(now_ns)
            case HaltedByFile(path) if order.state is OrderState.SENDING:
                return [
                    self._journal.set_state(
                        order, OrderState.NEVER_SENT, f"halted by {path}", UpdateSource.LOCAL, now_ns
                    )
                ]
            case HaltedByFile():
                in_flight.back_off(now_ns)
        return []

    def _on_outcome_unknown(
        self, order: Order, in_flight: InFlight, reason: str, now_ns: int, *, query_now: bool
    ) -> list[Effect]:
        in_flight.due_at_ns = now_ns
        is_first = order.state is OrderState.SENDING
        if is_first:
            in_flight.attempts = 0
        if not (is_first and query_now):
            in_flight.back_off(now_ns)
        if not is_first:
            return []
        return [
            self._journal.set_state(order, OrderState.UNKNOWN, reason, UpdateSource.REPLY, now_ns),
            _order_event("outcome_unknown", order, reason),
        ]

    def _on_fence_response(
        self, order: Order, in_flight: InFlight, response: VenueResponse, now_ns: int
    ) -> list[Effect]:
        match response:
            case OrderAccepted(venue_order):
                return self._journal.apply_report(OrderReport(venue_order, UpdateSource.REPLY, now_ns))
            case DuplicateId():
                in_flight.back_off(now_ns)
                return []
            case Throttled(retry_at_ns):
                in_flight.due_at_ns = min(retry_at_ns, now_ns + DELAY_NS_MAX)
                return []
            case _:
                in_flight.back_off(now_ns)
                return [_order_event("fence_not_placed", order, str(response))]

    def _on_query_response(
        self, order: Order, in_flight: InFlight, response: VenueResponse, now_ns: int
    ) -> list[Effect]:
        match response:
            case OrderFound(venue_order):
                return self._journal.apply_report(OrderReport(venue_order, UpdateSource.QUERY, now_ns))
            case OrderNotFound():
                return self._on_not_found(order, in_flight, now_ns)
            case Throttled(retry_at_ns):
                in_flight.due_at_ns = min(retry_at_ns, now_ns + DELAY_NS_MAX)
                return []
            case _:
                in_flight.back_off(now_ns)
                return []

    def _on_not_found(self, order: Order, in_flight: InFlight, now_ns: int) -> list[Effect]:
        if order.state is OrderState.UNKNOWN:
            in_flight.is_absent = True
            return []
        if order.state.is_final:
            in_flight.query_reason = ""
            return []
        in_flight.back_off(now_ns)
        in_flight.query_reason = "the venue does not know the order"
        return [_order_event("order_missing_at_venue", order, in_flight.query_reason)]

    def _on_cancel_response(
        self, order: Order, in_flight: InFlight, response: VenueResponse, now_ns: int
    ) -> list[Effect]:
        if order.state.is_final:
            return []
        in_flight.query_reason = CANCEL_UNCONFIRMED
        match response:
            case CancelAccepted():
                checks = min(in_flight.cancel_requests, CANCEL_CHECK_BACKOFF_MAX)
                in_flight.due_at_ns = now_ns + self._cancel_check_ns * checks
                if order.state is OrderState.PENDING_CANCEL:
                    return []
                return [
                    self._journal.set_state(
                        order, OrderState.PENDING_CANCEL, "cancel accepted", UpdateSource.REPLY, now_ns
                    )
                ]
            case RequestRejected() | OrderNotFound() if in_flight.cancel_requests == 1:
                # The order is probably filled or gone already: query it before any other action.
                in_flight.due_at_ns = now_ns
                return []
            case _:
                in_flight.back_off(now_ns)
                return [_order_event("cancel_not_accepted", order, str(response))]


def _order_event(event: str, order: Order, reason: str) -> LogEvent:
    return LogEvent(
        event, {"client_order_id": order.client_order_id, "state": order.state.value, "reason": reason}, "warning"
    )
