"""The top of a book as it is published: an image for who joins, then only what changed in it."""

from decimal import Decimal
from typing import Final

from components.market_data.core.depth import Depth, Side
from components.market_data.core.levels import Level, Numbers, Prices

Shown = tuple[tuple[Decimal, Decimal], ...]
GONE: Final = Decimal(0)


class Window:
    """What hearers were shown of one book."""

    __slots__ = ("_asks", "_bids", "_count", "_prices", "_quantities", "_unit")

    def __init__(self, count: int, unit: Decimal) -> None:
        """Show `count` levels a side; a quantity of the venue is worth `unit` of ours."""
        self._count, self._unit = count, unit
        self._prices, self._quantities = Prices(), Numbers()
        self._bids: dict[Decimal, Level] = {}
        self._asks: dict[Decimal, Level] = {}

    def show(self, depth: Depth) -> tuple[Shown, Shown]:
        """Show all of the window anew."""
        self._bids, self._asks = self._best_bids(depth.bids), self._best_asks(depth.asks)
        return self._written(self._bids), self._written(self._asks)

    def present(self) -> tuple[Shown, Shown]:
        """Give again what was shown last."""
        return self._written(self._bids), self._written(self._asks)

    def change(self, depth: Depth) -> tuple[Shown, Shown]:
        """Show what is different since the last time; a quantity of zero left the window."""
        bids, asks = self._best_bids(depth.bids), self._best_asks(depth.asks)
        changed = self._changed(self._bids, bids), self._changed(self._asks, asks)
        self._bids, self._asks = bids, asks
        return changed

    def _best_bids(self, side: Side) -> dict[Decimal, Level]:
        levels = side.levels
        return {price: levels[price] for price in side.prices[: -self._count - 1 : -1]}

    def _best_asks(self, side: Side) -> dict[Decimal, Level]:
        levels = side.levels
        return {price: levels[price] for price in side.prices[: self._count]}

    def _changed(self, before: dict[Decimal, Level], now: dict[Decimal, Level]) -> Shown:
        # Mostly nothing of one side changed, and equal dictionaries are found equal by identity of their levels.
        if before == now:
            return ()
        gone = tuple((price, GONE) for price in before if price not in now)
        new = {price: level for price, level in now.items() if before.get(price) != level}
        return gone + self._written(new)

    def _written(self, levels: dict[Decimal, Level]) -> Shown:
        quantities, unit = self._quantities, self._unit
        if unit == 1:
            return tuple([(price, quantities[level[1]]) for price, level in levels.items()])
        return tuple([(price, quantities[level[1]] * unit) for price, level in levels.items()])
