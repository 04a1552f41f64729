"""What the venue's answer to a request means for the order it was about."""

from typing import Final

from components.contracts.orders import OrderState, Source
from components.execution.config import ExecutionConfig
from components.execution.core.chase import DELAY_NS_MAX, Errand, Unsent
from components.execution.core.condition import Contact
from components.execution.core.orders import IN_QUESTION, Order
from components.execution.core.truths import Word
from components.execution.core.venue import (
    Answer,
    CancelAccepted,
    CancelAllOrders,
    CancelOrder,
    DuplicateId,
    Fence,
    HaltedByFile,
    NotProcessed,
    OrderAccepted,
    OrderFound,
    OrderMissing,
    OrderRefused,
    OutcomeUnknown,
    QueryOrder,
    ReadVenue,
    Request,
    SubmitOrder,
    Unauthorized,
    Unreachable,
)
from components.execution.service.book import UNCONFIRMED, Book
from components.execution.service.meters import Meters
from components.execution.service.pace import Pace
from components.runtime.service import Effect, Note, Observe

NS_PER_MS: Final = 1_000_000
CANCEL_CHECKS_MAX: Final = 8
"""A cancel that does not end is looked after at most so many times less often than at first."""

OrderRequest = SubmitOrder | Fence | QueryOrder | CancelOrder


