"""Drives every order to a final state by carrying out its next action.

Also cancels all orders of the account on request.
"""

from typing import Final

from components.contracts.approval import InvalidApproval, SealKey, open_approval
from components.contracts.orders import OrderSending, OrderState, UpdateSource, VenueConnectivity
from components.contracts.signals import Approved, Signal
from components.contracts.values import AccountId, ClientOrderId, IntentId
from components.execution.config import OrderConfig
from components.execution.core.next_action import (
    BackOff,
    FenceLimits,
    InFlight,
    NextAction,
    PlaceFence,
    Query,
    RequestCancel,
    SetState,
    Submit,
    SubmitConditions,
    Wait,
    choose_fence_terms,
    fence_request,
    next_action,
)
from components.execution.core.order import UNRESOLVED_STATES, Order
from components.execution.core.venue_messages import (
    CancelAllAccepted,
    CancelAllOrders,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueResponse,
)
from components.execution.service.order_journal import OrderJournal
from components.execution.service.venue_health import RequestBudget
from components.runtime.service import CallVenue, Effect, LogEvent

FIRST_ATTEMPT: Final = 1
AWAITING_SUBMIT: Final = UNRESOLVED_STATES | {OrderState.RECEIVED}
"""States in which an order waits to be submitted, unless its request is in flight."""
ACTIONS_MAX: Final = 4
"""Upper bound of the actions for one order in one call of `advance`; no order needs more."""
CANCEL_REQUESTS_WARN: Final = 3
"""From this many cancel requests for one order on, each is logged as a warning."""
CANCEL_ALL_INTERVAL_NS: Final = 1_000_000_000
"""Minimum time between two cancel-all requests, however often one is asked for."""


