"""Where sealed frames come in: each is proven, written down and answered, and a repeat gets the first answer."""

from typing import Final

from components.contracts.approval import (
    SEAL_BYTES,
    ApprovalRefused,
    SealedControl,
    SealedIntent,
    SealKey,
    open_command,
)
from components.contracts.commands import Accepted, Cancel, CancelAll, Control, Fault, Refused
from components.contracts.orders import (
    ControlReceived,
    IntentReceived,
    OrderState,
    OrderUpdated,
    Source,
    client_order_id,
)
from components.contracts.signals import Approved, Intent, Signal
from components.contracts.values import ZERO, AccountId, CommandId
from components.execution.core.venue import QueryOrder
from components.execution.service.book import Book
from components.execution.service.desk import FIRST_ATTEMPT, Desk
from components.execution.service.meters import Meters
from components.execution.service.sweep import Sweep
from components.runtime.service import Append, Call, Effect, Note, Observe, Reply

NOBODY: Final = CommandId("")
TELL_AGAIN_NS: Final = 60_000_000_000
"""A line in the log for each kind of fault, at most so often; all of them are counted."""


class Door:
    """Opens frames; what is not proven touches nothing."""

    def __init__(self, book: Book, desk: Desk, sweep: Sweep, meters: Meters, seal: tuple[SealKey, AccountId]) -> None:
        """Begin closed for new intents: the desk says when it is ready."""
        self._book, self._desk, self._sweep, self._meters = book, desk, sweep, meters
        self._key, self._account = seal
        self._told_at_ns: dict[Fault, int] = {}

    def asked(self, ticket: bytes, frame: bytes, now_ns: int) -> list[Effect]:
        """Answer one frame."""
        try:
            opened = open_command(frame, self._key, self._account, now_ns)
        except ApprovalRefused as refusal:
            return self._not_opened(ticket, frame, refusal, now_ns)
        if isinstance(opened, SealedControl):
            return self._control(ticket, opened, now_ns)
        return self._intent(ticket, frame, opened, now_ns)

    def _intent(self, ticket: bytes, frame: bytes, signal: Signal[Approved], now_ns: int) -> list[Effect]:
        intent = signal.intent
        intent_id = CommandId(intent.intent_id)
        if (repeat := self._repeated(ticket, frame, intent, now_ns)) is not None:
            return repeat
        if not self._desk.is_ready or self._desk.is_stopping:
            return self._refuse(ticket, intent_id, Fault.NOT_ACCEPTING, "not reconciled yet, or stopping", now_ns)
        name = client_order_id(intent, FIRST_ATTEMPT)
        received = self._book.write(IntentReceived(intent, signal.stage.terms, name, now_ns, frame))
        answer = Reply(ticket, Accepted(intent_id, self._book.state.sequence))
        sending = self._desk.press_new(name, signal, now_ns)
        # All records in one sync, then the answer, then the request.
        records = [effect for effect in sending if isinstance(effect, Append)]
        others = [effect for effect in sending if not isinstance(effect, Append)]
        return [received, *records, Observe(self._meters.tick_to_order, intent.tick_at_ns), answer, *others]

    def _repeated(self, ticket: bytes, frame: bytes, intent: Intent, now_ns: int) -> list[Effect] | None:
        receipt = self._book.state.receipts.get(intent.intent_id)
        if receipt is not None and receipt.seal == frame[-SEAL_BYTES:]:
            self._meters.refused(Fault.REPLAYED)
            return [Reply(ticket, Accepted(_name_of(intent), receipt.sequence))]
        if receipt is not None or self._book.state.of_intent(intent.intent_id) is not None:
            return self._refuse(
                ticket, _name_of(intent), Fault.REPLAYED, "this intent has been answered already", now_ns
            )
        return None

    def _control(self, ticket: bytes, sealed: SealedControl, now_ns: int) -> list[Effect]:
        control = sealed.control
        known = self._book.state.controls.get(control.command_id)
        if known is not None:
            self._meters.refused(Fault.REPLAYED)
            return [Reply(ticket, Accepted(control.command_id, known))]
        if self._book.state.opening is None:
            return self._refuse(
                ticket, control.command_id, Fault.NOT_ACCEPTING, "the journal is not opened yet", now_ns
            )
        written = self._book.write(ControlReceived(control, sealed.terms, now_ns))
        facts = {"command_id": control.command_id, "control": type(control).__name__, "reason": control.reason}
        answer = Reply(ticket, Accepted(control.command_id, self._book.state.sequence))
        note = Note("control_received", facts)
        return [written, answer, note, *self._obey(control), *self._desk.press_all(now_ns)]

    def _obey(self, control: Control) -> list[Effect]:
        """Do what the fold of the journal cannot: look for what we do not know."""
        match control:
            case CancelAll():
                self._sweep.want()
            case Cancel(client_order_id=name) if self._book.state.of_client_id(name) is None:
                return [Call(QueryOrder(name))]
            case _:
                return []
        return []

    def _not_opened(self, ticket: bytes, frame: bytes, refusal: ApprovalRefused, now_ns: int) -> list[Effect]:
        match refusal.sealed:
            case SealedIntent(intent=intent) if refusal.fault is Fault.EXPIRED:
                return self._expired(ticket, frame, intent, refusal, now_ns)
            case SealedControl(control=control):
                known = self._book.state.controls.get(control.command_id)
                if known is not None:
                    return [Reply(ticket, Accepted(control.command_id, known))]
                return self._refuse(ticket, control.command_id, refusal.fault, refusal.detail, now_ns)
            case _:
                return self._refuse(ticket, NOBODY, refusal.fault, refusal.detail, now_ns)

    def _expired(
        self, ticket: bytes, frame: bytes, intent: Intent, refusal: ApprovalRefused, now_ns: int
    ) -> list[Effect]:
        state = self._book.state
        if intent.intent_id in state.receipts:
            return self._repeated(ticket, frame, intent, now_ns) or []
        answer = self._refuse(ticket, _name_of(intent), refusal.fault, refusal.detail, now_ns)
        if state.of_intent(intent.intent_id) is not None:
            return answer
        if state.opening is None:
            return self._refuse(ticket, _name_of(intent), Fault.NOT_ACCEPTING, "the journal is not opened yet", now_ns)
        return [self._book.write(_never_sent(intent, refusal.detail, now_ns)), *answer]

    def _refuse(self, ticket: bytes, command_id: CommandId, fault: Fault, detail: str, now_ns: int) -> list[Effect]:
        self._meters.refused(fault)
        answer = Reply(ticket, Refused(command_id, fault, detail))
        if now_ns - self._told_at_ns.get(fault, 0) < TELL_AGAIN_NS:
            return [answer]
        self._told_at_ns[fault] = now_ns
        facts = {"fault": fault.value, "command_id": command_id, "detail": detail}
        return [answer, Note("frame_refused", facts, "warning")]


def _name_of(intent: Intent) -> CommandId:
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
        source=Source.OURSELVES,
        reason=f"the approval expired {reason}",
        at_ns=now_ns,
    )
