"""What risk counts and shows."""

from components.contracts.decisions import Decision
from components.contracts.positions import ProfitAndLoss
from components.contracts.trading import Cause
from components.risk.core.state import RiskState
from components.runtime.metrics import Metrics


class RiskMetrics:
    """What is counted; every label is a word of ours or a symbol of the allow-list."""

    def __init__(self, metrics: Metrics) -> None:
        decisions = metrics.counter("risk_decisions_total", "Intents judged", ("allowed",))
        self._allowed, self._refused = decisions.labels("true"), decisions.labels("false")
        self._refusals = metrics.counter("risk_refusals_total", "Checks that did not hold", ("code",))
        self.duplicate_requests = metrics.counter("risk_repeats_total", "Requests that were answered before")
        self.commands_rejected = metrics.counter(
            "risk_handovers_refused_total", "Frames refused by execution", ("fault",)
        )
        self.decision_seconds = metrics.histogram("risk_decision_seconds", "From a request to its answer, on disk")
        self.lag_seconds = metrics.gauge("risk_orders_lag_seconds", "Age of the last order event when it was heard")
        self._state = metrics.gauge("risk_trading_state", "0 active, 1 reducing, 2 halted")
        self._causes = metrics.gauge("risk_cause", "1 while the cause is present", ("cause",))
        self._outbox = metrics.gauge("risk_outbox_orders", "Approvals that execution has not been heard to have")
        self._live = metrics.gauge("risk_live_orders", "Orders whose exposure is reserved")
        self._unknown = metrics.gauge("risk_unknown_orders", "Orders of which only the venue knows what became")
        self._positions = metrics.gauge("risk_position_quantity", "Position", ("symbol",))
        self._realised = metrics.gauge("risk_realised_dollars", "Realised result")
        self._unrealised = metrics.gauge("risk_unrealised_dollars", "Unrealised result at the last quotes")

    def count_decision(self, decision: Decision) -> None:
        """Count one decision and each check that did not hold."""
        if decision.allowed:
            self._allowed.inc()
            return
        self._refused.inc()
        for one in decision.failed_checks:
            self._refusals.labels(one.name).inc()

    def update_gauges(self, state: RiskState, pnl: ProfitAndLoss) -> None:
        """Bring the gauges up to date."""
        self._state.set(state.trading_state.severity)
        for cause in Cause:
            self._causes.labels(cause).set(cause in state.causes)
        self._outbox.set(len(state.outbox))
        self._live.set(len(state.orders))
        self._unknown.set(len(state.unknown_orders))
        for symbol, exposure in state.exposures.items():
            self._positions.labels(symbol).set(float(exposure.quantity))
        self._realised.set(float(pnl.realised))
        self._unrealised.set(float(pnl.unrealised))
