"""One book as it is published: in step with its venue, shown by its top, and never shown while it is not believed."""

from collections import deque
from collections.abc import Callable
from typing import Final

from components.contracts.market import BookDelta, BookGap, BookLevels, BookSnapshot, BookState, SymbolHealth
from components.contracts.streams import BOOKS, MARKET
from components.contracts.values import Venue
from components.market_data.core.book.audit import Audit, Verdict
from components.market_data.core.book.order_book import TopOfBook
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncResult
from components.market_data.core.events import DepthSnapshot, DepthUpdate
from components.market_data.core.instruments import Instrument
from components.market_data.core.numerics import InvalidNumber
from components.runtime.service import Effect, LogEvent, Publish

NEVER_PUBLISHED: Final = -2
"""No id of a venue: even a book without ids stands at -1."""


ROUTINE_STATES: Final = frozenset({BookState.SYNCED, BookState.SYNCING, BookState.CROSSED})
"""A book that crosses for a moment must not fill the log; the counters see it all."""


class PublishedBook:
    """Takes what the venue says of one book; gives what is to be said of it."""

    __slots__ = (
        "_audited_at_ns",
        "_gaps",
        "_health",
        "_levels",
        "_snapshot_depth",
        "_top",
        "_venue",
        "audit",
        "instrument",
        "published_id",
        "sync",
    )

    def __init__(
        self, venue: Venue, instrument: Instrument, sync: BookSynchronizer, levels: int, gaps: "deque[BookGap]"
    ) -> None:
        """Share the list of recent gaps with the other books."""
        self.sync, self.instrument = sync, instrument
        self.published_id = NEVER_PUBLISHED
        self.audit: Audit | None = None
        self._audited_at_ns = sync.since_ns
        self._venue, self._gaps, self._levels = venue, gaps, levels
        self._snapshot_depth = 0
        self._top = TopOfBook(levels, instrument.contract_multiplier)
        self._health = self._current_health()

    @property
    def health(self) -> SymbolHealth:
        """Say how far the book is to be believed."""
        return self._health

    def on_instrument_update(self, instrument: Instrument) -> None:
        """Hear what the venue lists now; in another unit the book is shown anew with its next change."""
        if instrument.contract_multiplier != self.instrument.contract_multiplier:
            self._top, self.published_id = TopOfBook(self._levels, instrument.contract_multiplier), NEVER_PUBLISHED
        self.instrument = instrument
        self.sync.on_instrument_update(may_cross=instrument.may_cross)

    def apply_update(self, update: DepthUpdate) -> list[Effect]:
        """Take the venue's next change; what is distrusted is said first, what is trusted again last."""
        took = self.sync.apply_update(update)
        if took is SyncResult.APPLIED and self.sync.state is BookState.SYNCED:
            return self._publish_changes(self._delta)
        return (
            self.health_changes() if took is not SyncResult.STALE or self.sync.state is not self._health.state else []
        )

    def apply_snapshot(self, snapshot: DepthSnapshot, epoch: int | None = None) -> list[Effect]:
        """Take an image; it is published whole, for it replaces everything."""
        took = self.sync.apply_snapshot(snapshot, epoch)
        if took is SyncResult.SYNCED:
            self._snapshot_depth = snapshot.depth_max
        if took is not SyncResult.SYNCED or self.sync.state is not BookState.SYNCED:
            return self.health_changes()
        return self._publish_changes(lambda: [self._publish(self._snapshot())])

    def on_subscribed(self, now_ns: int, *, pushes_snapshot: bool) -> list[Effect]:
        """Hear that the book's stream is confirmed."""
        self.sync.on_subscribed(now_ns, pushes_snapshot=pushes_snapshot)
        return self.health_changes()

    def on_disconnect(self, reason: str, now_ns: int) -> list[Effect]:
        """Hear that the book's stream is gone."""
        self.sync.on_disconnect(reason, now_ns)
        return self.health_changes()

    def on_decode_failure(self, reason: str, now_ns: int) -> list[Effect]:
        """Hear that something of the book could not be read."""
        self.sync.on_decode_failure(reason, now_ns)
        return self.health_changes()

    def on_snapshot_failed(self, reason: str, epoch: int, now_ns: int, retry_after_ms: float) -> list[Effect]:
        """Hear that an image could not be had."""
        self.sync.on_snapshot_failed(reason, epoch, now_ns, retry_after_ms=retry_after_ms)
        return self.health_changes()

    def mark_stale(self, reason: str, now_ns: int) -> list[Effect]:
        """Hear that the venue has been silent for too long."""
        self.sync.mark_stale(reason, now_ns)
        return self.health_changes()

    def resync(self, state: BookState, reason: str, now_ns: int) -> list[Effect]:
        """Give the book up and begin anew."""
        self.sync.resync(state, reason, now_ns)
        return self.health_changes()

    def snapshot(self) -> BookSnapshot | None:
        """Give what was shown last; None where nothing believed was shown."""
        if self.published_id == NEVER_PUBLISHED:
            return None
        return self._as_snapshot(*self._top.current())

    def health_changes(self) -> list[Effect]:
        """Say what changed in the trust in the book, with the gap behind it."""
        sync, said = self.sync, list[Effect]()
        if sync.gap is not None:
            gap, sync.gap = sync.gap, None
            record = BookGap(self._venue, sync.symbol, gap.expected, gap.got, gap.at_ns)
            self._gaps.append(record)
            said.append(self._publish(record))
        before, now = self._health, self._current_health()
        if (before.state, before.reason) == (now.state, now.reason):
            return said
        self._health = now
        if not sync.is_live:
            self.published_id, self.audit = NEVER_PUBLISHED, None
        said += (self._publish(now), Publish(MARKET, now))
        if before.state is not now.state:
            facts = {"symbol": now.symbol, "before": before.state, "state": now.state, "reason": now.reason}
            level = "debug" if now.state in ROUTINE_STATES and before.state in ROUTINE_STATES else "info"
            said.append(LogEvent("book_state_changed", facts, level))
        return said

    @property
    def is_shallow(self) -> bool:
        """Say whether too little is left of what the image showed; one that was short itself is no reason to ask."""
        is_short = 0 < self._snapshot_depth <= self._levels
        return self.sync.book.is_shallow(self._snapshot_depth // 2 if is_short else self._levels)

    def spread_audits(self, by_ns: int) -> None:
        """Begin the first audit so much sooner than the others: many at once would crowd each other out."""
        self._audited_at_ns -= by_ns

    def is_audit_due(self, now_ns: int, every_ns: int) -> bool:
        """Say whether an audit is to begin; from its beginning the next is counted."""
        if self.audit is not None or now_ns - self._audited_at_ns < every_ns:
            return False
        self._audited_at_ns = now_ns
        return True

    def advance_audit(self) -> Verdict | None:
        """Show the audit under way the book's state; give its verdict if that decides it."""
        return self.audit.add_state(self.sync.last_id, self.sync.book) if self.audit is not None else None

    def _publish_changes(self, build: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            said = build()
        except InvalidNumber as error:
            # What stands deep in a book is read only when it comes to the top.
            return self.on_decode_failure(f"unreadable level: {error}", self.sync.received_at_ns)
        return said if self._health.state is BookState.SYNCED else [*said, *self.health_changes()]

    def _delta(self) -> list[Effect]:
        sync = self.sync
        if self.published_id == NEVER_PUBLISHED:
            return [self._publish(self._snapshot())]
        bids, asks = self._top.diff(sync.book)
        if not bids and not asks:
            return []
        previous, self.published_id = self.published_id, sync.last_id
        delta = BookDelta(
            self._venue, sync.symbol, previous, sync.last_id, bids, asks, sync.venue_at_ns, sync.received_at_ns
        )
        return [Publish(BOOKS, delta, sync.venue_at_ns, sync.received_at_ns)]

    def _snapshot(self) -> BookSnapshot:
        self.published_id = self.sync.last_id
        return self._as_snapshot(*self._top.refresh(self.sync.book))

    def _as_snapshot(self, bids: BookLevels, asks: BookLevels) -> BookSnapshot:
        sync = self.sync
        return BookSnapshot(
            self._venue, sync.symbol, self.published_id, bids, asks, sync.venue_at_ns, sync.received_at_ns
        )

    def _publish(self, body: BookSnapshot | SymbolHealth | BookGap) -> Publish:
        return Publish(BOOKS, body, self.sync.venue_at_ns, self.sync.received_at_ns)

    def _current_health(self) -> SymbolHealth:
        sync = self.sync
        return SymbolHealth(self._venue, sync.symbol, sync.state, sync.reason, sync.since_ns)
