"""Holds our record against the venue's, again and again: at start, at each connect of the stream, and in between.

Listens to the order stream: what comes before the account was read is kept back, then heard in order.
"""

from typing import Final

from components.contracts.errors import ConfigError
from components.contracts.orders import OpeningBalance, Reconciled, UpdateSource
from components.contracts.values import AccountId, Venue, VenueOrderId
from components.execution.config import ReconciliationConfig
from components.execution.core.execution_reports import OrderReport
from components.execution.core.order import IN_DOUBT_STATES
from components.execution.core.reconciliation import (
    MismatchDebounce,
    check_account,
    find_differences,
    is_consistent,
    orders_to_query,
    unmatched_fills,
)
from components.execution.core.venue_messages import (
    EventKind,
    FetchVenueSnapshot,
    OrderStreamDown,
    OrderStreamMessage,
    OrderStreamUp,
    UnreadableEvent,
    VenueOrderEvent,
    VenueResponse,
    VenueSnapshot,
)
from components.execution.service.order_journal import OrderJournal
from components.execution.service.venue_health import RequestBudget, VenueHealth
from components.runtime.service import CallVenue, Effect, LogEvent, Terminate

NS_PER_S: Final = 1_000_000_000


REQUESTS_PER_SNAPSHOT: Final = 5


ORDER_QUERIES_COUNTED_MAX: Final = 5
"""Most orders are in the list of open ones; only the others cost a question each."""


RETRY_NS: Final = 150_000_000
"""How soon to look again while readings and fills cross each other."""


FAST_RETRIES_MAX: Final = 8
"""After so many quick readings in a row the pace is the slower one."""


SLOW_RETRY_NS: Final = 2_000_000_000


