"""Where operators are answered: halt, resume in two steps, cancel everything."""

from functools import partial
from typing import Final, assert_never

from components.contracts.commands import CancelAll, Withdraw
from components.contracts.decisions import Action, Operate, Operated
from components.contracts.values import CommandId
from components.risk.core.operating import clearing, halting, hindrance, standing_against
from components.risk.core.orders import unsent
from components.risk.service.books import Books
from components.runtime.service import Effect, Effects, HandOver, Note, Reply

ANSWERS_MAX: Final = 256
"""So many answers are remembered, for requests that come twice."""


class Desk:
    """Does what an operator asks, once for each request."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._answers: dict[CommandId, Operated] = {}

    def operate(self, ticket: bytes, request: Operate, now_ns: int) -> Effects:
        """Do it, or answer as before."""
        if (known := self._answers.get(request.command_id)) is not None:
            return (Reply(ticket, known),)
        effects, against = self._done(request.action, request.reason, now_ns)
        detail = against or f"{request.action}: {self._books.state.trading_state}"
        answer = Operated(request.command_id, not against, detail)
        self._remember(answer)
        facts = {"action": str(request.action), "reason": request.reason, "done": answer.done, "detail": detail}
        return [*effects, Reply(ticket, answer), Note("operator_asked", facts, "warning")]

    def stand_down(self, reason: str, now_ns: int) -> list[Effect]:
        """Withdraw what has not left, cancel what has."""
        effects: list[Effect] = []
        for order in self._books.state.orders.values():
            if unsent(order) and order.intent is not None:
                intent_id = order.intent.intent_id
                withdraw = partial(Withdraw, intent_id=intent_id, reason=reason)
                effects.append(self._books.issue(f"withdraw {intent_id}", withdraw, now_ns))
        return [*effects, self._cancel_all(reason, now_ns)]

    def _done(self, action: Action, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        """Give the effects, and what stood against it if it was not done."""
        match action:
            case Action.HALT:
                return self._halt(reason, now_ns)
            case Action.CANCEL_ALL:
                return [self._cancel_all(reason, now_ns)], ""
            case Action.RESUME:
                return self._resume(reason, now_ns)
            case _:
                assert_never(action)

    def _halt(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        if not reason:
            return [], "a halt needs a reason"
        effects = self._books.record(halting(self._books.state, reason, now_ns), now_ns)
        return [*effects, *self.stand_down(reason, now_ns)], ""

    def _resume(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        books = self._books
        effects = books.settle(now_ns)
        if against := hindrance(books.state, standing_against(books.present(now_ns)), reason):
            return effects, against
        return effects + books.record(clearing(books.state, reason, now_ns), now_ns), ""

    def _cancel_all(self, reason: str, now_ns: int) -> HandOver:
        return self._books.issue("cancel_all", partial(CancelAll, reason=reason), now_ns)

    def _remember(self, answer: Operated) -> None:
        if len(self._answers) >= ANSWERS_MAX:
            del self._answers[next(iter(self._answers))]
        self._answers[answer.command_id] = answer
