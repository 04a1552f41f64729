"""When a change follows a book of OKX: an exact chain that may stand still or start over, and a checksum."""

from typing import Final
from zlib import crc32

from msgspec import Struct

from components.market_data.core.changes import NO_ID, DepthChange
from components.market_data.core.depth import Depth
from components.market_data.core.levels import Levels
from components.market_data.core.rules import Placement, Remedy

CHECKED_LEVELS: Final = 25


class OkxRule(Struct, frozen=True, gc=False, kw_only=True):
    """The chain of sequence ids."""

    remedy: Remedy = Remedy.RESUBSCRIBE
    fallback: Remedy = Remedy.FETCH

    def place(self, change: DepthChange, current: int, *, is_joining: bool) -> Placement:
        """Place a change by the id it stands on."""
        previous, final = change.previous, change.final
        # First of all: a change that stands on the book's own id may end at it (nothing happened for a minute)
        # or far below it (the venue numbers anew after maintenance). Books without ids always match here.
        if previous == current:
            return Placement.NEXT
        # What is numbered can follow only what is numbered, whichever of the two lost its number.
        if previous > current or final == NO_ID:
            return Placement.GAP
        if final <= current:
            return Placement.STALE
        # Else it begins below the book's id and ends above it: only an image that was fetched lies within a change.
        return Placement.NEXT if is_joining and current != NO_ID else Placement.GAP

    def agrees(self, depth: Depth, checksum: int) -> bool:
        """Say whether the best levels are those of the venue, text for text."""
        return checksum_of(*depth.top(CHECKED_LEVELS)) == checksum


def checksum_of(bids: Levels, asks: Levels) -> int:
    """Compute the venue's checksum over the best levels, best first."""
    texts = [f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in zip(bids, asks, strict=False)]
    rest = bids[len(texts) :] or asks[len(texts) :]
    texts += [f"{level[0]}:{level[1]}" for level in rest]
    value = crc32(":".join(texts).encode())
    return value - (1 << 32) if value >> 31 else value
