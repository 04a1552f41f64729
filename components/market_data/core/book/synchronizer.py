"""Synchronizes one order book with its venue: buffer updates, apply a snapshot, replay the buffer, follow live, resync.

The book is reported as out of sync in the same call in which a gap, a crossed book or a timeout is detected.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.market import BookState
from components.contracts.values import Symbol
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.book.sequencing import ResyncMethod, SequenceOutcome, SequenceRule, is_unnumbered
from components.market_data.core.events import DepthSnapshot, DepthUpdate

NS_PER_MS: Final = 1_000_000
DOUBLINGS_MAX: Final = 16
FETCHES_BEFORE_FALLBACK: Final = 5
"""Every fifth attempt in a row uses the rule's fallback method."""


class SyncLimits(Struct, frozen=True, gc=False, kw_only=True):
    """All bounds of a synchronizer."""

    buffered_updates_max: int = 10_000
    snapshot_timeout_ms: int = 5_000
    """A requested snapshot that has not arrived by then is requested again."""
    pushed_snapshot_timeout_ms: int = 3_000
    """If updates arrive for this long without a pushed snapshot, the fallback method fetches one."""
    first_update_timeout_ms: int = 500
    """A subscription without any update for this long fetches its snapshot all the same."""
    retry_ms_first: int = 250
    retry_ms_max: int = 3_000
    crossed_events_max: int = 2
    """A book that is crossed after this many updates in a row is resynchronized."""
    crossed_ms_max: int = 250
    """A book that stays crossed for this long is resynchronized, even without a further update."""
    healthy_ms: int = 10_000
    """A book that loses sync sooner than this after its join waits longer each time before the next snapshot."""
    stale_events_max: int = 50
    stale_ms_max: int = 5_000
    """This many updates with old ids in a row, or only such updates for this long: the venue reset its ids."""
    levels_max: int = 20_000
    """A book with more levels on one side is resynchronized."""
    may_cross: bool = False
    """During an auction the best ask may be below the best bid."""
    ignore_timeouts: bool = False
    """Only ids and checksums count. Used to verify recordings, where nothing can be fetched again."""


class SyncStats(Struct, gc=False):
    """Event counters of one book. The field names are the values of a metric label."""

    updates: int = 0
    applied: int = 0
    stale: int = 0
    gaps: int = 0
    crossed: int = 0
    snapshots: int = 0
    snapshots_too_old: int = 0
    buffer_overflows: int = 0
    checksum_mismatches: int = 0
    malformed: int = 0
    resyncs: int = 0


class SyncResult(StrEnum):
    """The effect of an update or a snapshot."""

    APPLIED = "applied"
    STALE = "stale"
    BUFFERED = "buffered"
    SYNCED = "synced"
    IGNORED = "ignored"
    DESYNCED = "desynced"
    """The book is out of sync from here on."""


# Every update needs these, and looking up an enum member is slow.
_NEXT: Final = SequenceOutcome.NEXT
_SYNCED: Final = BookState.SYNCED
_APPLIED: Final = SyncResult.APPLIED


class DetectedGap(Struct, frozen=True, gc=False):
    """A gap: the id that the next update had to follow, and the id that the received one follows."""

    expected: int
    got: int
    at_ns: int


class BookObserver(Protocol):
    """A callback that sees every state of a book."""

    def __call__(self, *, advanced: bool) -> None:
        """Inspect the book; `advanced` is true if its id increased or the venue sends no ids."""