class Answers:
    """Hears how requests about orders ended; what is due next is the desk's business."""

    def __init__(self, book: Book, pace: Pace, contact: Contact, meters: Meters, config: ExecutionConfig) -> None:
        """Share the book and the pace with the desk."""
        self._book, self._pace, self._contact, self._meters = book, pace, contact, meters
        self._limits = config.condition
        self._cancel_check_ns = config.desk.cancel_check_ms * NS_PER_MS

    def take_note(self, request: Request, answer: Answer, now_ns: int) -> None:
        """Remember how well the venue answers, whatever it said."""
        match answer:
            case OutcomeUnknown(reason) | Unreachable(reason):
                self._contact.failed(reason)
            case NotProcessed(retry_at_ns, text):
                self._contact.throttled(text)
                self._pace.close_until(retry_at_ns, now_ns)
            case Unauthorized(text):
                self._contact.refused(text)
            case HaltedByFile():
                return
            case _:
                self._contact.answered(self._took_ns(request, now_ns), self._limits)

    def heard(self, request: OrderRequest, answer: Answer, now_ns: int) -> list[Effect]:
        """Write down what an answer says of its order."""
        order = self._order_of(request)
        if order is None:
            return self._found(answer, now_ns)
        errand = self._book.errand(order)
        match request:
            case SubmitOrder():
                observed = Observe(self._meters.submit, errand.posted_at_ns or now_ns)
                errand.posted_at_ns = 0
                return [observed, *self._submitted(order, errand, answer, now_ns)]
            case Fence():
                errand.posted_at_ns = 0
                return self._fenced(order, errand, answer, now_ns)
            case QueryOrder():
                errand.asked_at_ns = 0
                return self._asked(order, errand, answer, now_ns)
            case CancelOrder():
                errand.asked_at_ns = 0
                return self._cancelled(order, errand, answer, now_ns)

    def _took_ns(self, request: Request, now_ns: int) -> int:
        """Say how long one answer took; a reading is many answers and says nothing."""
        order = None if isinstance(request, ReadVenue | CancelAllOrders) else self._order_of(request)
        if order is None:
            return 0
        errand = self._book.errand(order)
        began_at_ns = errand.posted_at_ns if isinstance(request, SubmitOrder | Fence) else errand.asked_at_ns
        return now_ns - (began_at_ns or now_ns)

    def _order_of(self, request: OrderRequest) -> Order | None:
        state = self._book.state
        if isinstance(request, QueryOrder | CancelOrder) and request.venue_order_id is not None:
            return state.of_venue_id(request.venue_order_id)
        return state.of_client_id(request.client_order_id)

    def _found(self, answer: Answer, now_ns: int) -> list[Effect]:
        return self._book.hear(Word(answer.order, Source.QUERY, now_ns)) if isinstance(answer, OrderFound) else []

    def _submitted(self, order: Order, errand: Errand, answer: Answer, now_ns: int) -> list[Effect]:
        if order.state not in IN_QUESTION and not isinstance(answer, OrderAccepted):
            # The stream was faster than the reply; where the two do not agree, the venue is asked.
            errand.doubt = f"the reply was {type(answer).__name__}"
            return []
        match answer:
            case OrderAccepted(seen):
                return self._book.hear(Word(seen, Source.REPLY, now_ns))
            case OrderRefused() | Unauthorized():
                return self._refused(order, errand, answer, now_ns)
            case NotProcessed() | Unreachable() | HaltedByFile():
                return self._unsent(order, errand, answer, now_ns)
            case DuplicateId(text):
                return self._unknown(order, errand, f"{text}; asking what it is", now_ns, ask_now=True)
            case _:
                reason = answer.reason if isinstance(answer, OutcomeUnknown) else str(answer)
                return self._unknown(order, errand, reason, now_ns, ask_now=False)

    def _refused(self, order: Order, errand: Errand, answer: OrderRefused | Unauthorized, now_ns: int) -> list[Effect]:
        reason = f"{answer.status} {answer.text}" if isinstance(answer, OrderRefused) else answer.text
        if order.state is OrderState.SENDING:
            return [self._book.move(order, OrderState.REJECTED, reason, Source.REPLY, now_ns)]
        # The no was to the repetition; the first one may have landed, and may be why the venue says no.
        errand.wait(now_ns)
        return [_note("repetition_refused", order, reason)]

    def _unsent(
        self, order: Order, errand: Errand, answer: NotProcessed | Unreachable | HaltedByFile, now_ns: int
    ) -> list[Effect]:
        """Send the same again later, or never: what was answered so was certainly not acted on."""
        match answer:
            case NotProcessed(retry_at_ns):
                errand.unsent = Unsent.THROTTLED
                errand.due_at_ns = min(max(retry_at_ns, now_ns), now_ns + DELAY_NS_MAX)
            case Unreachable():
                errand.unsent = Unsent.UNREACHABLE
                errand.wait(now_ns)
            case HaltedByFile(path) if order.state is OrderState.SENDING:
                return [self._book.move(order, OrderState.NEVER_SENT, f"halted by {path}", Source.OURSELVES, now_ns)]
            case HaltedByFile():
                errand.wait(now_ns)
        return []

    def _unknown(self, order: Order, errand: Errand, reason: str, now_ns: int, *, ask_now: bool) -> list[Effect]:
        errand.due_at_ns = now_ns
        is_first = order.state is OrderState.SENDING
        if is_first:
            errand.tries = 0
        if not (is_first and ask_now):
            errand.wait(now_ns)
        if not is_first:
            return []
        return [
            self._book.move(order, OrderState.UNKNOWN, reason, Source.REPLY, now_ns),
            _note("outcome_unknown", order, reason),
        ]

    def _fenced(self, order: Order, errand: Errand, answer: Answer, now_ns: int) -> list[Effect]:
        match answer:
            case OrderAccepted(seen):
                return self._book.hear(Word(seen, Source.REPLY, now_ns))
            case DuplicateId():
                errand.wait(now_ns)
                return []
            case NotProcessed(retry_at_ns):
                errand.due_at_ns = min(retry_at_ns, now_ns + DELAY_NS_MAX)
                return []
            case _:
                errand.wait(now_ns)
                return [_note("fence_not_placed", order, str(answer))]

    def _asked(self, order: Order, errand: Errand, answer: Answer, now_ns: int) -> list[Effect]:
        match answer:
            case OrderFound(seen):
                return self._book.hear(Word(seen, Source.QUERY, now_ns))
            case OrderMissing():
                return self._missing(order, errand, now_ns)
            case NotProcessed(retry_at_ns):
                errand.due_at_ns = min(retry_at_ns, now_ns + DELAY_NS_MAX)
                return []
            case _:
                errand.wait(now_ns)
                return []

    def _missing(self, order: Order, errand: Errand, now_ns: int) -> list[Effect]:
        if order.state is OrderState.UNKNOWN:
            errand.is_missing = True
            return []
        if order.state.is_final:
            errand.doubt = ""
            return []
        errand.wait(now_ns)
        errand.doubt = "the venue does not know it"
        return [_note("order_vanished", order, errand.doubt)]

    def _cancelled(self, order: Order, errand: Errand, answer: Answer, now_ns: int) -> list[Effect]:
        if order.state.is_final:
            return []
        errand.doubt = UNCONFIRMED
        match answer:
            case CancelAccepted():
                checks = min(errand.cancel_requests, CANCEL_CHECKS_MAX)
                errand.due_at_ns = now_ns + self._cancel_check_ns * checks
                if order.state is OrderState.CANCELLING:
                    return []
                return [self._book.move(order, OrderState.CANCELLING, "cancel accepted", Source.REPLY, now_ns)]
            case OrderRefused() | OrderMissing() if errand.cancel_requests == 1:
                # Filled or gone already, it seems: ask before anything else is done about it.
                errand.due_at_ns = now_ns
                return []
            case _:
                errand.wait(now_ns)
                return [_note("cancel_not_accepted", order, str(answer))]


def _note(event: str, order: Order, reason: str) -> Note:
    return Note(
        event, {"client_order_id": order.client_order_id, "state": order.state.value, "reason": reason}, "warning"
    )
