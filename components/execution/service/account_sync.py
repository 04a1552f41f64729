"""Synchronises the journal with the venue's account: at start, at each connect of the order stream, and periodically.

Order events that arrive before the first snapshot after a connect are buffered and applied after it.
"""

from typing import Final

from components.contracts.errors import ConfigError
from components.contracts.orders import OpeningBalance, Reconciled, UpdateSource
from components.contracts.values import AccountId, Venue, VenueOrderId
from components.execution.config import ReconciliationConfig
from components.execution.core.execution_reports import OrderReport
from components.execution.core.order import UNRESOLVED_STATES
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
from components.runtime.clock import NS_PER_S
from components.runtime.service import CallVenue, Effect, LogEvent, Terminate

REQUESTS_PER_SNAPSHOT: Final = 5
ORDER_QUERIES_COUNTED_MAX: Final = 5
"""Upper bound of the queries for single orders in the budget of a snapshot: most are in the list of open orders."""
RETRY_NS: Final = 150_000_000
"""Delay of the next snapshot while the last one cannot be used, because fills and snapshots overtake each other."""
FAST_RETRIES_MAX: Final = 8
"""After this many fast retries in a row the slower delay is used."""
SLOW_RETRY_NS: Final = 2_000_000_000


class AccountSync:
    """Fetches one snapshot at a time; a reconciliation takes as many as it needs until its result can be recorded."""

    def __init__(
        self,
        journal: OrderJournal,
        budget: RequestBudget,
        config: ReconciliationConfig,
        venue: Venue,
        account: AccountId,
    ) -> None:
        """Create it with a snapshot due at once."""
        self.differences: tuple[str, ...] | None = None
        """Differences of the last finished reconciliation; None before the first."""
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
        self._last_failure = ""
        self._at_opening: set[VenueOrderId] = set()

    def restart(self, now_ns: int) -> None:
        """Fetch a snapshot now and discard one in flight.

        The one in flight may be older than the event that requires a new one.
        """
        self._number += 1
        self._is_in_flight = False
        self._due_at_ns, self._fast_retries = now_ns, 0

    def tick(self, now_ns: int) -> list[Effect]:
        """Send the next snapshot request if it is due."""
        # A due time further away than any interval means that the clock was set back.
        is_due = not now_ns < self._due_at_ns <= now_ns + self._config.interval_s * NS_PER_S
        if self._is_in_flight or not is_due:
            return []
        orders = orders_to_query(self._journal.state, self._unmatched | self._at_opening)
        if not self._budget.try_acquire_reads(
            now_ns, REQUESTS_PER_SNAPSHOT + min(len(orders), ORDER_QUERIES_COUNTED_MAX)
        ):
            return []
        self._is_in_flight = True
        return [CallVenue(FetchVenueSnapshot(self._number, orders, self._fills_after_ns(now_ns)))]

    def is_current(self, request: FetchVenueSnapshot) -> bool:
        """Return whether the response to this request is still needed."""
        return self._is_in_flight and request.number == self._number

    def on_failure(self, response: VenueResponse, now_ns: int) -> list[Effect]:
        """Retry soon; a venue that cannot be read is never treated as flat."""
        self._is_in_flight = False
        self._retry_soon(now_ns)
        previous, self._last_failure = self._last_failure, str(response)
        return (
            []
            if previous == self._last_failure
            else [LogEvent("venue_snapshot_failed", {"response": self._last_failure}, "warning")]
        )

    def apply_snapshot(self, snapshot: VenueSnapshot, now_ns: int) -> list[Effect]:
        """Append what a snapshot adds to the journal."""
        self._is_in_flight, self._last_failure = False, ""
        state = self._journal.state
        if state.opening is None:
            return self._open_journal(snapshot, now_ns)
        try:
            check_account(state.opening, snapshot.account)
        except ConfigError as error:
            return [Terminate(error)]
        effects: list[Effect] = []
        for venue_order in snapshot.orders:
            if (
                self._is_new(venue_order.venue_order_id)
                and state.order_by_client_id(venue_order.client_order_id) is None
            ):
                effects.extend(
                    self._journal.adopt(
                        venue_order, reason="not ours", source=UpdateSource.RECONCILIATION, now_ns=now_ns
                    )
                )
        for fill in sorted(snapshot.fills, key=lambda fill: (fill.venue_at_ns, fill.cumulative_quantity)):
            effects.extend(self._journal.apply_execution(fill, UpdateSource.RECONCILIATION, now_ns))
        for venue_order in snapshot.orders:
            effects.extend(self._journal.apply_report(OrderReport(venue_order, UpdateSource.RECONCILIATION, now_ns)))
        self._find_unmatched(snapshot)
        return effects

    def compare(self, snapshot: VenueSnapshot, now_ns: int) -> list[Effect]:
        """Record the differences between journal and venue, or retry soon if they are not confirmed yet."""
        state = self._journal.state
        if state.opening is None or self._unmatched:
            self._retry_soon(now_ns)
            return []
        differences = find_differences(state, snapshot)
        # An unresolved order may explain the difference; it is queried anyway.
        is_explainable = bool(differences) and any(order.state in UNRESOLVED_STATES for order in state.open_orders())
        if is_explainable or not self._debounce.is_confirmed(differences, state.fill_count):
            self._retry_soon(now_ns)
            return []
        self._due_at_ns, self._fast_retries = now_ns + self._config.interval_s * NS_PER_S, 0
        self.differences = differences
        return [self._journal.append(self._report(snapshot, differences, now_ns)), *_differences_event(differences)]

    def _open_journal(self, snapshot: VenueSnapshot, now_ns: int) -> list[Effect]:
        before, self._previous_snapshot = self._previous_snapshot, snapshot
        self._find_unmatched(snapshot)
        # The positions include the latest fills already: their orders are adopted with the quantity filled so far.
        self._at_opening |= self._unmatched
        unseen = self._unmatched - set(snapshot.filled_quantities())
        if before is None or unseen or not is_consistent(before, snapshot):
            return []
        self._at_opening, self._unmatched = set(), set()
        effects: list[Effect] = [
            self._journal.append(OpeningBalance(self._account, snapshot.account, snapshot.positions, now_ns)),
            LogEvent("journal_opened", {"positions": len(snapshot.positions), "orders": len(snapshot.orders)}),
        ]
        for venue_order in snapshot.orders:
            reason = "found at the opening balance"
            effects.extend(
                self._journal.adopt(
                    venue_order,
                    reason=reason,
                    source=UpdateSource.RECONCILIATION,
                    now_ns=now_ns,
                    filled=venue_order.filled_quantity,
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
        reconciled_at_ns = state.reconciled_at_ns if state.opening is not None else now_ns
        return reconciled_at_ns - self._config.fills_margin_s * NS_PER_S

    def _retry_soon(self, now_ns: int) -> None:
        self._fast_retries += 1
        self._due_at_ns = now_ns + (RETRY_NS if self._fast_retries <= FAST_RETRIES_MAX else SLOW_RETRY_NS)

    def _report(self, snapshot: VenueSnapshot, differences: tuple[str, ...], now_ns: int) -> Reconciled:
        return Reconciled(
            venue=self._venue,
            venue_account=snapshot.account,
            session=snapshot.session,
            positions=snapshot.positions,
            open_orders=tuple(
                order.client_order_id for order in self._journal.state.open_orders() if order.state.is_working
            ),
            differences=differences,
            at_ns=now_ns,
        )


class TradeUpdateBuffer:
    """Buffers order events from each connect until the next snapshot, which contains what the stream missed."""

    def __init__(
        self, journal: OrderJournal, account_sync: AccountSync, health: VenueHealth, *, events_max: int
    ) -> None:
        """Create it in the buffering state."""
        self.is_live = False
        self._journal, self._account_sync, self._health = journal, account_sync, health
        self._buffered: list[VenueOrderEvent] = []
        self._events_max = events_max
        self._down_reason = ""

    def on_message(self, body: OrderStreamMessage, now_ns: int) -> list[Effect]:
        """Handle a message of the order stream."""
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
        """Apply the buffered events once a snapshot was applied since the stream connected."""
        if self.is_live or not self._health.is_stream_up or self._journal.state.opening is None:
            return []
        self.is_live = True
        buffered, self._buffered = self._buffered, []
        return [effect for event in buffered for effect in self._apply(event, now_ns)]

    def _on_down(self, reason: str) -> list[Effect]:
        self._health.is_stream_up, self.is_live = False, False
        # While the venue stays unreachable, every attempt gives the same reason.
        if reason == self._down_reason:
            return []
        self._down_reason = reason
        return [LogEvent("order_stream_down", {"reason": reason}, "warning")]

    def _on_up(self, now_ns: int) -> list[Effect]:
        self._health.is_stream_up, self.is_live = True, False
        self._down_reason = ""
        self._buffered.clear()
        self._account_sync.restart(now_ns)
        return [LogEvent("order_stream_up", {})]

    def _on_event(self, event: VenueOrderEvent, now_ns: int) -> list[Effect]:
        if self.is_live:
            return self._apply(event, now_ns)
        if len(self._buffered) >= self._events_max:
            # A snapshot contains the effect of all dropped events if it is fetched later than they arrived.
            self._buffered.clear()
            self._account_sync.restart(now_ns)
        self._buffered.append(event)
        return []

    def _apply(self, event: VenueOrderEvent, now_ns: int) -> list[Effect]:
        is_cancel_rejected = event.kind is EventKind.CANCEL_REJECTED
        effects = self._journal.apply_report(
            OrderReport(event.order, UpdateSource.STREAM, now_ns, event.execution, is_cancel_rejected)
        )
        if event.kind is None:
            self._journal.request_query(event.order, f"unknown event type while {event.order.venue_status}", now_ns)
        return effects


def _differences_event(differences: tuple[str, ...]) -> list[Effect]:
    return [LogEvent("positions_differ", {"differences": list(differences)}, "error")] if differences else []
