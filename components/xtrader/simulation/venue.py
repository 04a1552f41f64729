"""The simulated venue's API and order stream, with faults: calls are lost, late, or executed without a response."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from components.contracts.orders import VenueAccount, VenueSession
from components.contracts.values import VenueOrderId
from components.execution.core.venue_messages import (
    CancelAllAccepted,
    CancelAllOrders,
    CancelOrder,
    Execution,
    Fence,
    FetchVenueSnapshot,
    OrderFound,
    OrderNotFound,
    OrderStreamDown,
    OrderStreamMessage,
    OrderStreamUp,
    OutcomeUnknown,
    QueryOrder,
    RequestRejected,
    SubmitOrder,
    Throttled,
    Unreachable,
    VenueOrder,
    VenueOrderEvent,
    VenueRequest,
    VenueResponse,
    VenueSnapshot,
)
from components.runtime.clock import NS_PER_MS
from components.xtrader.simulation.exchange import AMPLE, UNPROCESSABLE, ExchangeOrder, OrderTerms, SimulatedExchange
from components.xtrader.simulation.scheduler import NS_PER_US, Randomness, Scheduler, SimulatedClock

RESPONSE_MS_MAX: Final = 400
"""The client's timeout; a request may reach the venue later, even after its approval has expired."""
LATE_MS_MAX: Final = 2_500
FORBIDDEN: Final = 403
OnResult = Callable[[VenueResponse], None]


class CallFault(Enum):
    """What can go wrong with one request."""

    UNREACHABLE = auto()
    THROTTLED = auto()
    LOST = auto()
    LATE = auto()
    RESPONSE_LOST = auto()
    ERROR_BEFORE = auto()
    ERROR_AFTER = auto()
    SLOW = auto()
    REJECTED = auto()


class SimulatedVenueApi:
    """Delivers requests to the exchange and results back, each independently."""

    def __init__(
        self, scheduler: Scheduler, randomness: Randomness, clock: SimulatedClock, exchange: SimulatedExchange
    ) -> None:
        self._scheduler, self._randomness, self._clock, self._exchange = scheduler, randomness, clock, exchange
        self.pending_requests = 0
        """The number of requests that may still reach the exchange."""
        self._outage_until_ns = 0

    def start_outage(self, duration_ns: int) -> None:
        """Be unreachable for this long."""
        self._outage_until_ns = self._scheduler.now_ns + duration_ns

    def call(self, request: VenueRequest, on_result: OnResult) -> None:
        """Deliver one request; the process that sent it may have ended before the result arrives."""
        fault = self._draw_fault()
        if isinstance(request, FetchVenueSnapshot):
            self._read_account(request, fault, on_result)
            return
        match fault:
            case None:
                self._deliver(request, self._latency_ns(), lambda result: self._return_result(on_result, result))
            case CallFault.SLOW:
                self._deliver(request, self._randomness.duration_ns(1, RESPONSE_MS_MAX), on_result)
            case CallFault.RESPONSE_LOST | CallFault.LOST | CallFault.LATE:
                self._leave_unanswered(request, fault, on_result)
            case CallFault.ERROR_AFTER:
                self._deliver(request, self._latency_ns(), lambda _: on_result(OutcomeUnknown("502 bad gateway")))
            case _:
                self._return_result(on_result, self._error_result(request, fault))

    def _draw_fault(self) -> CallFault | None:
        if self._scheduler.now_ns < self._outage_until_ns:
            return self._randomness.random.choice((CallFault.UNREACHABLE, CallFault.LOST, CallFault.ERROR_BEFORE))
        is_faulty = self._randomness.happens(self._randomness.rates.venue_call_fault)
        return self._randomness.random.choice(tuple(CallFault)) if is_faulty else None

    def _leave_unanswered(self, request: VenueRequest, fault: CallFault, on_result: OnResult) -> None:
        if fault is CallFault.RESPONSE_LOST:
            self._deliver(request, self._latency_ns(), lambda _: None)
        elif fault is CallFault.LATE:
            self._deliver(request, self._randomness.duration_ns(RESPONSE_MS_MAX, LATE_MS_MAX), lambda _: None)
        unknown = OutcomeUnknown(f"no response within {RESPONSE_MS_MAX} ms")
        self._scheduler.after(RESPONSE_MS_MAX * NS_PER_MS, lambda: on_result(unknown))

    def _error_result(self, request: VenueRequest, fault: CallFault) -> VenueResponse:
        match fault:
            case CallFault.UNREACHABLE:
                return Unreachable("connection refused")
            case CallFault.THROTTLED:
                return Throttled(self._clock.now_ns() + self._randomness.duration_ns(1, 300), "too many requests")
            case CallFault.REJECTED if isinstance(request, SubmitOrder):
                return RequestRejected(FORBIDDEN, "insufficient buying power")
            case _:
                return OutcomeUnknown("503 service unavailable")

    def _deliver(self, request: VenueRequest, delay_ns: int, on_result: OnResult) -> None:
        self.pending_requests += 1

        def deliver() -> None:
            self.pending_requests -= 1
            on_result(self._execute(request))

        self._scheduler.after(delay_ns, deliver)

    def _execute(self, request: VenueRequest) -> VenueResponse:
        exchange = self._exchange
        match request:
            case SubmitOrder() | Fence():
                return exchange.submit(_terms_of(request))
            case QueryOrder():
                order = self._find_order(request)
                return OrderNotFound() if order is None else OrderFound(order.as_venue_order())
            case CancelOrder(_, venue_order_id):
                return exchange.cancel(venue_order_id)
            case CancelAllOrders():
                exchange.cancel_all()
                return CancelAllAccepted(())
            case FetchVenueSnapshot():
                return RequestRejected(UNPROCESSABLE, "an account read is several requests")

    def _find_order(self, query: QueryOrder) -> ExchangeOrder | None:
        if query.venue_order_id is not None:
            return self._exchange.orders.get(query.venue_order_id)
        return self._exchange.by_client_id.get(query.client_order_id)

    def _read_account(self, request: FetchVenueSnapshot, fault: CallFault | None, on_result: OnResult) -> None:
        """Read one part after the other, as an adapter does: the account changes in between."""
        if fault is not None:
            unknown = OutcomeUnknown("a part of the account was not returned")
            self._scheduler.after(self._randomness.duration_ns(1, RESPONSE_MS_MAX), lambda: on_result(unknown))
            return
        account_read = AccountRead(request, self._exchange)
        steps = (account_read.read_open_orders, account_read.read_queried_orders, account_read.read_fills)
        delay_ns = 0
        for step in steps:
            delay_ns += self._latency_ns()
            self._scheduler.after(delay_ns, step)
        self._scheduler.after(delay_ns + self._latency_ns(), lambda: on_result(account_read.result()))

    def _return_result(self, on_result: OnResult, result: VenueResponse) -> None:
        self._scheduler.after(self._latency_ns(), lambda: on_result(result))

    def _latency_ns(self) -> int:
        return self._randomness.random.randint(200 * NS_PER_US, 8 * NS_PER_MS)


