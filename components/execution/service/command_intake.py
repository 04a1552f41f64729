"""Receives sealed frames: each is verified, journalled and acknowledged; a duplicate gets the first reply."""

from typing import Final

from components.contracts.approval import (
    SEAL_BYTES,
    InvalidApproval,
    SealedControl,
    SealedIntent,
    SealKey,
    open_command,
)
from components.contracts.commands import Accepted, Cancel, CancelAll, Control, Rejected, RejectReason
from components.contracts.orders import (
    ControlReceived,
    IntentReceived,
    OrderState,
    OrderUpdated,
    UpdateSource,
    client_order_id,
)
from components.contracts.signals import Approved, Intent, Signal
from components.contracts.values import ZERO, AccountId, CommandId
from components.execution.core.venue_messages import QueryOrder
from components.execution.service.metrics import ExecutionMetrics
from components.execution.service.order_driver import FIRST_ATTEMPT, CancelAllRequest, OrderDriver
from components.execution.service.order_journal import OrderJournal
from components.runtime.service import Append, CallVenue, Effect, LogEvent, ObserveLatency, Reply

NO_COMMAND: Final = CommandId("")
LOG_INTERVAL_NS: Final = 60_000_000_000
"""Each reject reason is logged at most once per interval; all rejections are counted."""


