"""Operator requests: halt, resume in two steps, cancel all orders."""

from functools import partial
from typing import Final, assert_never

from components.contracts.commands import CancelAll, Withdraw
from components.contracts.decisions import OperatorAction, OperatorCommand, OperatorReply
from components.contracts.values import CommandId
from components.risk.core.account_state import is_unsent
from components.risk.core.halts import blocking_causes, clear_latched, operator_halt, resume_refusal
from components.risk.service.account_log import AccountLog
from components.runtime.service import Effect, Effects, LogEvent, Reply, SendCommand

REPLIES_MAX: Final = 256
"""Number of replies kept for repeated requests."""


class OperatorRequests:
    """Executes each operator request once."""

    def __init__(self, log: AccountLog) -> None:
        self._log = log
        self._replies: dict[CommandId, OperatorReply] = {}

    def handle(self, reply_to: bytes, request: OperatorCommand, now_ns: int) -> Effects:
        """Execute a request, or repeat the reply if it was executed already."""
        if (known := self._replies.get(request.command_id)) is not None:
            return (Reply(reply_to, known),)
        effects, against = self._execute(request.action, request.reason, now_ns)
        detail = against or f"{request.action}: {self._log.state.trading_state}"
        answer = OperatorReply(request.command_id, not against, detail)
        self._remember(answer)
        facts = {"action": str(request.action), "reason": request.reason, "done": answer.done, "detail": detail}
        return [*effects, Reply(reply_to, answer), LogEvent("operator_asked", facts, "warning")]

    def cancel_everything(self, reason: str, now_ns: int) -> list[Effect]:
        """Withdraw the unsent orders and cancel the others."""
        effects: list[Effect] = []
        for order in self._log.state.orders.values():
            if is_unsent(order) and order.intent is not None:
                intent_id = order.intent.intent_id
                withdraw = partial(Withdraw, intent_id=intent_id, reason=reason)
                effects.append(self._log.send_control(f"withdraw {intent_id}", withdraw, now_ns))
        return [*effects, self._cancel_all(reason, now_ns)]

    def _execute(self, action: OperatorAction, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        """Return the effects, and the reason if the request was not executed."""
        match action:
            case OperatorAction.HALT:
                return self._halt(reason, now_ns)
            case OperatorAction.CANCEL_ALL:
                return [self._cancel_all(reason, now_ns)], ""
            case OperatorAction.RESUME:
                return self._resume(reason, now_ns)
            case _:
                assert_never(action)

    def _halt(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        if not reason:
            return [], "a halt needs a reason"
        effects = self._log.record_causes(operator_halt(self._log.state, reason, now_ns), now_ns)
        return [*effects, *self.cancel_everything(reason, now_ns)], ""

    def _resume(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        books = self._log
        effects = books.refresh_causes(now_ns)
        if against := resume_refusal(books.state, blocking_causes(books.active_causes(now_ns)), reason):
            return effects, against
        return effects + books.record_causes(clear_latched(books.state, reason, now_ns), now_ns), ""

    def _cancel_all(self, reason: str, now_ns: int) -> SendCommand:
        return self._log.send_control("cancel_all", partial(CancelAll, reason=reason), now_ns)

    def _remember(self, reply: OperatorReply) -> None:
        if len(self._replies) >= REPLIES_MAX:
            del self._replies[next(iter(self._replies))]
        self._replies[reply.command_id] = reply
