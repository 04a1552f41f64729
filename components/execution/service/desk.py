"""Moves each order on: decides what is due and sends, asks, fences, cancels or settles it."""

from typing import Final

from components.contracts.approval import ApprovalRefused, SealKey, open_frame
from components.contracts.orders import OrderSending, OrderState, Source, VenueCondition
from components.contracts.signals import Approved, Signal
from components.contracts.values import AccountId, ClientOrderId, IntentId
from components.execution.config import DeskConfig
from components.execution.core.chase import (
    Ask,
    AskToCancel,
    Errand,
    PutFence,
    Rest,
    Send,
    Settle,
    Stance,
    Step,
    Wait,
    next_step,
)
from components.execution.core.identity import FenceLimits, fence, fence_terms
from components.execution.core.orders import IN_QUESTION, Order
from components.execution.core.venue import CancelOrder, QueryOrder, SubmitOrder
from components.execution.service.book import Book
from components.execution.service.pace import Pace
from components.runtime.service import Call, Effect, Note

FIRST_ATTEMPT: Final = 1
UNSENT: Final = IN_QUESTION | {OrderState.RECEIVED}
"""Where an order waits to be sent, unless its request is out."""

STEPS_MAX: Final = 4
"""No order needs more steps in one turn; a bound, not a plan."""

ALARMING_CANCELS: Final = 3
"""A cancel asked for so often is worth a line in the log."""


