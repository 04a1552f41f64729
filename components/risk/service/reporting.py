"""What risk publishes and counts: positions, P&L, trading status, account snapshots, metrics."""

from components.contracts.decisions import AccountPosition, AccountSnapshot, Decision
from components.contracts.orders import OrderState
from components.contracts.trading import Cause, Position, ProfitAndLoss, TradingStatus
from components.contracts.values import IntentId
from components.risk.core.account_state import RiskState
from components.risk.core.observations import Observations
from components.risk.core.positions import Exposure, exact_sum, unrealised_pnl
from components.runtime.metrics import Metrics


def position_message(exposure: Exposure, now_ns: int) -> Position:
    """Return the published position of one symbol."""
    return Position(
        symbol=exposure.symbol,
        quantity=exposure.quantity,
        average_price=exposure.average_price,
        realised=exposure.realised,
        working_buy=exposure.working_buy,
        working_sell=exposure.working_sell,
        at_ns=now_ns,
    )


def changed_positions(before: RiskState, after: RiskState, now_ns: int) -> list[Position]:
    """Return the positions that differ between two states."""
    new = ((before.exposures.get(symbol), one) for symbol, one in after.exposures.items())
    return [position_message(one, now_ns) for was, one in new if was is not one and was != one]


def pnl_of(state: RiskState, observations: Observations, now_ns: int) -> ProfitAndLoss:
    """Return the account's P&L, marked at the mid of the last quotes."""
    exposures = state.exposures.values()
    marked = exact_sum(unrealised_pnl(one, observations.mid(one.symbol)) for one in exposures)
    return ProfitAndLoss(exact_sum(one.realised for one in exposures), marked, now_ns)


def trading_status_of(state: RiskState, now_ns: int) -> TradingStatus:
    """Return the trading state and the active causes."""
    return TradingStatus(state.trading_state, tuple(state.causes), now_ns)


def account_snapshot(state: RiskState, pnl: ProfitAndLoss, request_id: str) -> AccountSnapshot:
    """Return the reply to an account query."""
    orders = [(IntentId(name), order.state) for name, order in state.orders.items()]
    return AccountSnapshot(
        request_id=request_id,
        account=state.account,
        state=state.trading_state,
        causes=tuple(state.causes),
        positions=tuple(
            AccountPosition(one.symbol, one.quantity, one.average_price)
            for one in state.exposures.values()
            if one.quantity
        ),
        working=tuple(name for name, at in orders if at not in (None, OrderState.UNKNOWN)),
        outbox=tuple(name for name, at in orders if at is None),
        unknown=tuple(name for name, at in orders if at is OrderState.UNKNOWN),
        realised=pnl.realised,
        unrealised=pnl.unrealised,
        sequence=state.last_sequence,
    )


class RiskMetrics:
    """Metrics of risk; every label value is from an enum or the allow-list of symbols."""

    def __init__(self, metrics: Metrics) -> None:
        decisions = metrics.counter("risk_decisions_total", "Decisions on intents.", ("allowed",))
        self._allowed, self._refused = decisions.labels("true"), decisions.labels("false")
        self._refusals = metrics.counter("risk_failed_checks_total", "Checks that failed.", ("code",))
        self.duplicate_requests = metrics.counter(
            "risk_duplicate_requests_total", "Approval requests answered from the reply cache."
        )
        self.commands_rejected = metrics.counter(
            "risk_commands_rejected_total", "Commands rejected by execution.", ("reason",)
        )
        self.decision_seconds = metrics.histogram(
            "risk_decision_seconds", "From an approval request to its reply, with the decision on disk."
        )
        self.lag_seconds = metrics.gauge("risk_orders_lag_seconds", "Age of the last order event when it was received.")
        self._state = metrics.gauge("risk_trading_state", "0 active, 1 reducing, 2 halted.")
        self._causes = metrics.gauge("risk_cause", "1 while the cause is active.", ("cause",))
        self._outbox = metrics.gauge("risk_outbox_orders", "Approvals that execution has not reported as received.")
        self._live = metrics.gauge("risk_live_orders", "Orders whose exposure is reserved.")
        self._unknown = metrics.gauge("risk_unknown_orders", "Orders whose outcome at the venue is unknown.")
        self._positions = metrics.gauge("risk_position_quantity", "Position, negative when short.", ("symbol",))
        self._realised = metrics.gauge("risk_realised_dollars", "Realised P&L.")
        self._unrealised = metrics.gauge("risk_unrealised_dollars", "Unrealised P&L at the last quotes.")

    def count_decision(self, decision: Decision) -> None:
        """Count one decision and each failed check."""
        if decision.allowed:
            self._allowed.inc()
            return
        self._refused.inc()
        for one in decision.failed_checks:
            self._refusals.labels(one.name).inc()

    def update_gauges(self, state: RiskState, pnl: ProfitAndLoss) -> None:
        """Set the gauges to the current state."""
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
