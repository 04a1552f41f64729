"""Consumes execution's order events and its acknowledgements of commands."""

from typing import Any, Final

from components.contracts.commands import Accepted, Rejected, RejectReason
from components.contracts.decisions import CommandRejected, OrderEventApplied
from components.contracts.errors import CorruptData, InvariantError
from components.contracts.streams import POSITIONS
from components.contracts.trading import Cause
from components.contracts.values import IntentId, StreamOffset
from components.risk.core.account_state import RiskState
from components.risk.core.halts import latched_by, missing_from_log
from components.risk.service.account_log import AccountLog
from components.risk.service.reporting import RiskMetrics, changed_positions
from components.runtime.service import Effect, Effects, LogEvent, Publish, StreamLost, StreamSynced, Terminate

RETRYABLE_REASONS: Final = frozenset({RejectReason.EXPIRED, RejectReason.NOT_ACCEPTING})
"""Execution may accept the same frame later, or reports on `orders` that it was never sent."""


class OrderEventConsumer:
    """Applies each record of execution's journal exactly once, in order."""

    def __init__(self, log: AccountLog, metrics: RiskMetrics) -> None:
        self._log, self._metrics = log, metrics

    def apply(self, offset: StreamOffset, event: Any, now_ns: int) -> Effects:  # noqa: ANN401 -- any order message
        """Apply the next order event; the latched causes that it raises are recorded before it."""
        log, before = self._log, self._log.state
        if self._is_from_other_journal(offset):
            return self._on_other_journal(offset, now_ns)
        if not self._is_next(offset):
            return ()
        if missing := missing_from_log(before, event):
            text = f"risk's log lost its end: execution acted on {missing}, which the log does not contain"
            return (Terminate(CorruptData(text)),)
        effects = log.latch(latched_by(before, event), now_ns)
        effects.append(log.append(OrderEventApplied(offset, event, now_ns)))
        effects += self._position_updates(before, now_ns)
        self._metrics.lag_seconds.set(max(now_ns - event.at_ns, 0) / 1e9)
        return [*effects, *log.refresh_causes(now_ns)]

    def on_synced(self, synced: StreamSynced, now_ns: int) -> Effects:
        """Record that every event so far was received, and send execution the trading state."""
        log = self._log
        if self._is_from_other_journal(synced.offset):
            return self._on_other_journal(synced.offset, now_ns)
        log.observations.on_orders_synced()
        log.outbox.retry_now()
        effects = [*log.refresh_causes(now_ns), log.send_trading_state(now_ns)]
        if (reason := log.state.causes.get(Cause.OPERATOR_HALT)) is not None:
            # The commands of the halt may have been lost by a restart of risk or of execution.
            effects += log.cancel_everything(reason, now_ns)
        return effects

    def on_lost(self, lost: StreamLost, now_ns: int) -> Effects:
        """Record that events may be missing; latch DIVERGENCE if the stream cannot be recovered from our offset."""
        log = self._log
        log.observations.on_orders_lost(lost.reason, log.state.last_sequence)
        return (
            log.latch_divergence(f"orders: {lost.reason}", now_ns) if lost.is_diverged else log.refresh_causes(now_ns)
        )

    def on_acknowledgement(self, acknowledgement: object, now_ns: int) -> Effects:
        """Handle execution's reply to a command."""
        match acknowledgement:
            case Accepted(command_id=command_id):
                self._log.outbox.acknowledge(command_id)
                return ()
            case Rejected(reject_reason=reason):
                self._metrics.commands_rejected.labels(reason).inc()
                return () if reason in RETRYABLE_REASONS else self._on_rejected(acknowledgement, now_ns)
            case _:
                raise InvariantError(f"unexpected acknowledgement {type(acknowledgement).__name__}")

    def _on_rejected(self, rejected: Rejected, now_ns: int) -> Effects:
        self._log.outbox.acknowledge(rejected.command_id)
        if rejected.reject_reason is RejectReason.REPLAYED:
            # Execution has received it before; the `orders` stream reports the outcome.
            return (
                LogEvent("command_already_received", {"command_id": rejected.command_id, "detail": rejected.detail}),
            )
        effects = self._release_rejected(rejected, now_ns)
        text = f"execution rejected our own frame {rejected.command_id}: {rejected.reject_reason}: {rejected.detail}"
        return [*effects, *self._log.latch_divergence(text, now_ns)]

    def _release_rejected(self, rejected: Rejected, now_ns: int) -> list[Effect]:
        before, intent_id = self._log.state, IntentId(rejected.command_id)
        order = before.orders.get(intent_id)
        if order is None or order.state is not None:
            return []
        written = self._log.append(CommandRejected(intent_id, rejected.reject_reason, rejected.detail, now_ns))
        return [written, *self._position_updates(before, now_ns)]

    def _position_updates(self, before: RiskState, now_ns: int) -> list[Effect]:
        return [Publish(POSITIONS, one) for one in changed_positions(before, self._log.state, now_ns)]

    def _is_from_other_journal(self, offset: StreamOffset) -> bool:
        last = self._log.state.orders_offset
        return last is not None and offset.epoch != last.epoch

    def _is_next(self, offset: StreamOffset) -> bool:
        last = self._log.state.orders_offset
        if last is not None and offset.sequence > last.sequence + 1:
            raise InvariantError(f"order event {offset.sequence} after {last.sequence}")
        return last is None or offset.sequence == last.sequence + 1

    def _on_other_journal(self, offset: StreamOffset, now_ns: int) -> Effects:
        last = self._log.state.orders_offset
        journal = last.epoch if last is not None else "ours"
        return self._log.latch_divergence(f"order events come from journal {offset.epoch}, not {journal}", now_ns)
