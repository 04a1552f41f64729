"""Keeps one book in sync by its venue's rule: buffer, image, replay, live; and says so the moment it cannot."""

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


class SyncLimits(Struct, frozen=True, gc=False, kw_only=True):
    """Every bound of a synchroniser."""

    buffered_updates_max: int = 10_000
    snapshot_timeout_ms: int = 5_000
    """An image that was asked for and has not come by then is asked for again."""
    pushed_snapshot_timeout_ms: int = 3_000
    """Changes that come for so long without an image on their own stream: it is fetched by the fallback."""
    first_update_timeout_ms: int = 500
    """A subscription that is quiet for so long gets its image all the same."""
    retry_ms_first: int = 250
    retry_ms_max: int = 3_000
    crossed_events_max: int = 2
    crossed_ms_max: int = 250
    healthy_ms: int = 10_000
    """A book that breaks sooner than this after its join waits longer each time for its next image."""
    stale_events_max: int = 50
    stale_ms_max: int = 5_000
    levels_max: int = 20_000
    may_cross: bool = False
    """An auction may leave best ask below best bid."""
    ignore_timeouts: bool = False
    """Only the venue's ids and checksums count: for verifying a recording, where nothing can be fetched again."""


class SyncStats(Struct, gc=False):
    """What has happened to one book."""

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
    """What a change or an image did."""

    APPLIED = "applied"
    STALE = "stale"
    BUFFERED = "kept"
    SYNCED = "loaded"
    IGNORED = "ignored"
    DESYNCED = "broken"
    """The book is out of sync from here on."""


# Every change asks for these, and a member of an enum is looked up slowly.
_NEXT: Final = SequenceOutcome.NEXT


_SYNCED: Final = BookState.SYNCED


_APPLIED: Final = SyncResult.APPLIED


class DetectedGap(Struct, frozen=True, gc=False):
    """What was expected next, and what came."""

    expected: int
    got: int
    at_ns: int


class BookObserver(Protocol):
    """Whoever wants to look at every state of a book."""

    def __call__(self, *, advanced: bool) -> None:
        """Look; `advanced` where the id went on, or there is none."""