class OrderDriver:
    """Advances every order towards a final state, one action at a time."""

    def __init__(
        self,
        journal: OrderJournal,
        budget: RequestBudget,
        config: OrderConfig,
        fences: FenceLimits,
        seal: tuple[SealKey, AccountId],
    ) -> None:
        """Create it; no new order is submitted before `is_ready` is set."""
        self.is_ready = False
        self.is_stopping = False
        self.connectivity = VenueConnectivity.LOST
        self._journal, self._budget = journal, budget
        self._config, self._fences = config, fences
        self._key, self._account = seal
        self._has_waiting_orders = False
        self._verified: Signal[Approved] | None = None

    def advance_all(self, now_ns: int) -> list[Effect]:
        """Carry out whatever is due for any order."""
        state = self._journal.state
        with_query = [state.orders[key] for key, in_flight in self._journal.all_in_flight() if in_flight.query_reason]
        due = {order.key: order for order in (*state.open_orders(), *with_query)}
        self._has_waiting_orders = False
        effects = [effect for order in due.values() for effect in self.advance(order, now_ns)]
        self._journal.drop_finished()
        return effects

    def advance_new(self, name: ClientOrderId, verified: Signal[Approved], now_ns: int) -> list[Effect]:
        """Carry out what is due for an order whose frame was just verified.

        Orders that already wait to be submitted go first.
        """
        self._verified = verified
        order = self._journal.state.orders[name]
        effects = self.advance_all(now_ns) if self._has_waiting_orders else self.advance(order, now_ns)
        self._verified = None
        return effects

    def advance(self, order: Order, now_ns: int) -> list[Effect]:
        """Carry out actions for one order until none is due."""
        effects: list[Effect] = []
        for _ in range(ACTIONS_MAX):
            order, in_flight = self._journal.state.orders[order.key], self._journal.in_flight(order)
            done = self._execute(
                order, in_flight, next_action(order, in_flight, self._submit_conditions(), now_ns), now_ns
            )
            if not done:
                self._has_waiting_orders |= order.state in AWAITING_SUBMIT and not in_flight.submitted_at_ns
                break
            effects.extend(done)
            if in_flight.submitted_at_ns:
                break  # its response must be handled first
        return effects

    def is_idle(self) -> bool:
        """Return whether no request is in flight and no outcome is unknown."""
        waiting = any(
            in_flight.submitted_at_ns or in_flight.query_sent_at_ns for _, in_flight in self._journal.all_in_flight()
        )
        return not waiting and not self.unresolved()

    def unresolved(self) -> tuple[Order, ...]:
        """Return the orders that may or may not be at the venue."""
        return tuple(order for order in self._journal.state.open_orders() if order.state in UNRESOLVED_STATES)

    def _submit_conditions(self) -> SubmitConditions:
        return SubmitConditions(
            is_ready=self.is_ready,
            is_venue_lost=self.connectivity is VenueConnectivity.LOST,
            is_stopping=self.is_stopping,
            trading_state=self._journal.state.trading_state,
            has_id_conflict=self._journal.state.has_id_conflict,
        )

    def _execute(self, order: Order, in_flight: InFlight, action: NextAction, now_ns: int) -> list[Effect]:
        match action:
            case Wait() | BackOff():
                return _back_off(in_flight, now_ns) if isinstance(action, BackOff) else []
            case SetState(state, reason):
                return [self._journal.set_state(order, state, reason, UpdateSource.LOCAL, now_ns)]
            case Submit():
                return self._submit(order, in_flight, now_ns)
            case PlaceFence():
                return self._place_fence(order, in_flight, now_ns)
            case Query():
                return self._query(order, in_flight, now_ns)
            case RequestCancel():
                return self._cancel(order, in_flight, now_ns)

    def _submit(self, order: Order, in_flight: InFlight, now_ns: int) -> list[Effect]:
        submitting = sum([in_flight.submitted_at_ns > 0 for _, in_flight in self._journal.all_in_flight()])
        if submitting >= self._config.submits_in_flight_max or not self._budget.try_acquire_submit(now_ns):
            return []
        signal = self._verified_signal(order, now_ns)
        if signal is None:
            return self._abandon(order, in_flight, now_ns)
        effects: list[Effect] = []
        if order.state is OrderState.RECEIVED:
            intent_id = signal.intent.intent_id
            effects.append(self._journal.append(OrderSending(intent_id, order.client_order_id, FIRST_ATTEMPT, now_ns)))
        in_flight.submitted_at_ns, in_flight.is_absent, in_flight.not_sent_reason = now_ns, False, None
        return [*effects, CallVenue(SubmitOrder(order.client_order_id, signal))]

    def _verified_signal(self, order: Order, now_ns: int) -> Signal[Approved] | None:
        """Return the signal if its seal and terms are valid now, else None.

        The frame is verified before each submission, also after a delay or a restart.
        """
        verified = self._verified
        if verified is not None and verified.intent.intent_id == order.intent_id:
            return verified
        try:
            return open_approval(order.frame, self._key, self._account, now_ns)
        except InvalidApproval:
            return None

    def _abandon(self, order: Order, in_flight: InFlight, now_ns: int) -> list[Effect]:
        if order.state is OrderState.UNKNOWN:
            return self._place_fence(order, in_flight, now_ns)
        reason = "the approval can no longer be verified"
        return [self._journal.set_state(order, OrderState.NEVER_SENT, reason, UpdateSource.LOCAL, now_ns)]

    def _place_fence(self, order: Order, in_flight: InFlight, now_ns: int) -> list[Effect]:
        terms = choose_fence_terms(order, self._fences)
        effects: list[Effect] = []
        if order.fence is None:
            intent_id = order.intent_id or IntentId("")
            record = OrderSending(intent_id, order.client_order_id, FIRST_ATTEMPT, now_ns, terms)
            effects.append(self._journal.append(record))
        self._budget.charge_cancel(now_ns)
        in_flight.submitted_at_ns, in_flight.is_absent = now_ns, False
        return [*effects, CallVenue(fence_request(order, terms))]

    def _query(self, order: Order, in_flight: InFlight, now_ns: int) -> list[Effect]:
        if not self._budget.try_acquire_query(now_ns):
            return []
        in_flight.query_sent_at_ns = now_ns
        return [CallVenue(QueryOrder(order.client_order_id, order.venue_order_id))]

    def _cancel(self, order: Order, in_flight: InFlight, now_ns: int) -> list[Effect]:
        if order.venue_order_id is None:
            return []
        self._budget.charge_cancel(now_ns)
        in_flight.query_sent_at_ns = now_ns
        in_flight.cancel_requests += 1
        effects: list[Effect] = [CallVenue(CancelOrder(order.client_order_id, order.venue_order_id))]
        if in_flight.cancel_requests >= CANCEL_REQUESTS_WARN:
            facts = {"client_order_id": order.client_order_id, "requests": in_flight.cancel_requests}
            effects.append(LogEvent("cancel_unconfirmed", facts, "warning"))
        return effects


class CancelAllRequest:
    """Cancels all orders of the account: one request in flight at a time, repeated until the venue accepts one."""

    def __init__(self, budget: RequestBudget) -> None:
        """Create it with nothing requested."""
        self._budget = budget
        self._is_requested = False
        self._is_in_flight = False
        self._sent_at_ns = 0

    def request(self) -> None:
        """Schedule a cancel of all orders."""
        self._is_requested = True

    def is_idle(self) -> bool:
        """Return whether nothing is requested or in flight."""
        return not self._is_requested and not self._is_in_flight

    def tick(self, now_ns: int) -> list[Effect]:
        """Send the request if it is due."""
        too_soon = self._sent_at_ns <= now_ns < self._sent_at_ns + CANCEL_ALL_INTERVAL_NS
        if not self._is_requested or self._is_in_flight or too_soon:
            return []
        self._is_requested, self._is_in_flight, self._sent_at_ns = False, True, now_ns
        self._budget.charge_cancel(now_ns)
        return [CallVenue(CancelAllOrders())]

    def on_response(self, response: VenueResponse) -> list[Effect]:
        """Handle the response; unless the venue accepted, schedule the request again."""
        self._is_in_flight = False
        if isinstance(response, CancelAllAccepted):
            return []
        self._is_requested = True
        return [LogEvent("cancel_all_not_accepted", {"response": str(response)}, "warning")]


def _back_off(in_flight: InFlight, now_ns: int) -> list[Effect]:
    in_flight.is_absent = False
    in_flight.back_off(now_ns)
    return []
