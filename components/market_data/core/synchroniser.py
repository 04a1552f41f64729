"""Keeps one book in sync by its venue's rule: buffer, image, replay, live; and says so the moment it cannot."""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.market import BookState
from components.contracts.values import Symbol
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.depth import Depth
from components.market_data.core.rules import Placement, Remedy, Rule, follows_anything

NS_PER_MS: Final = 1_000_000
DOUBLINGS_MAX: Final = 16
FETCHES_IN_A_ROW: Final = 5


class SyncPatience(Struct, frozen=True, gc=False, kw_only=True):
    """Every bound of a synchroniser."""

    buffered_max: int = 10_000
    image_ms_max: int = 5_000
    """An image that was asked for and has not come by then is asked for again."""
    pushed_image_ms_max: int = 3_000
    """Changes that come for so long without an image on their own stream: it is fetched by the fallback."""
    first_change_ms_max: int = 500
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
    is_patient: bool = False
    """Only the venue's ids and checksums count: for verifying a recording, where nothing can be fetched again."""


class Tally(Struct, gc=False):
    """What has happened to one book."""

    changes: int = 0
    applied: int = 0
    stale: int = 0
    gaps: int = 0
    crossed: int = 0
    images: int = 0
    refetched: int = 0
    overflowed: int = 0
    mismatched: int = 0
    malformed: int = 0
    resyncs: int = 0


class Took(StrEnum):
    """What a change or an image did."""

    APPLIED = "applied"
    STALE = "stale"
    KEPT = "kept"
    LOADED = "loaded"
    IGNORED = "ignored"
    BROKEN = "broken"
    """The book is out of sync from here on."""


# Every change asks for these, and a member of an enum is looked up slowly.
_NEXT: Final = Placement.NEXT
_SYNCED: Final = BookState.SYNCED
_APPLIED: Final = Took.APPLIED


class GapFound(Struct, frozen=True, gc=False):
    """What was expected next, and what came."""

    expected: int
    got: int
    at_ns: int


class Seen(Protocol):
    """Whoever wants to look at every state of a book."""

    def __call__(self, *, advanced: bool) -> None:
        """Look; `advanced` where the id went on, or there is none."""