class BookSynchronizer:
    """The synchronized book of one instrument at one venue."""

    def __init__(
        self, symbol: Symbol, rule: SequenceRule, limits: SyncLimits, now_ns: int, jitter: Callable[[], float]
    ) -> None:
        """Start unsubscribed; `jitter` returns numbers in [0, 1) for the retry delays."""
        self.symbol, self.book, self.stats = symbol, OrderBook(), SyncStats()
        self.last_id = 0
        self.venue_at_ns = self.received_at_ns = 0
        self.state, self.reason, self.since_ns = BookState.SYNCING, "not subscribed", now_ns
        self.gap: DetectedGap | None = None
        """The last detected gap; the reader sets it to None after reporting it."""
        self.observer: BookObserver | None = None
        """Called after each applied state of the book."""
        self.epoch = 0
        """Number of the current attempt; replies to requests of earlier epochs are ignored."""
        self._sequence_rule, self._limits, self._jitter = rule, limits, jitter
        self._buffer: deque[DepthUpdate] = deque()
        self._is_live = self._is_joining = self._is_subscribed = self._is_disconnected = self._awaits_first_update = (
            False
        )
        self._failures = 0
        self._live_since_ns = 0
        self._resync_at_ns: int | None = None
        self._resync_method = rule.resync_method
        self._crossed_count, self._crossed_since_ns = 0, 0
        self._stale_count, self._stale_since_ns = 0, 0

    @property
    def is_live(self) -> bool:
        """Return whether the book follows its venue."""
        return self._is_live

    def on_subscribed(self, now_ns: int, *, pushes_snapshot: bool) -> None:
        """Start to synchronize: the stream is confirmed, and the snapshot is pushed on it or will be fetched."""
        self._reset("subscribed", now_ns)
        self._is_subscribed, self._is_disconnected, self._awaits_first_update = True, False, not pushes_snapshot
        wait_ms = self._limits.pushed_snapshot_timeout_ms if pushes_snapshot else self._limits.first_update_timeout_ms
        self._resync_method = (
            self._sequence_rule.fallback_method if pushes_snapshot else self._sequence_rule.resync_method
        )
        self._resync_at_ns = now_ns + wait_ms * NS_PER_MS

    def on_instrument_update(self, *, may_cross: bool) -> None:
        """Set whether the book may cross (an auction runs); this applies from the next update on."""
        self._limits = replace(self._limits, may_cross=may_cross)

    def on_disconnect(self, reason: str, now_ns: int) -> None:
        """Reset: the stream is gone, so the state of the book is unknown."""
        self._reset(reason, now_ns)
        self._is_subscribed = self._awaits_first_update = False
        self._is_disconnected, self._resync_at_ns = True, None
        self._set_state(BookState.GAP, reason, now_ns)

    def apply_update(self, update: DepthUpdate) -> SyncResult:
        """Apply, buffer or drop the venue's next update."""
        self.stats.updates += 1
        if not self._is_live:
            return self._buffer_update(update)
        outcome = self._sequence_rule.classify(update, self.last_id, is_joining=self._is_joining)
        if outcome is _NEXT:
            return self._apply(update)
        if outcome is SequenceOutcome.STALE:
            return self._drop_stale(update)
        return self._on_gap(update)

    def apply_snapshot(self, snapshot: DepthSnapshot, epoch: int | None = None) -> SyncResult:
        """Apply a snapshot of the whole book; a fetched one carries the epoch in which it was requested."""
        if self._is_disconnected or (epoch is not None and epoch != self.epoch):
            return SyncResult.IGNORED
        if self._is_live and not snapshot.is_pushed:
            return SyncResult.IGNORED
        if snapshot.is_pushed:
            self.stats.stale += len(self._buffer)
            self._buffer.clear()
        self._drop_covered_updates(snapshot)
        if self._buffer and self._classify_joining(self._buffer[0], snapshot.last_id) is SequenceOutcome.GAP:
            self.stats.snapshots_too_old += 1
            return self._refetch(f"snapshot {snapshot.last_id} ends before update {self._buffer[0].prev_id}", snapshot)
        return self._sync_to(snapshot)

    def on_snapshot_failed(self, reason: str, epoch: int, now_ns: int, *, retry_after_ms: float = 0) -> None:
        """Schedule the next attempt, at least `retry_after_ms` from now."""
        if epoch == self.epoch and not self._is_live and self._is_subscribed:
            self._set_state(BookState.SYNCING, reason, now_ns)
            self._resync_at_ns = now_ns + int(max(self._delay_ms(), retry_after_ms) * NS_PER_MS)

    def next_resync(self, now_ns: int) -> ResyncMethod | None:
        """Return what must be done now to obtain a snapshot, once; None if a request is pending or none is needed."""
        if self._is_live or self._resync_at_ns is None or now_ns < self._resync_at_ns:
            return None
        method = self._resync_method
        self.epoch += 1
        self._failures += 1
        # From here on the venue's reply decides when to request again, not the first update.
        self._awaits_first_update = False
        # A snapshot that cannot be joined yet is fetched again; every few attempts the other method is tried.
        if method is ResyncMethod.RESUBSCRIBE or self._failures % FETCHES_BEFORE_FALLBACK == 0:
            self._resync_method = (
                self._sequence_rule.fallback_method
                if method is ResyncMethod.RESUBSCRIBE
                else self._sequence_rule.resync_method
            )
        wait_ms = self._limits.snapshot_timeout_ms + self._delay_ms()
        self._resync_at_ns = now_ns + int(wait_ms * NS_PER_MS)
        if method is ResyncMethod.RESUBSCRIBE:
            self._buffer.clear()
        return method

    def check_timeouts(self, now_ns: int) -> bool:
        """Check the book's size and how long it has been crossed; return False if that ended its synchronization."""
        if not self._is_live or self._limits.ignore_timeouts:
            return True
        if self._crossed_count and now_ns - self._crossed_since_ns >= self._limits.crossed_ms_max * NS_PER_MS:
            self._desync(BookState.CROSSED, "bid and ask stayed crossed", now_ns)
        elif self.book.size > self._limits.levels_max:
            self._desync(BookState.SYNCING, f"more than {self._limits.levels_max} levels per side", now_ns)
        return self._is_live

    def resync(self, state: BookState, reason: str, now_ns: int) -> None:
        """Discard the book and obtain a new snapshot."""
        self._desync(state, reason, now_ns)

    def on_decode_failure(self, reason: str, now_ns: int) -> None:
        """Mark a live book as out of sync: a message about it could not be decoded, so its content is missing."""
        self.stats.malformed += 1
        if self._is_live:
            self._desync(BookState.GAP, reason, now_ns)

    def mark_stale(self, reason: str, now_ns: int) -> None:
        """Mark the book as stale because no update arrived for too long; the next update ends this."""
        self._set_state(BookState.STALE, reason, now_ns)

    def _buffer_update(self, update: DepthUpdate) -> SyncResult:
        if len(self._buffer) >= self._limits.buffered_updates_max:
            # A buffer without its oldest updates contains a gap that would only show later, so all of it is dropped.
            self._buffer.clear()
            self.stats.buffer_overflows += 1
        if self._awaits_first_update:
            # A snapshot from before the first update could not be joined to it.
            self._awaits_first_update, self._resync_at_ns = False, update.received_at_ns
        self._buffer.append(update)
        return SyncResult.BUFFERED

    def _apply(self, update: DepthUpdate) -> SyncResult:
        last_id, book = update.last_id, self.book
        try:
            book.apply_update(update.bids, update.asks)
        except ValueError as error:
            self.stats.malformed += 1
            return self._desynced(BookState.GAP, f"invalid update: {error}", update.received_at_ns)
        self.stats.applied += 1
        advanced, self.last_id = last_id > self.last_id, last_id
        self.venue_at_ns, self.received_at_ns = update.venue_at_ns, update.received_at_ns
        self._is_joining, self._stale_count = False, 0
        if update.checksum and not self._sequence_rule.checksum_matches(book, update.checksum):
            self.stats.checksum_mismatches += 1
            return self._desynced(BookState.GAP, f"checksum {update.checksum} does not match", update.received_at_ns)
        if self.observer is not None:
            self.observer(advanced=advanced or is_unnumbered(update))
        if book.is_crossed:
            return self._on_crossed(update)
        if self._crossed_count:
            return self._on_uncrossed(update)
        if self.state is not _SYNCED:
            self._set_state(BookState.SYNCED, "in sync", update.received_at_ns)
        return _APPLIED

    def _on_crossed(self, update: DepthUpdate) -> SyncResult:
        self.stats.crossed += 1
        if self._limits.may_cross:
            self._set_state(BookState.SYNCED, "in sync; an auction may cross", update.received_at_ns)
            return SyncResult.APPLIED
        if self._crossed_count == 0:
            self._crossed_since_ns = update.received_at_ns
        self._crossed_count += 1
        self._set_state(BookState.CROSSED, "best bid is not below best ask", update.received_at_ns)
        if self._crossed_count >= self._limits.crossed_events_max and not self._limits.ignore_timeouts:
            return self._desynced(BookState.CROSSED, "bid and ask stayed crossed", update.received_at_ns)
        return SyncResult.APPLIED

    def _on_uncrossed(self, update: DepthUpdate) -> SyncResult:
        if not self._limits.ignore_timeouts:
            # The level that made the book cross may remain below the top, where it is no longer visible.
            return self._desynced(BookState.CROSSED, "bid and ask were crossed", update.received_at_ns)
        self._crossed_count = 0
        self._set_state(BookState.SYNCED, "in sync", update.received_at_ns)
        return _APPLIED

    def _drop_stale(self, update: DepthUpdate) -> SyncResult:
        self.stats.stale += 1
        if self._stale_count == 0:
            self._stale_since_ns = update.received_at_ns
        self._stale_count += 1
        if self._is_stuck(update.received_at_ns) and not self._limits.ignore_timeouts:
            return self._desynced(
                BookState.GAP, "only old ids arrive: the venue's ids were reset", update.received_at_ns
            )
        return SyncResult.STALE

    def _is_stuck(self, now_ns: int) -> bool:
        lasted_ns = now_ns - self._stale_since_ns
        limits = self._limits
        return self._stale_count >= limits.stale_events_max or lasted_ns >= limits.stale_ms_max * NS_PER_MS

    def _on_gap(self, update: DepthUpdate) -> SyncResult:
        self.stats.gaps += 1
        self.gap = DetectedGap(self.last_id, update.prev_id, update.received_at_ns)
        result = self._desynced(BookState.GAP, f"expected {self.last_id}, got {update.prev_id}", update.received_at_ns)
        self._buffer.append(update)
        return result

    def _desynced(self, state: BookState, reason: str, now_ns: int) -> SyncResult:
        self._desync(state, reason, now_ns)
        return SyncResult.DESYNCED

    def _desync(self, state: BookState, reason: str, now_ns: int) -> None:
        self.stats.resyncs += 1
        if now_ns - self._live_since_ns >= self._limits.healthy_ms * NS_PER_MS:
            self._failures = 0
        self._reset(reason, now_ns)
        self._set_state(state, reason, now_ns)
        if self._is_subscribed:
            self._resync_at_ns = now_ns + int(self._delay_ms() * NS_PER_MS)

    def _reset(self, reason: str, now_ns: int) -> None:
        self._is_live = self._is_joining = False
        self._buffer.clear()
        self._crossed_count = self._stale_count = 0
        self._resync_method = self._sequence_rule.resync_method
        self.epoch += 1
        self._set_state(BookState.SYNCING, reason, now_ns)

    def _set_state(self, state: BookState, reason: str, now_ns: int) -> None:
        if self.state is not state:
            self.state, self.since_ns = state, now_ns
        self.reason = reason

    def _drop_covered_updates(self, snapshot: DepthSnapshot) -> None:
        while self._buffer and self._classify_joining(self._buffer[0], snapshot.last_id) is SequenceOutcome.STALE:
            self._buffer.popleft()
            self.stats.stale += 1

    def _classify_joining(self, update: DepthUpdate, last_id: int) -> SequenceOutcome:
        return self._sequence_rule.classify(update, last_id, is_joining=True)

    def _refetch(self, reason: str, snapshot: DepthSnapshot) -> SyncResult:
        if self._is_live:
            # The snapshot was pushed in place of a book that no longer equals the venue's.
            return self._desynced(BookState.GAP, reason, snapshot.received_at_ns)
        self._set_state(BookState.SYNCING, reason, snapshot.received_at_ns)
        self._resync_at_ns = snapshot.received_at_ns + int(self._delay_ms() * NS_PER_MS)
        return SyncResult.IGNORED

    def _sync_to(self, snapshot: DepthSnapshot) -> SyncResult:
        try:
            self.book.apply_snapshot(snapshot.bids, snapshot.asks, depth_max=snapshot.depth_max)
        except ValueError as error:
            self.stats.malformed += 1
            return self._refetch(f"invalid snapshot: {error}", snapshot)
        self.stats.snapshots += 1
        if snapshot.checksum and not self._sequence_rule.checksum_matches(self.book, snapshot.checksum):
            self.stats.checksum_mismatches += 1
            return self._refetch(f"checksum {snapshot.checksum} of the snapshot does not match", snapshot)
        self.last_id, self._is_live, self._is_joining = snapshot.last_id, True, not snapshot.is_pushed
        self.venue_at_ns, self.received_at_ns = snapshot.venue_at_ns, snapshot.received_at_ns
        self._resync_at_ns, self._live_since_ns = None, snapshot.received_at_ns
        self._crossed_count = self._stale_count = 0
        self._set_state(BookState.SYNCED, "in sync", snapshot.received_at_ns)
        if self.observer is not None:
            self.observer(advanced=True)
        if self.book.is_crossed and not self._limits.may_cross:
            self._crossed_count, self._crossed_since_ns = 1, snapshot.received_at_ns
            self._set_state(BookState.CROSSED, "best bid is not below best ask", snapshot.received_at_ns)
        return self._replay_buffer()

    def _replay_buffer(self) -> SyncResult:
        buffered, self._buffer = self._buffer, deque()
        while buffered:
            update = buffered.popleft()
            self.stats.updates -= 1
            if self.apply_update(update) is SyncResult.DESYNCED:
                # The updates behind the gap may follow the next snapshot.
                self._buffer.extend(buffered)
                return SyncResult.DESYNCED
        return SyncResult.SYNCED

    def _delay_ms(self) -> float:
        doublings = min(max(self._failures - 1, 0), DOUBLINGS_MAX)
        return self._jitter() * min(self._limits.retry_ms_max, self._limits.retry_ms_first << doublings)
