"""Metrics of execution."""

from components.contracts.commands import RejectReason
from components.contracts.orders import (
    Filled,
    IntentReceived,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
    Reconciled,
    UpdateSource,
)
from components.execution.core.state import ExecutionState
from components.runtime.clock import NS_PER_S
from components.runtime.metrics import TICK_TO_ORDER_BUCKETS_S, VENUE_BUCKETS_S, Metrics


class ExecutionMetrics:
    """Counters of commands, orders and fills, and latency histograms."""

    def __init__(self, metrics: Metrics) -> None:
        """Create every label once, so that /metrics shows zeros instead of gaps."""
        self._rejected = metrics.counter("commands_rejected_total", "Commands rejected.", ("reason",))
        states = metrics.counter("orders_total", "Orders that entered this state.", ("state",))
        self._fills = metrics.counter("fills_total", "Executions by source of the report.", ("source",))
        self._unknown = metrics.gauge("orders_unknown", "Orders whose outcome at the venue is unknown.")
        self._open = metrics.gauge("orders_open", "Orders that are not final.")
        self._reconciled = metrics.gauge(
            "reconciled_timestamp_seconds", "Time of the last reconciliation without differences."
        )
        self._late = metrics.counter("late_fills_total", "Fills received after their order was final.")
        self.tick_to_order = metrics.histogram(
            "tick_to_order_seconds",
            "From the venue's frame with the quote to the intent on execution's disk.",
            buckets=TICK_TO_ORDER_BUCKETS_S,
        ).observe
        self.submit = metrics.histogram(
            "submit_seconds", "From submitting an order to the venue's response.", buckets=VENUE_BUCKETS_S
        ).observe
        for reason in RejectReason:
            self._rejected.labels(reason.value)
        # Looking up a label costs more than counting.
        self._by_state = {state: states.labels(state.value) for state in OrderState}
        self._received, self._sending = self._by_state[OrderState.RECEIVED], self._by_state[OrderState.SENDING]
        for source in UpdateSource:
            self._fills.labels(source.value)

    def count_rejected(self, reason: RejectReason) -> None:
        """Count a command that was rejected."""
        self._rejected.labels(reason.value).inc()

    def count_record(self, before: OrderState | None, record: OrderMessage) -> None:
        """Count an appended record; `before` is the state of its order before the record."""
        match record:
            case IntentReceived():
                self._received.inc()
            case OrderSending(fence=None):
                self._sending.inc()
            case OrderUpdated(state=state) if state is not before:
                self._by_state[state].inc()
            case Filled(source=source):
                self._fills.labels(source.value).inc()
                if before is not None and before.is_final:
                    self._late.inc()
            case Reconciled(differences=(), at_ns=at_ns):
                self._reconciled.set(at_ns / NS_PER_S)
            case _:
                return

    def update_gauges(self, state: ExecutionState) -> None:
        """Set the gauges to the current state."""
        open_orders = tuple(state.open_orders())
        self._open.set(len(open_orders))
        self._unknown.set(sum(order.state is OrderState.UNKNOWN for order in open_orders))
