"""The order journal being written: each record is folded into the state as it is appended."""

from decimal import Decimal
from typing import Final

from components.contracts.orders import Collided, Filled, OrderMessage, OrderState, OrderUpdated, Source
from components.contracts.values import ZERO
from components.execution.core.chase import Errand
from components.execution.core.identity import Identity, identify, unlike
from components.execution.core.orders import Order
from components.execution.core.state import ExecutionState
from components.execution.core.truths import Told, Word, executed, first_word, told
from components.execution.core.venue import Execution, VenueOrder
from components.execution.service.meters import Meters
from components.runtime.service import Append, Effect, Note

UNCONFIRMED: Final = "the cancel is not confirmed"


class Book:
    """What we know of every order, and the only way to know more: write it down."""

    def __init__(self, state: ExecutionState, meters: Meters, *, cancel_check_ns: int) -> None:
        """Go on from what the journal said."""
        self.state = state
        self._errands: dict[str, Errand] = {}
        self._meters = meters
        self._cancel_check_ns = cancel_check_ns

    def errand(self, order: Order) -> Errand:
        """Give what is going on about an order."""
        return self._errands.setdefault(order.key, Errand())

    def errands(self) -> tuple[tuple[str, Errand], ...]:
        """Give everything that is going on."""
        return tuple(self._errands.items())

    def write(self, record: OrderMessage) -> Append:
        """Append a record, and know it."""
        order = self.state.known(record) if isinstance(record, OrderUpdated | Filled) else None
        self.state.apply(record)
        self._meters.wrote(order.state if order is not None else None, record)
        return Append(record)

    def move(self, order: Order, state: OrderState, reason: str, source: Source, now_ns: int) -> Append:
        """Write down a state that is not a venue's account of the order."""
        return self.write(
            OrderUpdated(
                intent_id=order.intent_id,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                filled_quantity=order.filled,
                average_price=order.average_price,
                state=state,
                source=source,
                reason=reason,
                at_ns=now_ns,
            )
        )

    def hear(self, word: Word) -> list[Effect]:
        """Take in the venue's word about one order, whoever's it is."""
        order, effects = self._owner_of(word)
        news = told(order, word)
        effects.extend(self._write_down(order, news))
        self._look_after(self.state.orders[order.key], news, word)
        return effects

    def take_in(self, execution: Execution, source: Source, now_ns: int) -> list[Effect]:
        """Take in one execution of an order we know, where nothing is missing before it."""
        order = self.state.of_venue_id(execution.venue_order_id)
        fill = executed(order, execution, source=source, at_ns=now_ns) if order is not None else None
        return [] if order is None or fill is None else self._write_down(order, Told((fill,)))

    def adopt(
        self, seen: VenueOrder, *, reason: str, source: Source, now_ns: int, filled: Decimal = ZERO
    ) -> list[Effect]:
        """Begin an order that is not ours: it moves our positions all the same."""
        record = first_word(seen, source=source, reason=reason, at_ns=now_ns, filled=filled)
        return [self.write(record), _about(seen, "foreign_order_adopted", reason=reason)]

    def doubt(self, seen: VenueOrder, reason: str, now_ns: int) -> None:
        """Have the venue asked about an order."""
        order = self.state.of_venue_id(seen.venue_order_id)
        if order is not None:
            errand = self.errand(order)
            errand.doubt, errand.due_at_ns = reason, min(errand.due_at_ns, now_ns)

    def forget_settled(self) -> None:
        """Drop what was going on about orders that are final and beyond doubt."""
        for key, errand in self.errands():
            order = self.state.orders[key]
            if order.state.is_final and not errand.doubt and not errand.posted_at_ns and not errand.asked_at_ns:
                del self._errands[key]

    def _owner_of(self, word: Word) -> tuple[Order, list[Effect]]:
        seen = word.order
        effects: list[Effect] = []
        known = self.state.of_venue_id(seen.venue_order_id)
        if known is not None:
            return known, effects
        ours = self.state.of_client_id(seen.client_order_id)
        reason = "not ours"
        if ours is not None and ours.venue_order_id is None:
            match identify(ours, seen):
                case Identity.OURS:
                    return ours, effects
                case Identity.FENCE:
                    reason = f"the fence of {ours.intent_id}"
                case Identity.ANOTHER:
                    reason = unlike(ours, seen)
                    effects.append(self.write(Collided(ours.client_order_id, reason, word.at_ns)))
                    effects.append(_about(seen, "client_order_id_collided", level="critical", detail=reason))
            effects.extend(self._never_landed(ours, reason, word))
        effects.extend(self.adopt(seen, reason=reason, source=word.source, now_ns=word.at_ns))
        return self._adopted(seen), effects

    def _adopted(self, seen: VenueOrder) -> Order:
        order = self.state.of_venue_id(seen.venue_order_id)
        if order is None:
            raise KeyError(seen.venue_order_id)
        return order

    def _never_landed(self, ours: Order, reason: str, word: Word) -> list[Effect]:
        """Close ours: its id is used up by what was found, so it cannot be at the venue, now or later."""
        effects: list[Effect] = []
        if ours.state is OrderState.SENDING:
            effects.append(self.move(ours, OrderState.UNKNOWN, reason, word.source, word.at_ns))
            ours = self.state.orders[ours.key]
        if ours.state is OrderState.UNKNOWN:
            effects.append(self.move(ours, OrderState.NEVER_LANDED, reason, word.source, word.at_ns))
        return effects

    def _write_down(self, order: Order, news: Told) -> list[Effect]:
        effects: list[Effect] = [self.write(record) for record in news.records]
        if order.state.is_final and any(isinstance(record, Filled) for record in news.records):
            facts = {"client_order_id": order.client_order_id, "state": order.state.value, "symbol": order.symbol}
            effects.append(Note("late_fill", facts, "error"))
        return effects

    def _look_after(self, order: Order, news: Told, word: Word) -> None:
        errand = self.errand(order)
        if news.doubt:
            errand.doubt = news.doubt
            # An answer that leaves a doubt is not asked for again at once.
            if word.source is Source.QUERY:
                errand.wait(word.at_ns)
            else:
                errand.due_at_ns = min(errand.due_at_ns, word.at_ns)
        elif word.source is Source.QUERY or (news.records and not errand.doubt):
            errand.doubt, errand.tries, errand.due_at_ns = "", 0, 0
        if order.state is OrderState.CANCELLING and not errand.doubt and self._is_left_alone(order, word):
            errand.doubt, errand.due_at_ns = UNCONFIRMED, word.at_ns + self._cancel_check_ns

    def _is_left_alone(self, order: Order, word: Word) -> bool:
        # A cancel of ours that the venue was just asked about is sent again instead.
        return not (order.is_cancel_wanted and word.source is Source.QUERY)


def _about(seen: VenueOrder, event: str, *, level: str = "warning", **facts: str) -> Note:
    names = {"client_order_id": seen.client_order_id, "venue_order_id": seen.venue_order_id, "symbol": seen.symbol}
    return Note(event, {**names, **facts}, level)
