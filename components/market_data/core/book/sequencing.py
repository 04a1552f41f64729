"""When a change follows a book: the one rule of ranges, and what each venue makes of it.

How Alpaca's crypto books are kept in sync: the venue numbers nothing, so each change follows the one before.
"""

from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.events import NO_ID, DepthUpdate


class SequenceOutcome(StrEnum):
    """Where a change stands against the book."""

    NEXT = "next"
    STALE = "stale"
    GAP = "gap"


class ResyncMethod(StrEnum):
    """How a book that is not in sync gets a new image."""

    FETCH = "fetch"
    RESUBSCRIBE = "resubscribe"


class SequenceRule(Protocol):
    """All that a venue may decide about the sync of its books."""

    @property
    def resync_method(self) -> ResyncMethod:
        """Say how an image is got after a gap."""

    @property
    def fallback_method(self) -> ResyncMethod:
        """Say how one is got when it did not come by itself in time."""

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Place a change against the book's id; `is_joining` until the first change after an image was applied."""

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:
        """Say whether the book is the one the venue has, as far as its checksum tells."""


class RangeRule(Struct, frozen=True, gc=False, kw_only=True):
    """The rule of ranges: a change covers (previous, final], and must reach over the book's id."""

    resync_method: ResyncMethod
    fallback_method: ResyncMethod
    ranges_overlap: bool
    """Ranges may overlap at any time; else only at the join, and then each must stand on the one before exactly."""
    reapplies_snapshot_id: bool = False
    """The change that ends at the image's own id is applied once more, by the venue's published rule."""

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Place a change by its range."""
        previous, final = update.prev_id, update.last_id
        if final <= last_id:
            repeats = self.reapplies_snapshot_id and is_joining and final == last_id
            return SequenceOutcome.NEXT if repeats else SequenceOutcome.STALE
        if previous == last_id or (previous < last_id and (self.ranges_overlap or is_joining)):
            return SequenceOutcome.NEXT
        return SequenceOutcome.GAP

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:  # noqa: ARG002 -- this rule knows no checksum
        """Agree: the ids are all there is."""
        return True


def is_unnumbered(update: DepthUpdate) -> bool:
    """Say whether the venue numbered nothing."""
    return update.last_id == NO_ID


class ArrivalRule(Struct, frozen=True, gc=False):
    """The order of arrival is all there is; what the connection cannot lose, the book cannot miss."""

    resync_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    fallback_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    """A book that was fetched could not be joined: nothing says which changes are in it already."""

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:  # noqa: ARG002 -- no ids
        """Take every change as the next."""
        return SequenceOutcome.NEXT

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:  # noqa: ARG002 -- this venue gives no checksum
        """Agree: there is nothing to disagree with."""
        return True


ARRIVAL_RULE: Final = ArrivalRule()
