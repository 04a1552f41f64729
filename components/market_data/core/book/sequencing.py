"""Sequence rules: whether a depth update follows a book, for venues with id ranges and for venues without ids."""

from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.events import NO_ID, DepthUpdate


class SequenceOutcome(StrEnum):
    """The position of an update relative to the book."""

    NEXT = "next"
    STALE = "stale"
    GAP = "gap"


class ResyncMethod(StrEnum):
    """How a book that is out of sync gets a new snapshot."""

    FETCH = "fetch"
    RESUBSCRIBE = "resubscribe"


class SequenceRule(Protocol):
    """How one venue's updates and snapshots follow each other; the rest of the synchronization is the same for all."""

    @property
    def resync_method(self) -> ResyncMethod:
        """Return how a snapshot is obtained after a gap."""

    @property
    def fallback_method(self) -> ResyncMethod:
        """Return how a snapshot is obtained when an expected one did not arrive in time."""

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Classify an update against the book's id.

        `is_joining` is true until the first update after a snapshot was applied.
        """

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:
        """Return whether the book equals the venue's book, as far as the checksum shows it."""


class RangeRule(Struct, frozen=True, gc=False, kw_only=True):
    """An update covers the ids (prev_id, last_id] and must reach beyond the book's id."""

    resync_method: ResyncMethod
    fallback_method: ResyncMethod
    ranges_overlap: bool
    """Ranges may overlap at any time.

    If false, they may overlap only at the join; afterwards `prev_id` must equal the book's id.
    """
    reapplies_snapshot_id: bool = False
    """The update that ends at the snapshot's own id is applied once more, as the venue's documentation prescribes."""

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:
        """Classify an update by its id range."""
        previous, final = update.prev_id, update.last_id
        if final <= last_id:
            repeats = self.reapplies_snapshot_id and is_joining and final == last_id
            return SequenceOutcome.NEXT if repeats else SequenceOutcome.STALE
        if previous == last_id or (previous < last_id and (self.ranges_overlap or is_joining)):
            return SequenceOutcome.NEXT
        return SequenceOutcome.GAP

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:  # noqa: ARG002 -- this rule knows no checksum
        """Return True: this rule knows ids only."""
        return True


class ArrivalRule(Struct, frozen=True, gc=False):
    """Updates carry no ids, so each follows the one before it; the order of arrival on one connection loses nothing."""

    resync_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    fallback_method: ResyncMethod = ResyncMethod.RESUBSCRIBE
    """A fetched snapshot could not be joined: nothing shows which updates it already contains."""

    def classify(self, update: DepthUpdate, last_id: int, *, is_joining: bool) -> SequenceOutcome:  # noqa: ARG002 -- no ids
        """Return NEXT for every update."""
        return SequenceOutcome.NEXT

    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:  # noqa: ARG002 -- this venue gives no checksum
        """Return True: the venue sends no checksum."""
        return True


ARRIVAL_RULE: Final = ArrivalRule()


def is_unnumbered(update: DepthUpdate) -> bool:
    """Return whether the venue sent no ids."""
    return update.last_id == NO_ID
