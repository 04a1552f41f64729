"""The top of a book as it is published: an image for who joins, then only what changed in it."""

from decimal import Decimal
from typing import Final

from components.market_data.core.depth import OrderBook
from components.market_data.core.levels import Level

PublishedLevels = tuple[tuple[Decimal, Decimal], ...]
REMOVED: Final = Decimal(0)


class TopOfBook:
    """What hearers were shown of one book."""

    __slots__ = ("_asks", "_bids", "_count", "_is_plain", "_unit")

    def __init__(self, count: int, contract_multiplier: Decimal) -> None:
        """Show `count` levels a side; a quantity of the venue is worth `unit` of ours."""
        self._count, self._unit = count, contract_multiplier
        self._is_plain = contract_multiplier == 1
        self._bids: list[Level] = []
        self._asks: list[Level] = []

    def refresh(self, book: OrderBook) -> tuple[PublishedLevels, PublishedLevels]:
        """Show all of the window anew."""
        self._bids, self._asks = book.top(self._count)
        return self.current()

    def current(self) -> tuple[PublishedLevels, PublishedLevels]:
        """Give again what was shown last."""
        return self._as_published(self._bids), self._as_published(self._asks)

    def diff(self, book: OrderBook) -> tuple[PublishedLevels, PublishedLevels]:
        """Show what is different since the last time; a quantity of zero left the window."""
        bids, asks = book.top(self._count)
        changed = self._diff_side(self._bids, bids), self._diff_side(self._asks, asks)
        self._bids, self._asks = bids, asks
        return changed

    def _diff_side(self, before: list[Level], now: list[Level]) -> PublishedLevels:
        # Mostly nothing of one side changed, and equal lists are found equal by identity of their levels.
        if before == now:
            return ()
        if len(before) != len(now):
            return self._diff_by_price(before, now)
        new: list[Level] = []
        for old, level in zip(before, now, strict=True):
            if old is not level:
                if old[0] != level[0]:
                    return self._diff_by_price(before, now)
                if old[1] != level[1]:
                    new.append(level)
        return self._as_published(new)

    def _diff_by_price(self, before: list[Level], now: list[Level]) -> PublishedLevels:
        standing = {level[0]: level[1] for level in before}
        new = [level for level in now if standing.pop(level[0], None) != level[1]]
        # A price that is merely spelled anew leaves and comes: what left stands first.
        return (*[(Decimal(text), REMOVED) for text in standing], *self._as_published(new))

    def _as_published(self, levels: list[Level]) -> PublishedLevels:
        # The book has looked at each text, so reading it never fails; and what is shown is mostly new, so none is kept.
        if self._is_plain:
            return tuple([(Decimal(level[0]), Decimal(level[1])) for level in levels])
        unit = self._unit
        return tuple([(Decimal(level[0]), Decimal(level[1]) * unit) for level in levels])
