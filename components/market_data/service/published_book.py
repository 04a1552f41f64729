"""One book as published: synchronized with its venue, reduced to its top, and withheld while it is out of sync."""

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
from components.runtime.service import Effect, EventLevel, LogEvent, Publish

NEVER_PUBLISHED: Final = -2
"""Not an id of any venue: even a book without ids has -1."""
ROUTINE_STATES: Final = frozenset({BookState.SYNCED, BookState.SYNCING, BookState.CROSSED})
"""Changes between these states are logged at debug level: a book that crosses for a moment must not fill the log.

The counters show it.
"""


class PublishedBook:
    """Turns the venue's messages about one book into publications."""

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
        self, venue: Venue, instrument: Instrument, sync: BookSynchronizer, levels: int, gaps: deque[BookGap]
    ) -> None:
        """Start unpublished; `gaps` is the list of recent gaps that all books share."""
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
        """Return the health that was published last."""
        return self._health

    def on_instrument_update(self, instrument: Instrument) -> None:
        """Use new metadata; if the contract multiplier changed, the next update publishes a whole snapshot."""
        if instrument.contract_multiplier != self.instrument.contract_multiplier:
            self._top, self.published_id = TopOfBook(self._levels, instrument.contract_multiplier), NEVER_PUBLISHED
        self.instrument = instrument
        self.sync.on_instrument_update(may_cross=instrument.may_cross)

    def apply_update(self, update: DepthUpdate) -> list[Effect]:
        """Apply the venue's next update. Loss of sync is published before data, recovery after it."""
        result = self.sync.apply_update(update)
        if result is SyncResult.APPLIED and self.sync.state is BookState.SYNCED:
            return self._publish_changes(self._delta)
        return (
            self.health_changes() if result is not SyncResult.STALE or self.sync.state is not self._health.state else []
        )

    def apply_snapshot(self, snapshot: DepthSnapshot, epoch: int | None = None) -> list[Effect]:
        """Apply a snapshot. It is published whole, because it replaces everything."""
        result = self.sync.apply_snapshot(snapshot, epoch)
        if result is SyncResult.SYNCED:
            self._snapshot_depth = snapshot.depth_max
        if result is not SyncResult.SYNCED or self.sync.state is not BookState.SYNCED:
            return self.health_changes()
        return self._publish_changes(lambda: [self._publish(self._snapshot())])

    def on_subscribed(self, now_ns: int, *, pushes_snapshot: bool) -> list[Effect]:
        """Handle the confirmation of the book's stream."""
        self.sync.on_subscribed(now_ns, pushes_snapshot=pushes_snapshot)
        return self.health_changes()

    def on_disconnect(self, reason: str, now_ns: int) -> list[Effect]:
        """Handle the loss of the book's stream."""
        self.sync.on_disconnect(reason, now_ns)
        return self.health_changes()

    def on_decode_failure(self, reason: str, now_ns: int) -> list[Effect]:
        """Handle a message about the book that could not be decoded."""
        self.sync.on_decode_failure(reason, now_ns)
        return self.health_changes()

    def on_snapshot_failed(self, reason: str, epoch: int, now_ns: int, retry_after_ms: float) -> list[Effect]:
        """Handle a snapshot request that failed."""
        self.sync.on_snapshot_failed(reason, epoch, now_ns, retry_after_ms=retry_after_ms)
        return self.health_changes()

    def mark_stale(self, reason: str, now_ns: int) -> list[Effect]:
        """Publish that the venue sent nothing for too long."""
        self.sync.mark_stale(reason, now_ns)
        return self.health_changes()

    def resync(self, state: BookState, reason: str, now_ns: int) -> list[Effect]:
        """Discard the book and start again."""
        self.sync.resync(state, reason, now_ns)
        return self.health_changes()

    def snapshot(self) -> BookSnapshot | None:
        """Return the state that was published last; None if there is none."""
        if self.published_id == NEVER_PUBLISHED:
            return None
        return self._as_snapshot(*self._top.current())

    def health_changes(self) -> list[Effect]:
        """Return effects that publish a detected gap and a changed health.

        Must be called after each change of `sync`.
        """
        sync, effects = self.sync, list[Effect]()
        if sync.gap is not None:
            gap, sync.gap = sync.gap, None
            record = BookGap(self._venue, sync.symbol, gap.expected, gap.got, gap.at_ns)
            self._gaps.append(record)
            effects.append(self._publish(record))
        before, now = self._health, self._current_health()
        if (before.state, before.reason) == (now.state, now.reason):
            return effects
        self._health = now
        if not sync.is_live:
            self.published_id, self.audit = NEVER_PUBLISHED, None
        effects += (self._publish(now), Publish(MARKET, now))
        if before.state is not now.state:
            fields = {"symbol": now.symbol, "before": before.state, "state": now.state, "reason": now.reason}
            level: EventLevel = "debug" if now.state in ROUTINE_STATES and before.state in ROUTINE_STATES else "info"
            effects.append(LogEvent("book_state_changed", fields, level))
        return effects

    @property
    def is_shallow(self) -> bool:
        """Return whether too few levels of the snapshot are left. A short snapshot must keep half of its own depth."""
        is_short = 0 < self._snapshot_depth <= self._levels
        return self.sync.book.is_shallow(self._snapshot_depth // 2 if is_short else self._levels)

    def spread_audits(self, by_ns: int) -> None:
        """Start the first audit earlier by this time, so that the audits of many books are spread."""
        self._audited_at_ns -= by_ns

    def is_audit_due(self, now_ns: int, every_ns: int) -> bool:
        """Return whether an audit is due; if so, the next interval starts now."""
        if self.audit is not None or now_ns - self._audited_at_ns < every_ns:
            return False
        self._audited_at_ns = now_ns
        return True

    def advance_audit(self) -> Verdict | None:
        """Add the book's state to the running audit; return its verdict if this state decides it."""
        return self.audit.add_state(self.sync.last_id, self.sync.book) if self.audit is not None else None

    def _publish_changes(self, build: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            effects = build()
        except InvalidNumber as error:
            # A level deep in the book is validated only when it reaches the top.
            return self.on_decode_failure(f"invalid level: {error}", self.sync.received_at_ns)
        return effects if self._health.state is BookState.SYNCED else [*effects, *self.health_changes()]

    def _delta(self) -> list[Effect]:
        sync = self.sync
        if self.published_id == NEVER_PUBLISHED:
            return [self._publish(self._snapshot())]
        bids, asks = self._top.diff(sync.book)
        if not bids and not asks:
            return []
        prev_id, self.published_id = self.published_id, sync.last_id
        delta = BookDelta(
            self._venue, sync.symbol, prev_id, sync.last_id, bids, asks, sync.venue_at_ns, sync.received_at_ns
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
