"""The updates of one book channel: a window of the best levels, cut at ids that every socket shares."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

ZERO = Decimal(0)
Level = tuple[Decimal, Decimal]
NO_PREV_SEQUENCE = -1


class BookPush(Struct, frozen=True):
    """One message of a book channel, sides best first; an update holds changed levels only."""

    is_snapshot: bool
    previous: int
    sequence: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class BookView:
    """What a subscriber of one channel and instrument holds after the last push."""

    def __init__(self, sequence: int, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        self.sequence = sequence
        self.bids, self.asks = dict(bids), dict(asks)

    def snapshot(self) -> BookPush:
        """State the whole window."""
        return BookPush(
            is_snapshot=True,
            previous=NO_PREV_SEQUENCE,
            sequence=self.sequence,
            bids=list(self.bids.items()),
            asks=list(self.asks.items()),
        )

    def keep_alive(self) -> BookPush:
        """Say that nothing has changed: the sequence follows itself."""
        return BookPush(is_snapshot=False, previous=self.sequence, sequence=self.sequence, bids=(), asks=())

    def advance(self, after: "BookView", touched_bids: Iterable[Level], touched_asks: Iterable[Level]) -> BookPush:
        """Move on to a later window; name every level touched on the way, also where nothing remains of it."""
        bids = sorted(_difference(self.bids, after.bids, touched_bids), reverse=True)
        asks = sorted(_difference(self.asks, after.asks, touched_asks))
        push = BookPush(is_snapshot=False, previous=self.sequence, sequence=after.sequence, bids=bids, asks=asks)
        self.sequence, self.bids, self.asks = after.sequence, after.bids, after.asks
        return push


def _difference(
    before: Mapping[Decimal, Decimal], after: Mapping[Decimal, Decimal], touched: Iterable[Level]
) -> Iterable[Level]:
    changed = {price: quantity for price, quantity in after.items() if before.get(price) != quantity}
    # A level can leave the window because it is gone or because better ones have pushed it out.
    changed |= dict.fromkeys((price for price in before if price not in after), ZERO)
    for price, quantity in touched:
        if quantity == ZERO or price in after:
            changed[price] = after.get(price, ZERO)
    return changed.items()
