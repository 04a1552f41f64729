"""The way to the venue and back: requests that are lost, late, or acted on and not answered."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from components.execution.core.venue import (
    AllCancelled,
    Answer,
    CancelAllOrders,
    CancelOrder,
    Fence,
    NotProcessed,
    OrderFound,
    OrderMissing,
    OrderRefused,
    OutcomeUnknown,
    QueryOrder,
    ReadVenue,
    Request,
    SubmitOrder,
    Unreachable,
)
from components.xtrader.simulation.books import UNPROCESSABLE, Books, Standing, Terms
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.reading import Reading
from components.xtrader.simulation.schedule import NS_PER_MS, NS_PER_US, Schedule, SimulatedClock

ANSWER_MS_MAX: Final = 400
"""So long our end waits for an answer; a request may arrive after that, even after its approval has expired."""
LATE_MS_MAX: Final = 2_500
FORBIDDEN: Final = 403

Answered = Callable[[Answer], None]


class Trouble(Enum):
    """What can become of one request."""

    UNREACHABLE = auto()
    THROTTLED = auto()
    LOST = auto()
    LATE = auto()
    ANSWER_LOST = auto()
    ERROR_BEFORE = auto()
    ERROR_AFTER = auto()
    SLOW = auto()
    REFUSED = auto()


class VenueLine:
    """Carries requests to the books and answers back, each on its own."""

    def __init__(self, schedule: Schedule, chance: Chance, clock: SimulatedClock, books: Books) -> None:
        self._schedule, self._chance, self._clock, self._books = schedule, chance, clock, books
        self.pending = 0
        """Requests that may still arrive."""
        self._out_until_ns = 0

    def go_out(self, span_ns: int) -> None:
        """Be out of reach for a while."""
        self._out_until_ns = self._schedule.now_ns + span_ns

    def carry(self, request: Request, answered: Answered) -> None:
        """Carry one request; whoever asked may be gone by the time it is answered."""
        trouble = self._trouble()
        if isinstance(request, ReadVenue):
            self._read(request, trouble, answered)
            return
        match trouble:
            case None:
                self._arrive(request, self._hop_ns(), lambda answer: self._back(answered, answer))
            case Trouble.SLOW:
                self._arrive(request, self._chance.between_ms(1, ANSWER_MS_MAX), answered)
            case Trouble.ANSWER_LOST | Trouble.LOST | Trouble.LATE:
                self._go_silent(request, trouble, answered)
            case Trouble.ERROR_AFTER:
                self._arrive(request, self._hop_ns(), lambda _: answered(OutcomeUnknown("502 bad gateway")))
            case _:
                self._back(answered, self._refusal(request, trouble))

    def _trouble(self) -> Trouble | None:
        if self._schedule.now_ns < self._out_until_ns:
            return self._chance.dice.choice((Trouble.UNREACHABLE, Trouble.LOST, Trouble.ERROR_BEFORE))
        is_troubled = self._chance.happens(self._chance.odds.call_trouble)
        return self._chance.dice.choice(tuple(Trouble)) if is_troubled else None

    def _go_silent(self, request: Request, trouble: Trouble, answered: Answered) -> None:
        if trouble is Trouble.ANSWER_LOST:
            self._arrive(request, self._hop_ns(), lambda _: None)
        elif trouble is Trouble.LATE:
            self._arrive(request, self._chance.between_ms(ANSWER_MS_MAX, LATE_MS_MAX), lambda _: None)
        unknown = OutcomeUnknown(f"no answer within {ANSWER_MS_MAX} ms")
        self._schedule.after(ANSWER_MS_MAX * NS_PER_MS, lambda: answered(unknown))

    def _refusal(self, request: Request, trouble: Trouble) -> Answer:
        match trouble:
            case Trouble.UNREACHABLE:
                return Unreachable("connection refused")
            case Trouble.THROTTLED:
                return NotProcessed(self._clock.now_ns() + self._chance.between_ms(1, 300), "too many requests")
            case Trouble.REFUSED if isinstance(request, SubmitOrder):
                return OrderRefused(FORBIDDEN, "insufficient buying power")
            case _:
                return OutcomeUnknown("503 service unavailable")

    def _arrive(self, request: Request, delay_ns: int, answered: Answered) -> None:
        self.pending += 1

        def arrive() -> None:
            self.pending -= 1
            answered(self._done(request))

        self._schedule.after(delay_ns, arrive)

    def _done(self, request: Request) -> Answer:
        books = self._books
        match request:
            case SubmitOrder() | Fence():
                return books.place(_terms_of(request))
            case QueryOrder():
                order = self._asked_for(request)
                return OrderMissing() if order is None else OrderFound(order.told())
            case CancelOrder(_, venue_order_id):
                return books.cancel(venue_order_id)
            case CancelAllOrders():
                books.cancel_all()
                return AllCancelled(())
            case ReadVenue():
                return OrderRefused(UNPROCESSABLE, "a reading is many requests")

    def _asked_for(self, query: QueryOrder) -> Standing | None:
        if query.venue_order_id is not None:
            return self._books.orders.get(query.venue_order_id)
        return self._books.by_client_id.get(query.client_order_id)

    def _read(self, request: ReadVenue, trouble: Trouble | None, answered: Answered) -> None:
        """Ask for one thing after the other, as an adapter does: the books move in between."""
        if trouble is not None:
            unknown = OutcomeUnknown("a part of the reading was not given")
            self._schedule.after(self._chance.between_ms(1, ANSWER_MS_MAX), lambda: answered(unknown))
            return
        reading = Reading(request, self._books)
        steps = (reading.read_open, reading.read_named, reading.read_fills)
        delay_ns = 0
        for step in steps:
            delay_ns += self._hop_ns()
            self._schedule.after(delay_ns, step)
        self._schedule.after(delay_ns + self._hop_ns(), lambda: answered(reading.whole()))

    def _back(self, answered: Answered, answer: Answer) -> None:
        self._schedule.after(self._hop_ns(), lambda: answered(answer))

    def _hop_ns(self) -> int:
        return self._chance.dice.randint(200 * NS_PER_US, 8 * NS_PER_MS)


def _terms_of(request: SubmitOrder | Fence) -> Terms:
    if isinstance(request, Fence):
        return Terms(
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            limit_price=request.limit_price,
            time_in_force=request.time_in_force,
            is_fence=True,
        )
    intent = request.signal.intent
    return Terms(
        client_order_id=request.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        limit_price=intent.limit_price,
        time_in_force=intent.time_in_force,
        is_fence=False,
    )
