"""Writes the account log: every record is applied to the state as it is appended, and its effects are published."""

from collections.abc import Sequence
from functools import partial

from components.contracts.commands import CancelAll, SetTradingState, Withdraw
from components.contracts.decisions import CauseCleared, CauseRaised, DecisionMessage
from components.contracts.streams import COMMANDS, POSITIONS
from components.contracts.trading import Cause
from components.risk.core.account_state import RiskState, is_unsent
from components.risk.core.halts import CauseReasons, active_causes, cause_changes, newly_raised
from components.risk.core.limits import Timing
from components.risk.core.observations import Observations
from components.risk.core.projection import apply
from components.risk.service.outbox import ControlFactory, Outbox
from components.risk.service.reporting import trading_status_of
from components.runtime.service import Append, Effect, LogEvent, Publish, SendCommand


class AccountLog:
    """Holds the only mutable reference to the state, with the observations and the outbox."""

    def __init__(self, state: RiskState, observations: Observations, outbox: Outbox, timing: Timing) -> None:
        self.state, self.observations, self.outbox = state, observations, outbox
        self._timing = timing

    def append(self, record: DecisionMessage) -> Append:
        """Apply a record to the state and return the effect that appends it."""
        self.state = apply(self.state, record)
        return Append(record)

    def refresh_causes(self, now_ns: int) -> list[Effect]:
        """Raise and clear causes according to the evidence."""
        changes = cause_changes(self.state, self.active_causes(now_ns), now_ns)
        return self.record_causes(changes, now_ns) if changes else []

    def active_causes(self, now_ns: int) -> CauseReasons:
        """Return the causes that the evidence gives now."""
        return active_causes(self.state, self.observations, self._timing, now_ns)

    def latch(self, reasons: CauseReasons, now_ns: int) -> list[Effect]:
        """Raise latched causes."""
        return self.record_causes(newly_raised(self.state, reasons, now_ns), now_ns)

    def latch_divergence(self, reason: str, now_ns: int) -> list[Effect]:
        """Halt trading until an operator resumes it, because our state contradicts execution's report."""
        return [*self.latch({Cause.DIVERGENCE: reason}, now_ns), *self.refresh_causes(now_ns)]

    def record_causes(self, changes: Sequence[CauseRaised | CauseCleared], now_ns: int) -> list[Effect]:
        """Append and publish changed causes; if the trading state changed, send it to execution."""
        if not changes:
            return []
        before = self.state.trading_state
        effects: list[Effect] = []
        for change in changes:
            effects += (self.append(change), _cause_event(change))
        effects.append(Publish(POSITIONS, trading_status_of(self.state, now_ns)))
        if self.state.trading_state is not before:
            effects.append(self.send_trading_state(now_ns))
        return effects

    def send_trading_state(self, now_ns: int) -> SendCommand:
        """Send the trading state to execution until it is accepted or superseded."""
        reason = ", ".join(self.state.causes) or "no cause"
        make_control = partial(SetTradingState, state=self.state.trading_state, reason=reason)
        return self.send_control("trading_state", make_control, now_ns)

    def send_control(self, subject: str, make: ControlFactory, now_ns: int) -> SendCommand:
        """Send a control until it is accepted or superseded by another on the same subject."""
        return SendCommand(COMMANDS, self.outbox.add_control(subject, make, self.state, now_ns))

    def cancel_everything(self, reason: str, now_ns: int) -> list[Effect]:
        """Withdraw the unsent orders and cancel the others."""
        effects: list[Effect] = []
        for order in self.state.orders.values():
            if is_unsent(order) and order.intent is not None:
                intent_id = order.intent.intent_id
                withdraw = partial(Withdraw, intent_id=intent_id, reason=reason)
                effects.append(self.send_control(f"withdraw {intent_id}", withdraw, now_ns))
        return [*effects, self.cancel_all(reason, now_ns)]

    def cancel_all(self, reason: str, now_ns: int) -> SendCommand:
        """Cancel every working order of the account."""
        return self.send_control("cancel_all", partial(CancelAll, reason=reason), now_ns)


def _cause_event(change: CauseRaised | CauseCleared) -> LogEvent:
    facts = {"cause": str(change.cause), "reason": change.reason}
    if isinstance(change, CauseRaised):
        return LogEvent("cause_raised", facts, "warning")
    return LogEvent("cause_cleared", facts)
