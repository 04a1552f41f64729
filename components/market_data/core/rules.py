"""When a change follows a book: the one rule of ranges, and what each venue makes of it."""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from components.market_data.core.changes import NO_ID, DepthChange
from components.market_data.core.depth import Depth


class Placement(StrEnum):
    """Where a change stands against the book."""

    NEXT = "next"
    STALE = "stale"
    GAP = "gap"


class Remedy(StrEnum):
    """How a book that is not in sync gets a new image."""

    FETCH = "fetch"
    RESUBSCRIBE = "resubscribe"


class Rule(Protocol):
    """All that a venue may decide about the sync of its books."""

    @property
    def remedy(self) -> Remedy:
        """Say how an image is got after a gap."""

    @property
    def fallback(self) -> Remedy:
        """Say how one is got when it did not come by itself in time."""

    def place(self, change: DepthChange, current: int, *, is_joining: bool) -> Placement:
        """Place a change against the book's id; `is_joining` until the first change after an image was applied."""

    def agrees(self, depth: Depth, checksum: int) -> bool:
        """Say whether the book is the one the venue has, as far as its checksum tells."""


class RangeRule(Struct, frozen=True, gc=False, kw_only=True):
    """The rule of ranges: a change covers (previous, final], and must reach over the book's id."""

    remedy: Remedy
    fallback: Remedy
    overlaps: bool
    """Ranges may overlap at any time; else only at the join, and then each must stand on the one before exactly."""
    repeats_image: bool = False
    """The change that ends at the image's own id is applied once more, by the venue's published rule."""

    def place(self, change: DepthChange, current: int, *, is_joining: bool) -> Placement:
        """Place a change by its range."""
        previous, final = change.previous, change.final
        if final <= current:
            repeats = self.repeats_image and is_joining and final == current
            return Placement.NEXT if repeats else Placement.STALE
        if previous == current or (previous < current and (self.overlaps or is_joining)):
            return Placement.NEXT
        return Placement.GAP

    def agrees(self, depth: Depth, checksum: int) -> bool:  # noqa: ARG002 -- this rule knows no checksum
        """Agree: the ids are all there is."""
        return True


def follows_anything(change: DepthChange) -> bool:
    """Say whether the venue numbered nothing."""
    return change.final == NO_ID
