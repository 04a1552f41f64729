"""Listens to the order stream: what comes before the account was read is kept back, then heard in order."""

from components.contracts.orders import UpdateSource
from components.execution.core.condition import VenueHealth
from components.execution.core.truths import OrderReport
from components.execution.core.venue import (
    EventKind,
    OrderStreamDown,
    OrderStreamMessage,
    OrderStreamUp,
    UnreadableEvent,
    VenueOrderEvent,
)
from components.execution.service.book import OrderJournal
from components.execution.service.rounds import AccountSync
from components.runtime.service import Effect, LogEvent


class TradeUpdateBuffer:
    """Buffers from each connect until the next reading of the venue, which knows what the stream missed."""

    def __init__(
        self, journal: OrderJournal, account_sync: AccountSync, health: VenueHealth, *, events_max: int
    ) -> None:
        """Begin deaf."""
        self.is_live = False
        self._journal, self._account_sync, self._health = journal, account_sync, health
        self._buffered: list[VenueOrderEvent] = []
        self._events_max = events_max
        self._reason = ""

    def on_message(self, body: OrderStreamMessage, now_ns: int) -> list[Effect]:
        """Take in what the stream says."""
        match body:
            case OrderStreamUp():
                return self._on_up(now_ns)
            case OrderStreamDown(reason):
                return self._on_down(reason)
            case UnreadableEvent(reason):
                self._account_sync.restart(now_ns)
                return [LogEvent("order_event_unreadable", {"reason": reason}, "error")]
            case VenueOrderEvent():
                return self._on_event(body, now_ns)

    def go_live(self, now_ns: int) -> list[Effect]:
        """Hear what was kept back: the account has been read since the stream is up."""
        if self.is_live or not self._health.is_stream_up or self._journal.state.opening is None:
            return []
        self.is_live = True
        kept, self._buffered = self._buffered, []
        return [effect for event in kept for effect in self._apply(event, now_ns)]

    def _on_down(self, reason: str) -> list[Effect]:
        self._health.is_stream_up, self.is_live = False, False
        # A venue that stays away says the same with every try.
        if reason == self._reason:
            return []
        self._reason = reason
        return [LogEvent("order_stream_down", {"reason": reason}, "warning")]

    def _on_up(self, now_ns: int) -> list[Effect]:
        self._health.is_stream_up, self.is_live = True, False
        self._reason = ""
        self._buffered.clear()
        self._account_sync.restart(now_ns)
        return [LogEvent("order_stream_up", {})]

    def _on_event(self, event: VenueOrderEvent, now_ns: int) -> list[Effect]:
        if self.is_live:
            return self._apply(event, now_ns)
        if len(self._buffered) >= self._events_max:
            # The reading that is to come knows all of these; it must only be a later one.
            self._buffered.clear()
            self._account_sync.restart(now_ns)
        self._buffered.append(event)
        return []

    def _apply(self, event: VenueOrderEvent, now_ns: int) -> list[Effect]:
        is_cancel_refused = event.kind is EventKind.CANCEL_REJECTED
        effects = self._journal.apply_report(
            OrderReport(event.order, UpdateSource.STREAM, now_ns, event.execution, is_cancel_refused)
        )
        if event.kind is None:
            self._journal.request_query(event.order, f"an event new to us while {event.order.venue_status}", now_ns)
        return effects
