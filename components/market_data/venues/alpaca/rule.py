"""How Alpaca's crypto books are kept in sync: the venue numbers nothing, so each change follows the one before."""

from typing import Final

from msgspec import Struct

from components.market_data.core.changes import DepthChange
from components.market_data.core.depth import Depth
from components.market_data.core.rules import Placement, Remedy


class ArrivalRule(Struct, frozen=True, gc=False):
    """The order of arrival is all there is; what the connection cannot lose, the book cannot miss."""

    remedy: Remedy = Remedy.RESUBSCRIBE
    fallback: Remedy = Remedy.RESUBSCRIBE
    """A book that was fetched could not be joined: nothing says which changes are in it already."""

    def place(self, change: DepthChange, current: int, *, is_joining: bool) -> Placement:  # noqa: ARG002 -- no ids
        """Take every change as the next."""
        return Placement.NEXT

    def agrees(self, depth: Depth, checksum: int) -> bool:  # noqa: ARG002 -- this venue gives no checksum
        """Agree: there is nothing to disagree with."""
        return True


RULE: Final = ArrivalRule()
