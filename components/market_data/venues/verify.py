"""Holds a recording against its venue's own rules: every book it gives, state by state."""

from collections.abc import Iterable

from msgspec import Struct

from components.contracts.values import Symbol, Venue
from components.market_data.core.canon import Chain, hash_top
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import Odd
from components.market_data.core.instruments import Instrument
from components.market_data.core.levels import Level, pairs
from components.market_data.core.recording import Frame, Via
from components.market_data.core.rules import Rule
from components.market_data.core.synchroniser import Synchroniser, SyncPatience
from components.market_data.venues.recorded import Reader

KEPT_MAX = 1_000_000
"""A recording may hold its image far behind its first change."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What one book of a recording came to; numbers as the venue sent them, canonically written."""

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
    sha256_chain_top10: str


class Checked:
    """One book that is being verified."""

    def __init__(self, instrument: Instrument, rule: Rule) -> None:
        self.instrument = instrument
        self.frames = self.missed = 0
        self.chain = Chain()
        patience = SyncPatience(buffered_max=KEPT_MAX, may_cross=instrument.may_cross, is_patient=True)
        self.book = Synchroniser(instrument.symbol, rule, patience, 0, lambda: 0.0)
        self.book.seen = self._see

    def take(self, datum: DepthChange | DepthImage | Odd) -> None:
        """Take what a frame says of this book; one that could not be read shows as the gap that it leaves."""
        match datum:
            case DepthChange():
                self.book.take(datum)
            case DepthImage():
                self.book.load(datum)
            case Odd():
                self.missed += 1

    @property
    def is_good(self) -> bool:
        """Say whether the book was proven to the end."""
        tally = self.book.tally
        return self.book.is_live and not (tally.gaps or tally.crossed or self.missed)

    def verdict(self) -> Verdict:
        """Sum up."""
        tally, depth = self.book.tally, self.book.depth
        bids, asks = depth.top(1)
        return Verdict(
            venue=self.instrument.venue,
            symbol=self.instrument.symbol,
            frames=self.frames,
            applied=tally.applied,
            stale=tally.stale,
            gaps=tally.gaps,
            crossed=tally.crossed,
            best_bid=_best(bids),
            best_ask=_best(asks),
            sha256_top10=hash_top(depth),
            sha256_chain_top10=self.chain.hash(),
        )

    def _see(self, *, advanced: bool) -> None:
        if advanced:
            self.chain.add(hash_top(self.book.depth))


def verify(frames: Iterable[Frame], reader: Reader) -> list[Checked]:
    """Run every book of a recording through the same code that keeps live ones; in order of first appearance."""
    books: dict[Symbol, Checked] = {}
    rule = reader.dialect.rule
    for frame in frames:
        told = [datum for datum in reader.read(frame) if isinstance(datum, DepthChange | DepthImage | Odd)]
        for symbol in dict.fromkeys(datum.symbol for datum in told if datum.symbol is not None):
            if symbol not in books:
                books[symbol] = Checked(reader.registry.by_symbol[symbol], rule)
            books[symbol].frames += frame.via is Via.STREAM
        for datum in told:
            if datum.symbol is not None:
                books[datum.symbol].take(datum)
    return [book for book in books.values() if book.frames]


def _best(levels: list[Level]) -> list[str] | None:
    return pairs(levels)[0] if levels else None
