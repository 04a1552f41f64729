"""What venues say of a book, in everybody's words: an image of all of it, and changes that chain by their ids."""

from typing import Final

from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.core.levels import Levels

NO_ID: Final = -1
"""The venue numbered nothing: such a change follows whatever came before it."""


class DepthUpdate(Struct, frozen=True, gc=False):
    """The levels touched between two ids; quantities are absolute as of `final`."""

    symbol: Symbol
    prev_id: int
    """The id this change stands on: the spot market's U - 1, pu, prevSeqId, prev_change_id."""
    last_id: int
    bids: Levels
    asks: Levels
    venue_at_ns: int
    received_at_ns: int
    checksum: int = 0
    """0 where the venue gives none."""


class DepthSnapshot(Struct, frozen=True, gc=False):
    """A whole book as of `final`."""

    symbol: Symbol
    last_id: int
    bids: Levels
    asks: Levels
    venue_at_ns: int
    received_at_ns: int
    is_pushed: bool
    """It came on the stream itself, in order with the changes; else it was fetched beside it."""
    depth_max: int = 0
    """A side with so many levels was cut there; 0 where the venue keeps the window itself."""
    checksum: int = 0
