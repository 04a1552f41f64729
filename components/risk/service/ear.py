"""Listens to execution: the order events it wrote down, whether they are whole, and what it made of our frames."""

from typing import Any, Final

from components.contracts.commands import Accepted, Fault, Refused
from components.contracts.decisions import HandoverRefused, OrderEventApplied
from components.contracts.errors import DamagedData, InvariantError
from components.contracts.topics import POSITIONS
from components.contracts.trading import Cause
from components.contracts.values import IntentId, Place
from components.risk.core.account import changes
from components.risk.core.causes import alarms, missing_end
from components.risk.core.state import RiskState
from components.risk.service.books import Books
from components.risk.service.counts import Counts
from components.risk.service.desk import Desk
from components.runtime.service import Effect, Effects, Halt, Joined, Lost, Note, Publish

TRY_AGAIN: Final = frozenset({Fault.EXPIRED, Fault.NOT_ACCEPTING})
"""Execution may accept the same later, or tells on `orders` that it was never sent."""


class Ear:
    """Takes in execution's journal record by record; each is applied once."""

    def __init__(self, books: Books, desk: Desk, counts: Counts) -> None:
        self._books, self._desk, self._counts = books, desk, counts

    def hear(self, place: Place, event: Any, now_ns: int) -> Effects:  # noqa: ANN401 -- any order message
        """Apply the next order event; what it shows to be wrong is raised before it is applied."""
        books, before = self._books, self._books.state
        if self._is_foreign(place):
            return self._diverge(place, now_ns)
        if not self._is_next(place):
            return ()
        if missing := missing_end(before, event):
            told = f"risk's log lost its end: execution acted on {missing}, which it does not hold"
            return (Halt(DamagedData(told)),)
        effects = books.latch(alarms(before, event), now_ns)
        effects.append(books.write(OrderEventApplied(place, event, now_ns)))
        effects += self._moved(before, now_ns)
        self._counts.lag_seconds.set(max(now_ns - event.at_ns, 0) / 1e9)
        return [*effects, *books.settle(now_ns)]

    def join(self, joined: Joined, now_ns: int) -> Effects:
        """Know that every event up to now was heard, and tell execution where it stands."""
        books = self._books
        if self._is_foreign(joined.place):
            return self._diverge(joined.place, now_ns)
        books.around.join_orders()
        books.outbox.hurry()
        effects = [*books.settle(now_ns), books.tell_execution(now_ns)]
        if (reason := books.state.causes.get(Cause.OPERATOR_HALT)) is not None:
            # What the halt asked for may have been lost with us, or with execution.
            effects += self._desk.stand_down(reason, now_ns)
        return effects

    def lose(self, lost: Lost, now_ns: int) -> Effects:
        """Know that events may be missing; a journal that does not go on where we are will never be whole again."""
        books = self._books
        books.around.lose_orders(lost.reason, books.state.last_sequence)
        return books.diverge(f"orders: {lost.reason}", now_ns) if lost.is_foreign else books.settle(now_ns)

    def acknowledged(self, answer: object, now_ns: int) -> Effects:
        """Hear what became of something handed over."""
        match answer:
            case Accepted(command_id=command_id):
                self._books.outbox.settle(command_id)
                return ()
            case Refused(fault=fault):
                self._counts.handovers_refused.labels(fault).inc()
                return () if fault in TRY_AGAIN else self._refused(answer, now_ns)
            case _:
                raise InvariantError(f"execution acknowledges with no {type(answer).__name__}")

    def _refused(self, refused: Refused, now_ns: int) -> Effects:
        self._books.outbox.settle(refused.command_id)
        if refused.fault is Fault.REPLAYED:
            # Execution has had it before: what became of it, `orders` tells.
            return (Note("handover_replayed", {"command_id": refused.command_id, "detail": refused.detail}),)
        effects = self._released(refused, now_ns)
        told = f"execution refused our own frame {refused.command_id}: {refused.fault}: {refused.detail}"
        return [*effects, *self._books.diverge(told, now_ns)]

    def _released(self, refused: Refused, now_ns: int) -> list[Effect]:
        before, intent_id = self._books.state, IntentId(refused.command_id)
        order = before.orders.get(intent_id)
        if order is None or order.state is not None:
            return []
        written = self._books.write(HandoverRefused(intent_id, refused.fault, refused.detail, now_ns))
        return [written, *self._moved(before, now_ns)]

    def _moved(self, before: RiskState, now_ns: int) -> list[Effect]:
        return [Publish(POSITIONS, one) for one in changes(before, self._books.state, now_ns)]

    def _is_foreign(self, place: Place) -> bool:
        known = self._books.state.orders_place
        return known is not None and place.epoch != known.epoch

    def _is_next(self, place: Place) -> bool:
        known = self._books.state.orders_place
        if known is not None and place.sequence > known.sequence + 1:
            raise InvariantError(f"order event {place.sequence} after {known.sequence}")
        return known is None or place.sequence == known.sequence + 1

    def _diverge(self, place: Place, now_ns: int) -> Effects:
        known = self._books.state.orders_place
        journal = known.epoch if known is not None else "ours"
        return self._books.diverge(f"orders come from journal {place.epoch}, not {journal}", now_ns)