def _terms_of(request: SubmitOrder | Fence) -> OrderTerms:
    if isinstance(request, Fence):
        return OrderTerms(
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            limit_price=request.limit_price,
            time_in_force=request.time_in_force,
            is_fence=True,
        )
    intent = request.signal.intent
    return OrderTerms(
        client_order_id=request.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        limit_price=intent.limit_price,
        time_in_force=intent.time_in_force,
        is_fence=False,
    )


class AccountRead:
    """One read of the account in several requests, while the account changes."""

    def __init__(self, request: FetchVenueSnapshot, exchange: SimulatedExchange) -> None:
        self._request, self._exchange = request, exchange
        self._orders: dict[VenueOrderId, VenueOrder] = {}
        self._missing: tuple[QueryOrder, ...] = ()
        self._fills: tuple[Execution, ...] = ()

    def read_open_orders(self) -> None:
        """Read the open orders."""
        self._orders = {order.venue_order_id: order.as_venue_order() for order in self._exchange.working_orders()}

    def read_queried_orders(self) -> None:
        """Read each queried order that is not open."""
        exchange, known_ids = self._exchange, {order.client_order_id for order in self._orders.values()}
        for query in self._request.orders:
            if query.venue_order_id in self._orders or query.client_order_id in known_ids:
                continue
            found = exchange.orders.get(query.venue_order_id) if query.venue_order_id is not None else None
            found = found or exchange.by_client_id.get(query.client_order_id)
            if found is None:
                self._missing = (*self._missing, query)
            else:
                self._orders[found.venue_order_id] = found.as_venue_order()

    def read_fills(self) -> None:
        """Read the fills since the requested time."""
        self._fills = tuple(fill for fill in self._exchange.fills if fill.venue_at_ns > self._request.fills_after_ns)

    def result(self) -> VenueSnapshot:
        """Return the read with the positions of this moment."""
        return VenueSnapshot(
            orders=tuple(self._orders.values()),
            missing=self._missing,
            fills=self._fills,
            positions=self._exchange.venue_positions(),
            account=VenueAccount("SIM1", AMPLE, AMPLE, AMPLE, trading_blocked=False),
            session=VenueSession(is_open=True, next_open_at_ns=0, next_close_at_ns=0, clock_offset_ns=0),
        )


class SimulatedOrderStream:
    """The venue's order event stream; events are lost silently, duplicated, or lost with the connection."""

    def __init__(self, scheduler: Scheduler, randomness: Randomness) -> None:
        self._scheduler, self._randomness = scheduler, randomness
        self._deliver: Callable[[OrderStreamMessage], None] | None = None
        self._connection = 0
        self._is_up = False
        self._last_at_ns = 0

    def attach(self, deliver: Callable[[OrderStreamMessage], None]) -> None:
        """Connect for a new process; the connection of the one before is closed."""
        self._connection += 1
        self._is_up, self._deliver = False, deliver
        self._connect()

    def disconnect(self) -> None:
        """Break the connection and reconnect; events in flight are lost."""
        if not self._is_up or self._deliver is None:
            return
        self._connection += 1
        self._is_up = False
        self._deliver(OrderStreamDown("connection reset"))
        self._connect()

    def publish(self, event: VenueOrderEvent) -> None:
        """Send an event to the connected process; some are lost silently, some are duplicated."""
        if not self._is_up or self._randomness.happens(self._randomness.rates.event_loss):
            return
        self._send(event)
        if self._randomness.happens(self._randomness.rates.event_duplicate):
            self._send(event)

    def _connect(self) -> None:
        connection = self._connection
        self._scheduler.after(self._randomness.duration_ns(2, 80), lambda: self._on_connected(connection))

    def _on_connected(self, connection: int) -> None:
        if connection == self._connection:
            self._is_up = True
            self._send(OrderStreamUp())

    def _send(self, body: OrderStreamMessage) -> None:
        connection = self._connection
        at_ns = self._scheduler.now_ns + self._randomness.random.randint(100 * NS_PER_US, 6 * NS_PER_MS)
        self._last_at_ns = max(self._last_at_ns, at_ns)
        self._scheduler.after(self._last_at_ns - self._scheduler.now_ns, lambda: self._arrive(connection, body))

    def _arrive(self, connection: int, body: OrderStreamMessage) -> None:
        if connection == self._connection and self._deliver is not None:
            self._deliver(body)
