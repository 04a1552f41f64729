"""Holds our record against the venue's, again and again: at start, at each connect of the stream, and in between."""

from typing import Final

from components.contracts.errors import ConfigError
from components.contracts.orders import Opening, Reconciled, Source
from components.contracts.values import AccountId, Venue, VenueOrderId
from components.execution.config import ReconcileConfig
from components.execution.core.orders import IN_QUESTION
from components.execution.core.reconcile import Doubt, check_account, compare, same_moment, to_ask, unexplained
from components.execution.core.truths import Word
from components.execution.core.venue import Answer, ReadVenue, VenueRead
from components.execution.service.book import Book
from components.execution.service.pace import Pace
from components.runtime.service import Call, Effect, Halt, Note

NS_PER_S: Final = 1_000_000_000
READS_PER_ROUND: Final = 5
ORDERS_COUNTED_MAX: Final = 5
"""Most orders are in the list of open ones; only the others cost a question each."""

AGAIN_NS: Final = 150_000_000
"""How soon to look again while readings and fills cross each other."""

QUICK_READS_MAX: Final = 8
"""After so many quick readings in a row the pace is the slower one."""

SLOW_AGAIN_NS: Final = 2_000_000_000


class Rounds:
    """One reading of the venue at a time; a round ends when its result could be written down."""

    def __init__(self, book: Book, pace: Pace, config: ReconcileConfig, venue: Venue, account: AccountId) -> None:
        """Begin with a round that is due at once."""
        self.differences: tuple[str, ...] | None = None
        """Of the last finished round; None before the first."""
        self._book, self._pace, self._config = book, pace, config
        self._venue, self._account = venue, account
        self._number = 0
        self._is_out = False
        self._due_at_ns = 0
        self._quick = 0
        self._doubt = Doubt()
        self._before: VenueRead | None = None
        self._unexplained: set[VenueOrderId] = set()
        self._unexplainable: set[VenueOrderId] = set()
        self._reason = ""
        self._at_opening: set[VenueOrderId] = set()

    def begin_anew(self, now_ns: int) -> None:
        """Read now; a reading that is out already may be older than what made this necessary."""
        self._number += 1
        self._is_out = False
        self._due_at_ns, self._quick = now_ns, 0

    def tick(self, now_ns: int) -> list[Effect]:
        """Send the next reading if it is due."""
        # A due time further away than any interval means that the clock was set back.
        is_due = not now_ns < self._due_at_ns <= now_ns + self._config.interval_s * NS_PER_S
        if self._is_out or not is_due:
            return []
        orders = to_ask(self._book.state, self._unexplained | self._at_opening)
        if not self._pace.may_read(now_ns, READS_PER_ROUND + min(len(orders), ORDERS_COUNTED_MAX)):
            return []
        self._is_out = True
        return [Call(ReadVenue(self._number, orders, self._fills_after_ns(now_ns)))]

    def is_current(self, request: ReadVenue) -> bool:
        """Say whether an answer to this is of use."""
        return self._is_out and request.round == self._number

    def failed(self, answer: Answer, now_ns: int) -> list[Effect]:
        """Try again soon; a venue that cannot be read is never read as flat."""
        self._is_out = False
        self._again(now_ns)
        reason, self._reason = self._reason, str(answer)
        return [] if reason == self._reason else [Note("venue_not_read", {"answer": self._reason}, "warning")]

    def take_in(self, read: VenueRead, now_ns: int) -> list[Effect]:
        """Write down what a reading adds to our record."""
        self._is_out, self._reason = False, ""
        state = self._book.state
        if state.opening is None:
            return self._open(read, now_ns)
        try:
            check_account(state.opening, read.account)
        except ConfigError as error:
            return [Halt(error)]
        effects: list[Effect] = []
        for seen in read.orders:
            if self._is_new(seen.venue_order_id) and state.of_client_id(seen.client_order_id) is None:
                effects.extend(self._book.adopt(seen, reason="not ours", source=Source.RECONCILIATION, now_ns=now_ns))
        for fill in sorted(read.fills, key=lambda fill: (fill.venue_at_ns, fill.cumulative_quantity)):
            effects.extend(self._book.take_in(fill, Source.RECONCILIATION, now_ns))
        for seen in read.orders:
            effects.extend(self._book.hear(Word(seen, Source.RECONCILIATION, now_ns)))
        self._find_unexplained(read)
        return effects

    def conclude(self, read: VenueRead, now_ns: int) -> list[Effect]:
        """Write down how our record compares, or look again where that cannot be said yet."""
        state = self._book.state
        if state.opening is None or self._unexplained:
            self._again(now_ns)
            return []
        found = compare(state, read)
        # An order that may be at the venue may be the difference; it is asked for anyway.
        is_explainable = bool(found) and any(order.state in IN_QUESTION for order in state.open_orders())
        if is_explainable or not self._doubt.is_settled(found, state.fills):
            self._again(now_ns)
            return []
        self._due_at_ns, self._quick = now_ns + self._config.interval_s * NS_PER_S, 0
        self.differences = found
        return [self._book.write(self._report(read, found, now_ns)), *_told(found)]

    def _open(self, read: VenueRead, now_ns: int) -> list[Effect]:
        before, self._before = self._before, read
        self._find_unexplained(read)
        # The last fills are in the positions already: their orders begin as filled as they are.
        self._at_opening |= self._unexplained
        unseen = self._unexplained - set(read.levels())
        if before is None or unseen or not same_moment(before, read):
            return []
        self._at_opening, self._unexplained = set(), set()
        effects: list[Effect] = [
            self._book.write(Opening(self._account, read.account, read.positions, now_ns)),
            Note("journal_opened", {"positions": len(read.positions), "orders": len(read.orders)}),
        ]
        for seen in read.orders:
            reason = "found at the opening"
            effects.extend(
                self._book.adopt(
                    seen, reason=reason, source=Source.RECONCILIATION, now_ns=now_ns, filled=seen.filled_quantity
                )
            )
        return effects

    def _find_unexplained(self, read: VenueRead) -> None:
        self._unexplainable |= {query.venue_order_id for query in read.missing if query.venue_order_id is not None}
        self._unexplained = unexplained(self._book.state, read.fills) - self._unexplainable

    def _is_new(self, venue_order_id: VenueOrderId) -> bool:
        return self._book.state.of_venue_id(venue_order_id) is None

    def _fills_after_ns(self, now_ns: int) -> int:
        state = self._book.state
        known_ns = state.reconciled_at_ns if state.opening is not None else now_ns
        return known_ns - self._config.fills_margin_s * NS_PER_S

    def _again(self, now_ns: int) -> None:
        self._quick += 1
        self._due_at_ns = now_ns + (AGAIN_NS if self._quick <= QUICK_READS_MAX else SLOW_AGAIN_NS)

    def _report(self, read: VenueRead, found: tuple[str, ...], now_ns: int) -> Reconciled:
        return Reconciled(
            venue=self._venue,
            venue_account=read.account,
            session=read.session,
            positions=read.positions,
            open_orders=tuple(
                order.client_order_id for order in self._book.state.open_orders() if order.state.is_working
            ),
            differences=found,
            at_ns=now_ns,
        )


def _told(found: tuple[str, ...]) -> list[Effect]:
    return [Note("positions_differ", {"differences": list(found)}, "error")] if found else []