class Desk:
    """Carries every order towards its end, one step at a time."""

    def __init__(
        self, book: Book, pace: Pace, config: DeskConfig, fences: FenceLimits, seal: tuple[SealKey, AccountId]
    ) -> None:
        """Begin closed: nothing new leaves before `is_ready`."""
        self.is_ready = False
        self.is_stopping = False
        self.condition = VenueCondition.LOST
        self._book, self._pace = book, pace
        self._config, self._fences = config, fences
        self._key, self._account = seal
        self._someone_waits = False
        self._proven: Signal[Approved] | None = None

    def press_all(self, now_ns: int) -> list[Effect]:
        """Do whatever is due about any order."""
        state = self._book.state
        doubtful = [state.orders[key] for key, errand in self._book.errands() if errand.doubt]
        due = {order.key: order for order in (*state.open_orders(), *doubtful)}
        self._someone_waits = False
        effects = [effect for order in due.values() for effect in self.press(order, now_ns)]
        self._book.forget_settled()
        return effects

    def press_new(self, name: ClientOrderId, proven: Signal[Approved], now_ns: int) -> list[Effect]:
        """Do what is due about an order whose frame was opened a moment ago; whoever waits to be sent goes first."""
        self._proven = proven
        order = self._book.state.orders[name]
        effects = self.press_all(now_ns) if self._someone_waits else self.press(order, now_ns)
        self._proven = None
        return effects

    def press(self, order: Order, now_ns: int) -> list[Effect]:
        """Do what is due about one order until nothing is."""
        effects: list[Effect] = []
        for _ in range(STEPS_MAX):
            order, errand = self._book.state.orders[order.key], self._book.errand(order)
            done = self._do(order, errand, next_step(order, errand, self._stance(), now_ns), now_ns)
            if not done:
                self._someone_waits |= order.state in UNSENT and not errand.posted_at_ns
                break
            effects.extend(done)
            if errand.posted_at_ns:
                break  # its answer comes first
        return effects

    def is_idle(self) -> bool:
        """Say whether no request is out and no outcome is unknown."""
        waiting = any(errand.posted_at_ns or errand.asked_at_ns for _, errand in self._book.errands())
        return not waiting and not self.unresolved()

    def unresolved(self) -> tuple[Order, ...]:
        """Give the orders that may or may not be at the venue."""
        return tuple(order for order in self._book.state.open_orders() if order.state in IN_QUESTION)

    def _stance(self) -> Stance:
        return Stance(
            is_ready=self.is_ready,
            is_venue_lost=self.condition is VenueCondition.LOST,
            is_stopping=self.is_stopping,
            trading=self._book.state.trading,
            has_collided=self._book.state.has_collided,
        )

    def _do(self, order: Order, errand: Errand, step: Step, now_ns: int) -> list[Effect]:
        match step:
            case Wait() | Rest():
                return _rest(errand, now_ns) if isinstance(step, Rest) else []
            case Settle(state, reason):
                return [self._book.move(order, state, reason, Source.OURSELVES, now_ns)]
            case Send():
                return self._send(order, errand, now_ns)
            case PutFence():
                return self._put_fence(order, errand, now_ns)
            case Ask():
                return self._ask(order, errand, now_ns)
            case AskToCancel():
                return self._cancel(order, errand, now_ns)

    def _send(self, order: Order, errand: Errand, now_ns: int) -> list[Effect]:
        posting = sum([errand.posted_at_ns > 0 for _, errand in self._book.errands()])
        if posting >= self._config.submits_in_flight_max or not self._pace.may_order(now_ns):
            return []
        signal = self._prove(order, now_ns)
        if signal is None:
            return self._give_up(order, errand, now_ns)
        effects: list[Effect] = []
        if order.state is OrderState.RECEIVED:
            intent_id = signal.intent.intent_id
            effects.append(self._book.write(OrderSending(intent_id, order.client_order_id, FIRST_ATTEMPT, now_ns)))
        errand.posted_at_ns, errand.is_missing, errand.unsent = now_ns, False, None
        return [*effects, Call(SubmitOrder(order.client_order_id, signal))]

    def _prove(self, order: Order, now_ns: int) -> Signal[Approved] | None:
        """Open the sealed frame right before each sending: what was put off or a restart remembers is proven anew."""
        proven = self._proven
        if proven is not None and proven.intent.intent_id == order.intent_id:
            return proven
        try:
            return open_frame(order.frame, self._key, self._account, now_ns)
        except ApprovalRefused:
            return None

    def _give_up(self, order: Order, errand: Errand, now_ns: int) -> list[Effect]:
        if order.state is OrderState.UNKNOWN:
            return self._put_fence(order, errand, now_ns)
        reason = "the approval cannot be proven any more"
        return [self._book.move(order, OrderState.NEVER_SENT, reason, Source.OURSELVES, now_ns)]

    def _put_fence(self, order: Order, errand: Errand, now_ns: int) -> list[Effect]:
        terms = fence_terms(order, self._fences)
        effects: list[Effect] = []
        if order.fence is None:
            intent_id = order.intent_id or IntentId("")
            record = OrderSending(intent_id, order.client_order_id, FIRST_ATTEMPT, now_ns, terms)
            effects.append(self._book.write(record))
        self._pace.cancel(now_ns)
        errand.posted_at_ns, errand.is_missing = now_ns, False
        return [*effects, Call(fence(order, terms))]

    def _ask(self, order: Order, errand: Errand, now_ns: int) -> list[Effect]:
        if not self._pace.may_resolve(now_ns):
            return []
        errand.asked_at_ns = now_ns
        return [Call(QueryOrder(order.client_order_id, order.venue_order_id))]

    def _cancel(self, order: Order, errand: Errand, now_ns: int) -> list[Effect]:
        if order.venue_order_id is None:
            return []
        self._pace.cancel(now_ns)
        errand.asked_at_ns = now_ns
        errand.cancel_requests += 1
        effects: list[Effect] = [Call(CancelOrder(order.client_order_id, order.venue_order_id))]
        if errand.cancel_requests >= ALARMING_CANCELS:
            facts = {"client_order_id": order.client_order_id, "requests": errand.cancel_requests}
            effects.append(Note("cancel_does_not_end", facts, "warning"))
        return effects


def _rest(errand: Errand, now_ns: int) -> list[Effect]:
    errand.is_missing = False
    errand.wait(now_ns)
    return []
