"""One book as it is published: in step with its venue, shown by its top, and never shown while it is not believed."""

from collections import deque
from collections.abc import Callable
from typing import Final

from components.contracts.market import BookDelta, BookLevels, BookSnapshot, BookState, Gap, SymbolHealth
from components.contracts.topics import BOOKS, MARKET
from components.contracts.values import Venue
from components.market_data.core.audit import Audit, Verdict
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.instruments import Instrument
from components.market_data.core.levels import BadNumber
from components.market_data.core.synchroniser import Synchroniser, Took
from components.market_data.core.window import Window
from components.runtime.service import Effect, Note, Publish

NEVER: Final = -2
"""No id of a venue: even a book without ids stands at -1."""
QUIET: Final = frozenset({BookState.SYNCED, BookState.SYNCING, BookState.CROSSED})
"""A book that crosses for a moment must not fill the log; the counters see it all."""


class PublishedBook:
    """Takes what the venue says of one book; gives what is to be said of it."""

    __slots__ = (
        "_audited_at_ns",
        "_gaps",
        "_health",
        "_image_depth",
        "_levels",
        "_venue",
        "_window",
        "audit",
        "instrument",
        "shown_id",
        "sync",
    )

    def __init__(
        self, venue: Venue, instrument: Instrument, sync: Synchroniser, levels: int, gaps: "deque[Gap]"
    ) -> None:
        """Share the list of recent gaps with the other books."""
        self.sync, self.instrument = sync, instrument
        self.shown_id = NEVER
        self.audit: Audit | None = None
        self._audited_at_ns = sync.since_ns
        self._venue, self._gaps, self._levels = venue, gaps, levels
        self._image_depth = 0
        self._window = Window(levels, instrument.unit)
        self._health = self._believed()

    @property
    def health(self) -> SymbolHealth:
        """Say how far the book is to be believed."""
        return self._health

    def relisted(self, instrument: Instrument) -> None:
        """Hear what the venue lists now; in another unit the book is shown anew with its next change."""
        if instrument.unit != self.instrument.unit:
            self._window, self.shown_id = Window(self._levels, instrument.unit), NEVER
        self.instrument = instrument
        self.sync.relisted(may_cross=instrument.may_cross)

    def take(self, change: DepthChange) -> list[Effect]:
        """Take the venue's next change; what is distrusted is said first, what is trusted again last."""
        took = self.sync.take(change)
        if took is Took.APPLIED and self.sync.state is BookState.SYNCED:
            return self._show(self._delta)
        return self.tell() if took is not Took.STALE or self.sync.state is not self._health.state else []

    def load(self, image: DepthImage, epoch: int | None = None) -> list[Effect]:
        """Take an image; it is published whole, for it replaces everything."""
        took = self.sync.load(image, epoch)
        if took is Took.LOADED:
            self._image_depth = image.depth_max
        if took is not Took.LOADED or self.sync.state is not BookState.SYNCED:
            return self.tell()
        return self._show(lambda: [self._publish(self._image())])

    def opened(self, now_ns: int, *, pushes_image: bool) -> list[Effect]:
        """Hear that the book's stream is confirmed."""
        self.sync.subscribed(now_ns, pushes_image=pushes_image)
        return self.tell()

    def lost(self, reason: str, now_ns: int) -> list[Effect]:
        """Hear that the book's stream is gone."""
        self.sync.lost(reason, now_ns)
        return self.tell()

    def missed(self, reason: str, now_ns: int) -> list[Effect]:
        """Hear that something of the book could not be read."""
        self.sync.missed(reason, now_ns)
        return self.tell()

    def failed(self, reason: str, epoch: int, now_ns: int, wait_ms: float) -> list[Effect]:
        """Hear that an image could not be had."""
        self.sync.failed(reason, epoch, now_ns, wait_ms=wait_ms)
        return self.tell()

    def grew_old(self, reason: str, now_ns: int) -> list[Effect]:
        """Hear that the venue has been silent for too long."""
        self.sync.go_stale(reason, now_ns)
        return self.tell()

    def resync(self, state: BookState, reason: str, now_ns: int) -> list[Effect]:
        """Give the book up and begin anew."""
        self.sync.resync(state, reason, now_ns)
        return self.tell()

    def snapshot(self) -> BookSnapshot | None:
        """Give what was shown last; None where nothing believed was shown."""
        if self.shown_id == NEVER:
            return None
        return self._written(*self._window.present())

    def tell(self) -> list[Effect]:
        """Say what changed in the trust in the book, with the gap behind it."""
        sync, said = self.sync, list[Effect]()
        if sync.gap is not None:
            gap, sync.gap = sync.gap, None
            record = Gap(self._venue, sync.symbol, gap.expected, gap.got, gap.at_ns)
            self._gaps.append(record)
            said.append(self._publish(record))
        before, now = self._health, self._believed()
        if (before.state, before.reason) == (now.state, now.reason):
            return said
        self._health = now
        if not sync.is_live:
            self.shown_id, self.audit = NEVER, None
        said += (self._publish(now), Publish(MARKET, now))
        if before.state is not now.state:
            facts = {"symbol": now.symbol, "before": before.state, "state": now.state, "reason": now.reason}
            level = "debug" if now.state in QUIET and before.state in QUIET else "info"
            said.append(Note("book_changed", facts, level))
        return said

    @property
    def is_shallow(self) -> bool:
        """Say whether too little is left of what the image showed; one that was short itself is no reason to ask."""
        is_short = 0 < self._image_depth <= self._levels
        return self.sync.depth.is_shallow(self._image_depth // 2 if is_short else self._levels)

    def spread_audits(self, by_ns: int) -> None:
        """Begin the first audit so much sooner than the others: many at once would crowd each other out."""
        self._audited_at_ns -= by_ns

    def is_audit_due(self, now_ns: int, every_ns: int) -> bool:
        """Say whether an audit is to begin; from its beginning the next is counted."""
        if self.audit is not None or now_ns - self._audited_at_ns < every_ns:
            return False
        self._audited_at_ns = now_ns
        return True

    def audited(self) -> Verdict | None:
        """Show the audit under way the book's state; give its verdict if that decides it."""
        return self.audit.see(self.sync.current, self.sync.depth) if self.audit is not None else None

    def _show(self, show: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            said = show()
        except BadNumber as error:
            # What stands deep in a book is read only when it comes to the top.
            return self.missed(f"unreadable level: {error}", self.sync.received_at_ns)
        return said if self._health.state is BookState.SYNCED else [*said, *self.tell()]

    def _delta(self) -> list[Effect]:
        sync = self.sync
        if self.shown_id == NEVER:
            return [self._publish(self._image())]
        bids, asks = self._window.change(sync.depth)
        if not bids and not asks:
            return []
        previous, self.shown_id = self.shown_id, sync.current
        delta = BookDelta(
            self._venue, sync.symbol, previous, sync.current, bids, asks, sync.venue_at_ns, sync.received_at_ns
        )
        return [Publish(BOOKS, delta, sync.venue_at_ns, sync.received_at_ns)]

    def _image(self) -> BookSnapshot:
        self.shown_id = self.sync.current
        return self._written(*self._window.show(self.sync.depth))

    def _written(self, bids: BookLevels, asks: BookLevels) -> BookSnapshot:
        sync = self.sync
        return BookSnapshot(self._venue, sync.symbol, self.shown_id, bids, asks, sync.venue_at_ns, sync.received_at_ns)

    def _publish(self, body: BookSnapshot | SymbolHealth | Gap) -> Publish:
        return Publish(BOOKS, body, self.sync.venue_at_ns, self.sync.received_at_ns)

    def _believed(self) -> SymbolHealth:
        sync = self.sync
        return SymbolHealth(self._venue, sync.symbol, sync.state, sync.reason, sync.since_ns)