class BookSynchronizer:
    """One book of one venue."""

    def __init__(
        self, symbol: Symbol, rule: SequenceRule, limits: SyncLimits, now_ns: int, jitter: Callable[[], float]
    ) -> None:
        """Take what the book is kept by; `chance` gives numbers in [0, 1) for the jitter."""
        self.symbol, self.book, self.stats = symbol, OrderBook(), SyncStats()
        self.last_id = 0
        self.venue_at_ns = self.received_at_ns = 0
        self.state, self.reason, self.since_ns = BookState.SYNCING, "not subscribed", now_ns
        self.gap: DetectedGap | None = None
        """The last gap, until somebody takes it away to tell of it."""
        self.observer: BookObserver | None = None
        """Hears of each state of the book."""
        self.epoch = 0
        """Answers to what was asked before this attempt are of no use."""
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
        """Say whether the book follows its venue."""
        return self._is_live

    def on_subscribed(self, now_ns: int, *, pushes_snapshot: bool) -> None:
        """Begin: the stream is confirmed; an image comes on it by itself, or is fetched."""
        self._reset("subscribed", now_ns)
        self._is_subscribed, self._is_disconnected, self._awaits_first_update = True, False, not pushes_snapshot
        wait_ms = self._limits.pushed_snapshot_timeout_ms if pushes_snapshot else self._limits.first_update_timeout_ms
        self._resync_method = (
            self._sequence_rule.fallback_method if pushes_snapshot else self._sequence_rule.resync_method
        )
        self._resync_at_ns = now_ns + wait_ms * NS_PER_MS

    def on_instrument_update(self, *, may_cross: bool) -> None:
        """Hear whether the venue is in an auction now; the next change is judged by it."""
        self._limits = replace(self._limits, may_cross=may_cross)

    def on_disconnect(self, reason: str, now_ns: int) -> None:
        """End: the stream is gone, and with it all that is known."""
        self._reset(reason, now_ns)
        self._is_subscribed = self._awaits_first_update = False
        self._is_disconnected, self._resync_at_ns = True, None
        self._set_state(BookState.GAP, reason, now_ns)

    def apply_update(self, update: DepthUpdate) -> SyncResult:
        """Take the venue's next change."""
        self.stats.updates += 1
        if not self._is_live:
            return self._buffer_update(update)
        placement = self._sequence_rule.classify(update, self.last_id, is_joining=self._is_joining)
        if placement is _NEXT:
            return self._apply(update)
        if placement is SequenceOutcome.STALE:
            return self._drop_stale(update)
        return self._on_gap(update)

    def apply_snapshot(self, snapshot: DepthSnapshot, epoch: int | None = None) -> SyncResult:
        """Take an image of the whole book; one that was fetched carries the epoch in which it was asked for."""
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
            return self._refetch(f"image {snapshot.last_id} ends before change {self._buffer[0].prev_id}", snapshot)
        return self._sync_to(snapshot)

    def on_snapshot_failed(self, reason: str, epoch: int, now_ns: int, *, retry_after_ms: float = 0) -> None:
        """Hear that an image could not be had; try again later, at least `wait_ms` from now."""
        if epoch == self.epoch and not self._is_live and self._is_subscribed:
            self._set_state(BookState.SYNCING, reason, now_ns)
            self._resync_at_ns = now_ns + int(max(self._delay_ms(), retry_after_ms) * NS_PER_MS)

    def next_resync(self, now_ns: int) -> ResyncMethod | None:
        """Say what must be done now for an image, once; nothing while one is on its way or not needed."""
        if self._is_live or self._resync_at_ns is None or now_ns < self._resync_at_ns:
            return None
        remedy = self._resync_method
        self.epoch += 1
        self._failures += 1
        # From here on the venue's answer decides when to ask again, not the first change.
        self._awaits_first_update = False
        # An image that cannot be joined yet is fetched again; now and then the stream is asked anew all the same.
        if remedy is ResyncMethod.RESUBSCRIBE or self._failures % FETCHES_BEFORE_FALLBACK == 0:
            self._resync_method = (
                self._sequence_rule.fallback_method
                if remedy is ResyncMethod.RESUBSCRIBE
                else self._sequence_rule.resync_method
            )
        wait_ms = self._limits.snapshot_timeout_ms + self._delay_ms()
        self._resync_at_ns = now_ns + int(wait_ms * NS_PER_MS)
        if remedy is ResyncMethod.RESUBSCRIBE:
            self._buffer.clear()
        return remedy

    def check_timeouts(self, now_ns: int) -> bool:
        """Look at what only time tells; False where the book is out of sync because of it."""
        if not self._is_live or self._limits.ignore_timeouts:
            return True
        if self._crossed_count and now_ns - self._crossed_since_ns >= self._limits.crossed_ms_max * NS_PER_MS:
            self._desync(BookState.CROSSED, "bid and ask stay crossed", now_ns)
        elif self.book.size > self._limits.levels_max:
            self._desync(BookState.SYNCING, f"more than {self._limits.levels_max} levels a side", now_ns)
        return self._is_live

    def resync(self, state: BookState, reason: str, now_ns: int) -> None:
        """Give the book up and get a new image."""
        self._desync(state, reason, now_ns)

    def on_decode_failure(self, reason: str, now_ns: int) -> None:
        """Hear that something of this book could not be read: what it said is missing from now on."""
        self.stats.malformed += 1
        if self._is_live:
            self._desync(BookState.GAP, reason, now_ns)

    def mark_stale(self, reason: str, now_ns: int) -> None:
        """Say that nothing was heard for too long; the next change ends it."""
        self._set_state(BookState.STALE, reason, now_ns)

    def _buffer_update(self, update: DepthUpdate) -> SyncResult:
        if len(self._buffer) >= self._limits.buffered_updates_max:
            # Without its oldest a buffer is a gap that shows only later: all of it goes.
            self._buffer.clear()
            self.stats.buffer_overflows += 1
        if self._awaits_first_update:
            # An image from before the first change could not be joined to it.
            self._awaits_first_update, self._resync_at_ns = False, update.received_at_ns
        self._buffer.append(update)
        return SyncResult.BUFFERED

    def _apply(self, update: DepthUpdate) -> SyncResult:
        final, depth = update.last_id, self.book
        try:
            depth.apply_update(update.bids, update.asks)
        except ValueError as error:
            self.stats.malformed += 1
            return self._desynced(BookState.GAP, f"unreadable change: {error}", update.received_at_ns)
        self.stats.applied += 1
        advanced, self.last_id = final > self.last_id, final
        self.venue_at_ns, self.received_at_ns = update.venue_at_ns, update.received_at_ns
        self._is_joining, self._stale_count = False, 0
        if update.checksum and not self._sequence_rule.checksum_matches(depth, update.checksum):
            self.stats.checksum_mismatches += 1
            return self._desynced(BookState.GAP, f"checksum {update.checksum} is not ours", update.received_at_ns)
        if self.observer is not None:
            self.observer(advanced=advanced or is_unnumbered(update))
        if depth.is_crossed:
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
            return self._desynced(BookState.CROSSED, "bid and ask stay crossed", update.received_at_ns)
        return SyncResult.APPLIED

    def _on_uncrossed(self, update: DepthUpdate) -> SyncResult:
        if not self._limits.ignore_timeouts:
            # What made it cross may stand in it still, where it is no longer seen.
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
            return self._desynced(BookState.GAP, "only old ids come: the venue's ids went back", update.received_at_ns)
        return SyncResult.STALE

    def _is_stuck(self, now_ns: int) -> bool:
        lasted_ns = now_ns - self._stale_since_ns
        patience = self._limits
        return self._stale_count >= patience.stale_events_max or lasted_ns >= patience.stale_ms_max * NS_PER_MS

    def _on_gap(self, update: DepthUpdate) -> SyncResult:
        self.stats.gaps += 1
        self.gap = DetectedGap(self.last_id, update.prev_id, update.received_at_ns)
        took = self._desynced(BookState.GAP, f"expected {self.last_id}, got {update.prev_id}", update.received_at_ns)
        self._buffer.append(update)
        return took

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
            # It came on the stream, in place of a book that is no longer the venue's.
            return self._desynced(BookState.GAP, reason, snapshot.received_at_ns)
        self._set_state(BookState.SYNCING, reason, snapshot.received_at_ns)
        self._resync_at_ns = snapshot.received_at_ns + int(self._delay_ms() * NS_PER_MS)
        return SyncResult.IGNORED

    def _sync_to(self, snapshot: DepthSnapshot) -> SyncResult:
        try:
            self.book.apply_snapshot(snapshot.bids, snapshot.asks, depth_max=snapshot.depth_max)
        except ValueError as error:
            self.stats.malformed += 1
            return self._refetch(f"unreadable image: {error}", snapshot)
        self.stats.snapshots += 1
        if snapshot.checksum and not self._sequence_rule.checksum_matches(self.book, snapshot.checksum):
            self.stats.checksum_mismatches += 1
            return self._refetch(f"checksum {snapshot.checksum} of the image is not ours", snapshot)
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
        waiting, self._buffer = self._buffer, deque()
        while waiting:
            change = waiting.popleft()
            self.stats.updates -= 1
            if self.apply_update(change) is SyncResult.DESYNCED:
                # What came behind the gap may stand on the next image.
                self._buffer.extend(waiting)
                return SyncResult.DESYNCED
        return SyncResult.SYNCED

    def _delay_ms(self) -> float:
        doublings = min(max(self._failures - 1, 0), DOUBLINGS_MAX)
        return self._jitter() * min(self._limits.retry_ms_max, self._limits.retry_ms_first << doublings)
