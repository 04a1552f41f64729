"""Listens to the order stream: what comes before the account was read is kept back, then heard in order."""

from components.contracts.orders import Source
from components.execution.core.condition import Contact
from components.execution.core.truths import Word
from components.execution.core.venue import EventKind, OrderEvent, StreamBody, StreamDown, StreamUp, UnreadableEvent
from components.execution.service.book import Book
from components.execution.service.rounds import Rounds
from components.runtime.service import Effect, Note


class Ear:
    """Buffers from each connect until the next reading of the venue, which knows what the stream missed."""

    def __init__(self, book: Book, rounds: Rounds, contact: Contact, *, events_max: int) -> None:
        """Begin deaf."""
        self.is_live = False
        self._book, self._rounds, self._contact = book, rounds, contact
        self._kept: list[OrderEvent] = []
        self._events_max = events_max
        self._reason = ""

    def heard(self, body: StreamBody, now_ns: int) -> list[Effect]:
        """Take in what the stream says."""
        match body:
            case StreamUp():
                return self._up(now_ns)
            case StreamDown(reason):
                return self._down(reason)
            case UnreadableEvent(reason):
                self._rounds.begin_anew(now_ns)
                return [Note("order_event_unreadable", {"reason": reason}, "error")]
            case OrderEvent():
                return self._event(body, now_ns)

    def go_live(self, now_ns: int) -> list[Effect]:
        """Hear what was kept back: the account has been read since the stream is up."""
        if self.is_live or not self._contact.is_stream_up or self._book.state.opening is None:
            return []
        self.is_live = True
        kept, self._kept = self._kept, []
        return [effect for event in kept for effect in self._hear(event, now_ns)]

    def _down(self, reason: str) -> list[Effect]:
        self._contact.is_stream_up, self.is_live = False, False
        # A venue that stays away says the same with every try.
        if reason == self._reason:
            return []
        self._reason = reason
        return [Note("order_stream_down", {"reason": reason}, "warning")]

    def _up(self, now_ns: int) -> list[Effect]:
        self._contact.is_stream_up, self.is_live = True, False
        self._reason = ""
        self._kept.clear()
        self._rounds.begin_anew(now_ns)
        return [Note("order_stream_up", {})]

    def _event(self, event: OrderEvent, now_ns: int) -> list[Effect]:
        if self.is_live:
            return self._hear(event, now_ns)
        if len(self._kept) >= self._events_max:
            # The reading that is to come knows all of these; it must only be a later one.
            self._kept.clear()
            self._rounds.begin_anew(now_ns)
        self._kept.append(event)
        return []

    def _hear(self, event: OrderEvent, now_ns: int) -> list[Effect]:
        is_cancel_refused = event.kind is EventKind.CANCEL_REFUSED
        effects = self._book.hear(Word(event.order, Source.STREAM, now_ns, event.execution, is_cancel_refused))
        if event.kind is None:
            self._book.doubt(event.order, f"an event new to us while {event.order.word}", now_ns)
        return effects