class AccountSync:
    """One reading of the venue at a time; a round ends when its result could be written down."""

    def __init__(
        self,
        journal: OrderJournal,
        budget: RequestBudget,
        config: ReconciliationConfig,
        venue: Venue,
        account: AccountId,
    ) -> None:
        """Begin with a round that is due at once."""
        self.differences: tuple[str, ...] | None = None
        """Of the last finished round; None before the first."""
        self._journal, self._budget, self._config = journal, budget, config
        self._venue, self._account = venue, account
        self._number = 0
        self._is_in_flight = False
        self._due_at_ns = 0
        self._fast_retries = 0
        self._debounce = MismatchDebounce()
        self._previous_snapshot: VenueSnapshot | None = None
        self._unmatched: set[VenueOrderId] = set()
        self._unmatchable: set[VenueOrderId] = set()
        self._reason = ""
        self._at_opening: set[VenueOrderId] = set()

    def restart(self, now_ns: int) -> None:
        """Read now; a reading that is out already may be older than what made this necessary."""
        self._number += 1
        self._is_in_flight = False
        self._due_at_ns, self._fast_retries = now_ns, 0

    def tick(self, now_ns: int) -> list[Effect]:
        """Send the next reading if it is due."""
        # A due time further away than any interval means that the clock was set back.
        is_due = not now_ns < self._due_at_ns <= now_ns + self._config.interval_s * NS_PER_S
        if self._is_in_flight or not is_due:
            return []
        orders = orders_to_query(self._journal.state, self._unmatched | self._at_opening)
        if not self._budget.may_read(now_ns, REQUESTS_PER_SNAPSHOT + min(len(orders), ORDER_QUERIES_COUNTED_MAX)):
            return []
        self._is_in_flight = True
        return [CallVenue(FetchVenueSnapshot(self._number, orders, self._fills_after_ns(now_ns)))]

    def is_current(self, request: FetchVenueSnapshot) -> bool:
        """Say whether an answer to this is of use."""
        return self._is_in_flight and request.number == self._number

    def on_failure(self, response: VenueResponse, now_ns: int) -> list[Effect]:
        """Try again soon; a venue that cannot be read is never read as flat."""
        self._is_in_flight = False
        self._retry_soon(now_ns)
        reason, self._reason = self._reason, str(response)
        return [] if reason == self._reason else [LogEvent("venue_not_read", {"answer": self._reason}, "warning")]

    def apply_snapshot(self, snapshot: VenueSnapshot, now_ns: int) -> list[Effect]:
        """Write down what a reading adds to our record."""
        self._is_in_flight, self._reason = False, ""
        state = self._journal.state
        if state.opening is None:
            return self._open_journal(snapshot, now_ns)
        try:
            check_account(state.opening, snapshot.account)
        except ConfigError as error:
            return [Terminate(error)]
        effects: list[Effect] = []
        for seen in snapshot.orders:
            if self._is_new(seen.venue_order_id) and state.order_by_client_id(seen.client_order_id) is None:
                effects.extend(
                    self._journal.adopt(seen, reason="not ours", source=UpdateSource.RECONCILIATION, now_ns=now_ns)
                )
        for fill in sorted(snapshot.fills, key=lambda fill: (fill.venue_at_ns, fill.cumulative_quantity)):
            effects.extend(self._journal.apply_execution(fill, UpdateSource.RECONCILIATION, now_ns))
        for seen in snapshot.orders:
            effects.extend(self._journal.apply_report(OrderReport(seen, UpdateSource.RECONCILIATION, now_ns)))
        self._find_unmatched(snapshot)
        return effects

    def compare(self, snapshot: VenueSnapshot, now_ns: int) -> list[Effect]:
        """Write down how our record compares, or look again where that cannot be said yet."""
        state = self._journal.state
        if state.opening is None or self._unmatched:
            self._retry_soon(now_ns)
            return []
        found = find_differences(state, snapshot)
        # An order that may be at the venue may be the difference; it is asked for anyway.
        is_explainable = bool(found) and any(order.state in IN_DOUBT_STATES for order in state.open_orders())
        if is_explainable or not self._debounce.is_confirmed(found, state.fill_count):
            self._retry_soon(now_ns)
            return []
        self._due_at_ns, self._fast_retries = now_ns + self._config.interval_s * NS_PER_S, 0
        self.differences = found
        return [self._journal.append(self._report(snapshot, found, now_ns)), *_differences_event(found)]

    def _open_journal(self, snapshot: VenueSnapshot, now_ns: int) -> list[Effect]:
        before, self._previous_snapshot = self._previous_snapshot, snapshot
        self._find_unmatched(snapshot)
        # The last fills are in the positions already: their orders begin as filled as they are.
        self._at_opening |= self._unmatched
        unseen = self._unmatched - set(snapshot.filled_quantities())
        if before is None or unseen or not is_consistent(before, snapshot):
            return []
        self._at_opening, self._unmatched = set(), set()
        effects: list[Effect] = [
            self._journal.append(OpeningBalance(self._account, snapshot.account, snapshot.positions, now_ns)),
            LogEvent("journal_opened", {"positions": len(snapshot.positions), "orders": len(snapshot.orders)}),
        ]
        for seen in snapshot.orders:
            reason = "found at the opening"
            effects.extend(
                self._journal.adopt(
                    seen, reason=reason, source=UpdateSource.RECONCILIATION, now_ns=now_ns, filled=seen.filled_quantity
                )
            )
        return effects

    def _find_unmatched(self, snapshot: VenueSnapshot) -> None:
        self._unmatchable |= {query.venue_order_id for query in snapshot.missing if query.venue_order_id is not None}
        self._unmatched = unmatched_fills(self._journal.state, snapshot.fills) - self._unmatchable

    def _is_new(self, venue_order_id: VenueOrderId) -> bool:
        return self._journal.state.order_by_venue_id(venue_order_id) is None

    def _fills_after_ns(self, now_ns: int) -> int:
        state = self._journal.state
        known_ns = state.reconciled_at_ns if state.opening is not None else now_ns
        return known_ns - self._config.fills_margin_s * NS_PER_S

    def _retry_soon(self, now_ns: int) -> None:
        self._fast_retries += 1
        self._due_at_ns = now_ns + (RETRY_NS if self._fast_retries <= FAST_RETRIES_MAX else SLOW_RETRY_NS)

    def _report(self, snapshot: VenueSnapshot, found: tuple[str, ...], now_ns: int) -> Reconciled:
        return Reconciled(
            venue=self._venue,
            venue_account=snapshot.account,
            session=snapshot.session,
            positions=snapshot.positions,
            open_orders=tuple(
                order.client_order_id for order in self._journal.state.open_orders() if order.state.is_working
            ),
            differences=found,
            at_ns=now_ns,
        )


def _differences_event(found: tuple[str, ...]) -> list[Effect]:
    return [LogEvent("positions_differ", {"differences": list(found)}, "error")] if found else []


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