class Synchroniser:
    """One book of one venue."""

    def __init__(
        self, symbol: Symbol, rule: Rule, patience: SyncPatience, now_ns: int, chance: Callable[[], float]
    ) -> None:
        """Take what the book is kept by; `chance` gives numbers in [0, 1) for the jitter."""
        self.symbol, self.depth, self.tally = symbol, Depth(), Tally()
        self.current = 0
        self.venue_at_ns = self.received_at_ns = 0
        self.state, self.reason, self.since_ns = BookState.SYNCING, "not subscribed", now_ns
        self.gap: GapFound | None = None
        """The last gap, until somebody takes it away to tell of it."""
        self.seen: Seen | None = None
        """Hears of each state of the book."""
        self.epoch = 0
        """Answers to what was asked before this attempt are of no use."""
        self._rule, self._patience, self._chance = rule, patience, chance
        self._buffer: deque[DepthChange] = deque()
        self._is_live = self._is_joining = self._is_subscribed = self._is_lost = self._awaits_first = False
        self._failures = 0
        self._live_since_ns = 0
        self._due_ns: int | None = None
        self._remedy = rule.remedy
        self._crossed_count, self._crossed_since_ns = 0, 0
        self._stale_count, self._stale_since_ns = 0, 0

    @property
    def is_live(self) -> bool:
        """Say whether the book follows its venue."""
        return self._is_live

    def subscribed(self, now_ns: int, *, pushes_image: bool) -> None:
        """Begin: the stream is confirmed; an image comes on it by itself, or is fetched."""
        self._begin("subscribed", now_ns)
        self._is_subscribed, self._is_lost, self._awaits_first = True, False, not pushes_image
        wait_ms = self._patience.pushed_image_ms_max if pushes_image else self._patience.first_change_ms_max
        self._remedy = self._rule.fallback if pushes_image else self._rule.remedy
        self._due_ns = now_ns + wait_ms * NS_PER_MS

    def relisted(self, *, may_cross: bool) -> None:
        """Hear whether the venue is in an auction now; the next change is judged by it."""
        self._patience = replace(self._patience, may_cross=may_cross)

    def lost(self, reason: str, now_ns: int) -> None:
        """End: the stream is gone, and with it all that is known."""
        self._begin(reason, now_ns)
        self._is_subscribed = self._awaits_first = False
        self._is_lost, self._due_ns = True, None
        self._flag(BookState.GAP, reason, now_ns)

    def take(self, change: DepthChange) -> Took:
        """Take the venue's next change."""
        self.tally.changes += 1
        if not self._is_live:
            return self._keep(change)
        placement = self._rule.place(change, self.current, is_joining=self._is_joining)
        if placement is _NEXT:
            return self._apply(change)
        if placement is Placement.STALE:
            return self._drop(change)
        return self._found_gap(change)

    def load(self, image: DepthImage, epoch: int | None = None) -> Took:
        """Take an image of the whole book; one that was fetched carries the epoch in which it was asked for."""
        if self._is_lost or (epoch is not None and epoch != self.epoch):
            return Took.IGNORED
        if self._is_live and not image.is_pushed:
            return Took.IGNORED
        if image.is_pushed:
            self.tally.stale += len(self._buffer)
            self._buffer.clear()
        self._drop_older(image)
        if self._buffer and self._place(self._buffer[0], image.final) is Placement.GAP:
            self.tally.refetched += 1
            return self._again(f"image {image.final} ends before change {self._buffer[0].previous}", image)
        return self._join(image)

    def failed(self, reason: str, epoch: int, now_ns: int, *, wait_ms: float = 0) -> None:
        """Hear that an image could not be had; try again later, at least `wait_ms` from now."""
        if epoch == self.epoch and not self._is_live and self._is_subscribed:
            self._flag(BookState.SYNCING, reason, now_ns)
            self._due_ns = now_ns + int(max(self._delay_ms(), wait_ms) * NS_PER_MS)

    def due(self, now_ns: int) -> Remedy | None:
        """Say what must be done now for an image, once; nothing while one is on its way or not needed."""
        if self._is_live or self._due_ns is None or now_ns < self._due_ns:
            return None
        remedy = self._remedy
        self.epoch += 1
        self._failures += 1
        # From here on the venue's answer decides when to ask again, not the first change.
        self._awaits_first = False
        # An image that cannot be joined yet is fetched again; now and then the stream is asked anew all the same.
        if remedy is Remedy.RESUBSCRIBE or self._failures % FETCHES_IN_A_ROW == 0:
            self._remedy = self._rule.fallback if remedy is Remedy.RESUBSCRIBE else self._rule.remedy
        wait_ms = self._patience.image_ms_max + self._delay_ms()
        self._due_ns = now_ns + int(wait_ms * NS_PER_MS)
        if remedy is Remedy.RESUBSCRIBE:
            self._buffer.clear()
        return remedy

    def check(self, now_ns: int) -> bool:
        """Look at what only time tells; False where the book is out of sync because of it."""
        if not self._is_live or self._patience.is_patient:
            return True
        if self._crossed_count and now_ns - self._crossed_since_ns >= self._patience.crossed_ms_max * NS_PER_MS:
            self._break(BookState.CROSSED, "bid and ask stay crossed", now_ns)
        elif self.depth.size > self._patience.levels_max:
            self._break(BookState.SYNCING, f"more than {self._patience.levels_max} levels a side", now_ns)
        return self._is_live

    def resync(self, state: BookState, reason: str, now_ns: int) -> None:
        """Give the book up and get a new image."""
        self._break(state, reason, now_ns)

    def missed(self, reason: str, now_ns: int) -> None:
        """Hear that something of this book could not be read: what it said is missing from now on."""
        self.tally.malformed += 1
        if self._is_live:
            self._break(BookState.GAP, reason, now_ns)

    def go_stale(self, reason: str, now_ns: int) -> None:
        """Say that nothing was heard for too long; the next change ends it."""
        self._flag(BookState.STALE, reason, now_ns)

    def _keep(self, change: DepthChange) -> Took:
        if len(self._buffer) >= self._patience.buffered_max:
            # Without its oldest a buffer is a gap that shows only later: all of it goes.
            self._buffer.clear()
            self.tally.overflowed += 1
        if self._awaits_first:
            # An image from before the first change could not be joined to it.
            self._awaits_first, self._due_ns = False, change.received_at_ns
        self._buffer.append(change)
        return Took.KEPT

    def _apply(self, change: DepthChange) -> Took:
        final, depth = change.final, self.depth
        try:
            depth.apply(change.bids, change.asks)
        except ValueError as error:
            self.tally.malformed += 1
            return self._broken(BookState.GAP, f"unreadable change: {error}", change.received_at_ns)
        self.tally.applied += 1
        advanced, self.current = final > self.current, final
        self.venue_at_ns, self.received_at_ns = change.venue_at_ns, change.received_at_ns
        self._is_joining, self._stale_count = False, 0
        if change.checksum and not self._rule.agrees(depth, change.checksum):
            self.tally.mismatched += 1
            return self._broken(BookState.GAP, f"checksum {change.checksum} is not ours", change.received_at_ns)
        if self.seen is not None:
            self.seen(advanced=advanced or follows_anything(change))
        if depth.is_crossed:
            return self._crossed(change)
        if self._crossed_count:
            return self._uncrossed(change)
        if self.state is not _SYNCED:
            self._flag(BookState.SYNCED, "in sync", change.received_at_ns)
        return _APPLIED

    def _crossed(self, change: DepthChange) -> Took:
        self.tally.crossed += 1
        if self._patience.may_cross:
            self._flag(BookState.SYNCED, "in sync; an auction may cross", change.received_at_ns)
            return Took.APPLIED
        if self._crossed_count == 0:
            self._crossed_since_ns = change.received_at_ns
        self._crossed_count += 1
        self._flag(BookState.CROSSED, "best bid is not below best ask", change.received_at_ns)
        if self._crossed_count >= self._patience.crossed_events_max and not self._patience.is_patient:
            return self._broken(BookState.CROSSED, "bid and ask stay crossed", change.received_at_ns)
        return Took.APPLIED

    def _uncrossed(self, change: DepthChange) -> Took:
        if not self._patience.is_patient:
            # What made it cross may stand in it still, where it is no longer seen.
            return self._broken(BookState.CROSSED, "bid and ask were crossed", change.received_at_ns)
        self._crossed_count = 0
        self._flag(BookState.SYNCED, "in sync", change.received_at_ns)
        return _APPLIED

    def _drop(self, change: DepthChange) -> Took:
        self.tally.stale += 1
        if self._stale_count == 0:
            self._stale_since_ns = change.received_at_ns
        self._stale_count += 1
        if self._is_stuck(change.received_at_ns) and not self._patience.is_patient:
            return self._broken(BookState.GAP, "only old ids come: the venue's ids went back", change.received_at_ns)
        return Took.STALE

    def _is_stuck(self, now_ns: int) -> bool:
        lasted_ns = now_ns - self._stale_since_ns
        patience = self._patience
        return self._stale_count >= patience.stale_events_max or lasted_ns >= patience.stale_ms_max * NS_PER_MS

    def _found_gap(self, change: DepthChange) -> Took:
        self.tally.gaps += 1
        self.gap = GapFound(self.current, change.previous, change.received_at_ns)
        took = self._broken(BookState.GAP, f"expected {self.current}, got {change.previous}", change.received_at_ns)
        self._buffer.append(change)
        return took

    def _broken(self, state: BookState, reason: str, now_ns: int) -> Took:
        self._break(state, reason, now_ns)
        return Took.BROKEN

    def _break(self, state: BookState, reason: str, now_ns: int) -> None:
        self.tally.resyncs += 1
        if now_ns - self._live_since_ns >= self._patience.healthy_ms * NS_PER_MS:
            self._failures = 0
        self._begin(reason, now_ns)
        self._flag(state, reason, now_ns)
        if self._is_subscribed:
            self._due_ns = now_ns + int(self._delay_ms() * NS_PER_MS)

    def _begin(self, reason: str, now_ns: int) -> None:
        self._is_live = self._is_joining = False
        self._buffer.clear()
        self._crossed_count = self._stale_count = 0
        self._remedy = self._rule.remedy
        self.epoch += 1
        self._flag(BookState.SYNCING, reason, now_ns)

    def _flag(self, state: BookState, reason: str, now_ns: int) -> None:
        if self.state is not state:
            self.state, self.since_ns = state, now_ns
        self.reason = reason

    def _drop_older(self, image: DepthImage) -> None:
        while self._buffer and self._place(self._buffer[0], image.final) is Placement.STALE:
            self._buffer.popleft()
            self.tally.stale += 1

    def _place(self, change: DepthChange, current: int) -> Placement:
        return self._rule.place(change, current, is_joining=True)

    def _again(self, reason: str, image: DepthImage) -> Took:
        if self._is_live:
            # It came on the stream, in place of a book that is no longer the venue's.
            return self._broken(BookState.GAP, reason, image.received_at_ns)
        self._flag(BookState.SYNCING, reason, image.received_at_ns)
        self._due_ns = image.received_at_ns + int(self._delay_ms() * NS_PER_MS)
        return Took.IGNORED

    def _join(self, image: DepthImage) -> Took:
        try:
            self.depth.load(image.bids, image.asks, depth_max=image.depth_max)
        except ValueError as error:
            self.tally.malformed += 1
            return self._again(f"unreadable image: {error}", image)
        self.tally.images += 1
        if image.checksum and not self._rule.agrees(self.depth, image.checksum):
            self.tally.mismatched += 1
            return self._again(f"checksum {image.checksum} of the image is not ours", image)
        self.current, self._is_live, self._is_joining = image.final, True, not image.is_pushed
        self.venue_at_ns, self.received_at_ns = image.venue_at_ns, image.received_at_ns
        self._due_ns, self._live_since_ns = None, image.received_at_ns
        self._crossed_count = self._stale_count = 0
        self._flag(BookState.SYNCED, "in sync", image.received_at_ns)
        if self.seen is not None:
            self.seen(advanced=True)
        if self.depth.is_crossed and not self._patience.may_cross:
            self._crossed_count, self._crossed_since_ns = 1, image.received_at_ns
            self._flag(BookState.CROSSED, "best bid is not below best ask", image.received_at_ns)
        return self._replay()

    def _replay(self) -> Took:
        waiting, self._buffer = self._buffer, deque()
        while waiting:
            change = waiting.popleft()
            self.tally.changes -= 1
            if self.take(change) is Took.BROKEN:
                # What came behind the gap may stand on the next image.
                self._buffer.extend(waiting)
                return Took.BROKEN
        return Took.LOADED

    def _delay_ms(self) -> float:
        doublings = min(max(self._failures - 1, 0), DOUBLINGS_MAX)
        return self._chance() * min(self._patience.retry_ms_max, self._patience.retry_ms_first << doublings)
