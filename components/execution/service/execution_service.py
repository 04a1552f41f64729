"""The execution service: dispatches every input to the part it concerns, then carries out whatever is due."""

from typing import Any

from typing_extensions import override

from components.contracts.approval import SealKey
from components.contracts.errors import InvariantError
from components.contracts.orders import VenueConnectivity, VenueConnectivityChanged
from components.contracts.streams import COMMANDS, Stream
from components.contracts.values import AccountId, Venue
from components.execution.config import ExecutionConfig
from components.execution.core.state import ExecutionState
from components.execution.core.venue_messages import (
    CancelAllOrders,
    CancelOrder,
    Fence,
    FetchVenueSnapshot,
    QueryOrder,
    SubmitOrder,
    VenueRequest,
    VenueResponse,
    VenueSnapshot,
)
from components.execution.service.account_sync import AccountSync, TradeUpdateBuffer
from components.execution.service.command_intake import CommandIntake
from components.execution.service.metrics import ExecutionMetrics
from components.execution.service.order_driver import CancelAllRequest, OrderDriver
from components.execution.service.order_journal import OrderJournal
from components.execution.service.venue_health import RequestBudget, VenueHealth, connectivity_of
from components.execution.service.venue_responses import VenueResponses
from components.runtime.clock import NS_PER_MS
from components.runtime.service import (
    Effect,
    Effects,
    Inbound,
    RequestReceived,
    Service,
    VenueCallCompleted,
    VenueEvent,
)


class ExecutionService(Service):
    """Submits each approved intent at most once and reports the state of its order at the venue."""

    def __init__(
        self,
        state: ExecutionState,
        config: ExecutionConfig,
        metrics: ExecutionMetrics,
        *,
        venue: Venue,
        seal: tuple[SealKey, AccountId],
    ) -> None:
        """Continue from the state of the journal."""
        cancel_check_ns = config.orders.cancel_check_ms * NS_PER_MS
        self._venue, self._limits, self._metrics = venue, config.venue_health, metrics
        self._health = VenueHealth()
        budget = RequestBudget(config.request_budget)
        self._journal = OrderJournal(state, metrics, cancel_check_ns=cancel_check_ns)
        self._driver = OrderDriver(self._journal, budget, config.orders, config.fence, seal)
        self._cancel_all = CancelAllRequest(budget)
        self._intake = CommandIntake(self._journal, self._driver, self._cancel_all, metrics, seal)
        self._account_sync = AccountSync(self._journal, budget, config.reconciliation, venue, seal[1])
        self._trade_updates = TradeUpdateBuffer(
            self._journal, self._account_sync, self._health, events_max=config.orders.buffered_events_max
        )
        self._responses = VenueResponses(self._journal, budget, self._health, metrics, config)

    @override
    def on_start(self, now_ns: int) -> Effects:
        """Mark the orders that a crash interrupted as unknown; nothing is known of the venue yet."""
        return self._with_due_actions([], now_ns)

    @override
    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Handle one input, then carry out whatever is due."""
        if isinstance(message, RequestReceived) and message.stream is COMMANDS:
            # A command changes nothing known about the venue, and the intake advances the orders itself.
            return self._intake.handle(message.reply_to, message.body, now_ns)
        match message:
            case VenueCallCompleted(request, response):
                return self._with_due_actions(self._on_response(request, response, now_ns), now_ns)
            case VenueEvent(body):
                return self._with_due_actions(self._trade_updates.on_message(body, now_ns), now_ns)
            case _:
                raise InvariantError(f"unexpected input {type(message).__name__}")

    @override
    def on_tick(self, now_ns: int) -> Effects:
        """Carry out whatever has become due."""
        self._metrics.update_gauges(self._journal.state)
        return self._with_due_actions([*self._account_sync.tick(now_ns), *self._cancel_all.tick(now_ns)], now_ns)

    @override
    def on_stop(self, now_ns: int) -> Effects:
        """Accept no new intent; an order that was not sent will never be sent."""
        self._driver.is_stopping = True
        return self._with_due_actions([], now_ns)

    @override
    def is_drained(self) -> bool:
        """Return whether every outcome is known and no cancel request is in flight."""
        return self._driver.is_idle() and self._cancel_all.is_idle()

    @override
    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Return nothing: orders are an event stream, recovered from the journal."""
        return ()

    @override
    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Return what is missing before an intent would be accepted and its order tracked."""
        connectivity, reason = connectivity_of(self._health, self._limits)
        missing = [] if connectivity is VenueConnectivity.HEALTHY else [f"venue {connectivity}: {reason}"]
        if self._account_sync.differences is None:
            missing.append("account not reconciled yet")
        elif self._account_sync.differences:
            missing.append(f"account differs: {'; '.join(self._account_sync.differences)}")
        if not self._driver.is_ready and (unresolved := self._driver.unresolved()):
            missing.append(f"{len(unresolved)} older orders of unknown outcome")
        return tuple(missing)

    def _with_due_actions(self, effects: list[Effect], now_ns: int) -> Effects:
        """Append the effects that follow from the input."""
        effects.extend(self._record_connectivity(now_ns))
        if not self._driver.is_ready:
            self._driver.is_ready = self._is_ready_for_intents()
        effects.extend(self._driver.advance_all(now_ns))
        return effects

    def _is_ready_for_intents(self) -> bool:
        return self._trade_updates.is_live and self._account_sync.differences == () and not self._driver.unresolved()

    def _record_connectivity(self, now_ns: int) -> list[Effect]:
        connectivity, reason = connectivity_of(self._health, self._limits)
        self._driver.connectivity = connectivity
        state = self._journal.state
        if state.opening is None or connectivity is state.venue_connectivity:
            return []
        return [self._journal.append(VenueConnectivityChanged(self._venue, connectivity, reason, now_ns))]

    def _on_response(self, request: VenueRequest, response: VenueResponse, now_ns: int) -> list[Effect]:
        self._responses.record_health(request, response, now_ns)
        match request:
            case FetchVenueSnapshot():
                return self._on_snapshot(request, response, now_ns)
            case CancelAllOrders():
                self._account_sync.restart(now_ns)
                return self._cancel_all.on_response(response)
            case SubmitOrder() | Fence() | QueryOrder() | CancelOrder():
                return self._responses.apply(request, response, now_ns)

    def _on_snapshot(self, request: FetchVenueSnapshot, response: VenueResponse, now_ns: int) -> list[Effect]:
        if not self._account_sync.is_current(request):
            return []
        if not isinstance(response, VenueSnapshot):
            return self._account_sync.on_failure(response, now_ns)
        effects = self._account_sync.apply_snapshot(response, now_ns)
        effects.extend(self._account_sync.compare(response, now_ns))
        effects.extend(self._trade_updates.go_live(now_ns))
        return effects