class CommandIntake:
    """Verifies sealed frames; a frame that fails verification has no effect."""

    def __init__(
        self,
        journal: OrderJournal,
        driver: OrderDriver,
        cancel_all: CancelAllRequest,
        metrics: ExecutionMetrics,
        seal: tuple[SealKey, AccountId],
    ) -> None:
        """Create it; new intents are rejected until the order driver is ready."""
        self._journal, self._driver, self._cancel_all, self._metrics = journal, driver, cancel_all, metrics
        self._key, self._account = seal
        self._logged_at_ns: dict[RejectReason, int] = {}

    def handle(self, reply_to: bytes, frame: bytes, now_ns: int) -> list[Effect]:
        """Handle one frame."""
        try:
            opened = open_command(frame, self._key, self._account, now_ns)
        except InvalidApproval as error:
            return self._on_verification_failed(reply_to, frame, error, now_ns)
        if isinstance(opened, SealedControl):
            return self._on_control(reply_to, opened, now_ns)
        return self._on_intent(reply_to, frame, opened, now_ns)

    def _on_intent(self, reply_to: bytes, frame: bytes, signal: Signal[Approved], now_ns: int) -> list[Effect]:
        intent = signal.intent
        intent_id = CommandId(intent.intent_id)
        if (repeat := self._duplicate_reply(reply_to, frame, intent, now_ns)) is not None:
            return repeat
        if not self._driver.is_ready or self._driver.is_stopping:
            return self._reject(
                reply_to, intent_id, RejectReason.NOT_ACCEPTING, "not reconciled yet, or stopping", now_ns
            )
        name = client_order_id(intent, FIRST_ATTEMPT)
        received = self._journal.append(IntentReceived(intent, signal.stage.terms, name, now_ns, frame))
        reply = Reply(reply_to, Accepted(intent_id, self._journal.state.sequence))
        sending = self._driver.advance_new(name, signal, now_ns)
        # All records in one sync, then the reply, then the request to the venue.
        records = [effect for effect in sending if isinstance(effect, Append)]
        others = [effect for effect in sending if not isinstance(effect, Append)]
        return [received, *records, ObserveLatency(self._metrics.tick_to_order, intent.tick_at_ns), reply, *others]

    def _duplicate_reply(self, reply_to: bytes, frame: bytes, intent: Intent, now_ns: int) -> list[Effect] | None:
        receipt = self._journal.state.receipts.get(intent.intent_id)
        # The seal covers every byte of the frame, so an equal seal means the same frame.
        if receipt is not None and receipt.seal == frame[-SEAL_BYTES:]:
            self._metrics.count_rejected(RejectReason.REPLAYED)
            return [Reply(reply_to, Accepted(_command_id(intent), receipt.sequence))]
        if receipt is not None or self._journal.state.order_by_intent(intent.intent_id) is not None:
            return self._reject(
                reply_to, _command_id(intent), RejectReason.REPLAYED, "this intent was answered before", now_ns
            )
        return None

    def _on_control(self, reply_to: bytes, sealed: SealedControl, now_ns: int) -> list[Effect]:
        control = sealed.control
        sequence = self._journal.state.controls.get(control.command_id)
        if sequence is not None:
            self._metrics.count_rejected(RejectReason.REPLAYED)
            return [Reply(reply_to, Accepted(control.command_id, sequence))]
        if self._journal.state.opening is None:
            return self._reject(
                reply_to,
                control.command_id,
                RejectReason.NOT_ACCEPTING,
                "the journal has no opening balance yet",
                now_ns,
            )
        record = self._journal.append(ControlReceived(control, sealed.terms, now_ns))
        facts = {"command_id": control.command_id, "control": type(control).__name__, "reason": control.reason}
        reply = Reply(reply_to, Accepted(control.command_id, self._journal.state.sequence))
        event = LogEvent("control_received", facts)
        return [record, reply, event, *self._handle_untracked(control), *self._driver.advance_all(now_ns)]

    def _handle_untracked(self, control: Control) -> list[Effect]:
        """Act on orders that the journal does not contain: cancel all at the venue, or query the named order."""
        match control:
            case CancelAll():
                self._cancel_all.request()
            case Cancel(client_order_id=name) if self._journal.state.order_by_client_id(name) is None:
                return [CallVenue(QueryOrder(name))]
            case _:
                return []
        return []

    def _on_verification_failed(
        self, reply_to: bytes, frame: bytes, error: InvalidApproval, now_ns: int
    ) -> list[Effect]:
        match error.sealed:
            case SealedIntent(intent=intent) if error.reject_reason is RejectReason.EXPIRED:
                return self._on_expired(reply_to, frame, intent, error, now_ns)
            case SealedControl(control=control):
                sequence = self._journal.state.controls.get(control.command_id)
                if sequence is not None:
                    return [Reply(reply_to, Accepted(control.command_id, sequence))]
                return self._reject(reply_to, control.command_id, error.reject_reason, error.detail, now_ns)
            case _:
                return self._reject(reply_to, NO_COMMAND, error.reject_reason, error.detail, now_ns)

    def _on_expired(
        self, reply_to: bytes, frame: bytes, intent: Intent, error: InvalidApproval, now_ns: int
    ) -> list[Effect]:
        state = self._journal.state
        if intent.intent_id in state.receipts:
            return self._duplicate_reply(reply_to, frame, intent, now_ns) or []
        reply = self._reject(reply_to, _command_id(intent), error.reject_reason, error.detail, now_ns)
        if state.order_by_intent(intent.intent_id) is not None:
            return reply
        if state.opening is None:
            return self._reject(
                reply_to,
                _command_id(intent),
                RejectReason.NOT_ACCEPTING,
                "the journal has no opening balance yet",
                now_ns,
            )
        return [self._journal.append(_never_sent(intent, error.detail, now_ns)), *reply]

    def _reject(
        self, reply_to: bytes, command_id: CommandId, reject_reason: RejectReason, detail: str, now_ns: int
    ) -> list[Effect]:
        self._metrics.count_rejected(reject_reason)
        reply = Reply(reply_to, Rejected(command_id, reject_reason, detail))
        if now_ns - self._logged_at_ns.get(reject_reason, 0) < LOG_INTERVAL_NS:
            return [reply]
        self._logged_at_ns[reject_reason] = now_ns
        facts = {"reason": reject_reason.value, "command_id": command_id, "detail": detail}
        return [reply, LogEvent("command_rejected", facts, "warning")]


def _command_id(intent: Intent) -> CommandId:
    return CommandId(intent.intent_id)


def _never_sent(intent: Intent, reason: str, now_ns: int) -> OrderUpdated:
    return OrderUpdated(
        intent_id=intent.intent_id,
        client_order_id=client_order_id(intent, FIRST_ATTEMPT),
        venue_order_id=None,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        filled_quantity=ZERO,
        average_price=None,
        state=OrderState.NEVER_SENT,
        source=UpdateSource.LOCAL,
        reason=f"the approval expired {reason}",
        at_ns=now_ns,
    )
