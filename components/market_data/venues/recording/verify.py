"""Verifies a recording against its venue's sequence rule, state by state, and fingerprints the books.

Two implementations can be compared by their fingerprints: the canonical text of each state is hashed.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from components.contracts.values import Symbol, Venue
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.book.sequencing import SequenceRule
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits
from components.market_data.core.events import DecodeIssue, DepthSnapshot, DepthUpdate
from components.market_data.core.instruments import Instrument
from components.market_data.core.numerics import Level, canonical_levels
from components.market_data.core.recording import Frame, Via
from components.market_data.venues.recording.reader import RecordingReader

TOP_LEVELS: Final = 10
BUFFERED_UPDATES_MAX: Final = 1_000_000
"""A recording may contain its snapshot long after its first update."""


class BookReport(Struct, frozen=True, kw_only=True):
    """The result for one book of a recording; numbers as the venue sent them, in canonical form."""

    venue: Venue
    symbol: Symbol
    frames: int
    applied: int
    stale: int
    gaps: int
    crossed: int
    best_bid: list[str] | None
    best_ask: list[str] | None
    sha256_top10: str
    """Of the best ten levels per side at the end."""
    sha256_chain_top10: str
    """Of the hashes of all states."""


class BookVerification:
    """One book under verification."""

    def __init__(self, instrument: Instrument, sequence_rule: SequenceRule) -> None:
        self.instrument = instrument
        self.frames = self.decode_failures = 0
        self.fingerprint = StateFingerprint()
        limits = SyncLimits(
            buffered_updates_max=BUFFERED_UPDATES_MAX, may_cross=instrument.may_cross, ignore_timeouts=True
        )
        self.sync = BookSynchronizer(instrument.symbol, sequence_rule, limits, 0, lambda: 0.0)
        self.sync.observer = self._on_state

    def apply(self, event: DepthUpdate | DepthSnapshot | DecodeIssue) -> None:
        """Apply an event of this book; an undecodable one shows as the gap that it leaves."""
        match event:
            case DepthUpdate():
                self.sync.apply_update(event)
            case DepthSnapshot():
                self.sync.apply_snapshot(event)
            case DecodeIssue():
                self.decode_failures += 1

    @property
    def is_verified(self) -> bool:
        """Return whether the book was in sync to its end, without gap, crossing or decode failure."""
        stats = self.sync.stats
        return self.sync.is_live and not (stats.gaps or stats.crossed or self.decode_failures)

    def report(self) -> BookReport:
        """Return the result."""
        stats, book = self.sync.stats, self.sync.book
        bids, asks = book.top(1)
        return BookReport(
            venue=self.instrument.venue,
            symbol=self.instrument.symbol,
            frames=self.frames,
            applied=stats.applied,
            stale=stats.stale,
            gaps=stats.gaps,
            crossed=stats.crossed,
            best_bid=_best_level(bids),
            best_ask=_best_level(asks),
            sha256_top10=top_fingerprint(book),
            sha256_chain_top10=self.fingerprint.hexdigest(),
        )

    def _on_state(self, *, advanced: bool) -> None:
        if advanced:
            self.fingerprint.add(top_fingerprint(self.sync.book))


def verify(frames: Iterable[Frame], reader: RecordingReader) -> list[BookVerification]:
    """Run every book of a recording through the synchronizer of live books; in order of first appearance."""
    books: dict[Symbol, BookVerification] = {}
    rule = reader.adapter.sequence_rule
    kinds = DepthUpdate | DepthSnapshot | DecodeIssue
    for frame in frames:
        events = [event for event in reader.decode(frame) if isinstance(event, kinds)]
        for symbol in dict.fromkeys(event.symbol for event in events if event.symbol is not None):
            if symbol not in books:
                books[symbol] = BookVerification(reader.registry.by_symbol[symbol], rule)
            books[symbol].frames += frame.via is Via.STREAM
        for event in events:
            if event.symbol is not None:
                books[event.symbol].apply(event)
    return [book for book in books.values() if book.frames]


def _best_level(levels: list[Level]) -> list[str] | None:
    return canonical_levels(levels)[0] if levels else None


def top_fingerprint(book: OrderBook) -> str:
    """Return the hash of the canonical top of a book."""
    bids, asks = book.top(TOP_LEVELS)
    text = json.dumps({"asks": canonical_levels(asks), "bids": canonical_levels(bids)}, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


class StateFingerprint:
    """Hash over all states in order; the last state alone would hide an error that was corrected later."""

    def __init__(self) -> None:
        self._states = sha256()
        self._count = 0

    def add(self, digest: str) -> None:
        """Add the digest of the next state."""
        self._states.update(digest.encode() if self._count == 0 else b"\n" + digest.encode())
        self._count += 1

    def hexdigest(self) -> str:
        """Return the hash over all states."""
        return self._states.hexdigest()
