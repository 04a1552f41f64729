"""When a change follows a book of OKX: an exact chain that may stand still or start over, and a checksum."""

from typing import Final
from zlib import crc32

from msgspec import Struct

from components.market_data.core.changes import NO_ID, DepthUpdate
from components.market_data.core.depth import OrderBook
from components.market_data.core.levels import Levels
from components.market_data.core.rules import ResyncMethod, SequenceOutcome

CHECKSUM_LEVELS: Final = 25


class OkxSequenceRule(Struct, frozen=True, gc=False, kw_only=True):
    """The chain of sequence ids."""

    resync_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    fallback_method: ResyncMethod = ResyncMethod.FETCH

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Place a change by the id it stands on."""
        previous, final = update.prev_id, update.last_id
        # First of all: a change that stands on the book's own id may end at it (nothing happened for a minute)
        # or far below it (the venue numbers anew after maintenance). Books without ids always match here.
        if previous == last_id:
            return SequenceOutcome.NEXT
        # What is numbered can follow only what is numbered, whichever of the two lost its number.
        if previous > last_id or final == NO_ID:
            return SequenceOutcome.GAP
        if final <= last_id:
            return SequenceOutcome.STALE
        # Else it begins below the book's id and ends above it: only an image that was fetched lies within a change.
        return SequenceOutcome.NEXT if is_joining and last_id != NO_ID else SequenceOutcome.GAP

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:
        """Say whether the best levels are those of the venue, text for text."""
        return book_checksum(*book.top(CHECKSUM_LEVELS)) == checksum


def book_checksum(bids: Levels, asks: Levels) -> int:
    """Compute the venue's checksum over the best levels, best first."""
    texts = [f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in zip(bids, asks, strict=False)]
    rest = bids[len(texts) :] or asks[len(texts) :]
    texts += [f"{level[0]}:{level[1]}" for level in rest]
    value = crc32(":".join(texts).encode())
    return value - (1 << 32) if value >> 31 else value
