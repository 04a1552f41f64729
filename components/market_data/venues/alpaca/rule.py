"""How Alpaca's crypto books are kept in sync: the venue numbers nothing, so each change follows the one before."""

from typing import Final

from msgspec import Struct

from components.market_data.core.changes import DepthUpdate
from components.market_data.core.depth import OrderBook
from components.market_data.core.rules import ResyncMethod, SequenceOutcome


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
