"""One book, exact: every level the venue gave, its best prices at hand, nothing rounded."""

from bisect import bisect_left, insort
from decimal import Decimal
from math import inf

from components.market_data.core.levels import BadNumber, Level, Levels, Prices

NO_LEVELS: Levels = ()


class Side:
    """The levels of one side by price; `prices` is always ascending."""

    __slots__ = ("_numbers", "levels", "prices")

    def __init__(self, numbers: Prices) -> None:
        self._numbers = numbers
        self.levels: dict[Decimal, Level] = {}
        self.prices: list[Decimal] = []

    def load(self, levels: Levels) -> None:
        """Forget everything and hold these."""
        numbers = self._numbers
        self.levels = {numbers[level[0]]: level for level in levels if _is_held(level[1])}
        self.prices = sorted(self.levels)

    def apply(self, changes: Levels) -> None:
        """Set each touched level to its new quantity; one that goes may never have been here."""
        numbers, levels, prices = self._numbers, self.levels, self.prices
        for change in changes:
            price = numbers[change[0]]
            # float() only tells zero from the rest; the quantity itself stays the venue's text.
            amount = float(change[1])
            if 0.0 < amount < inf:
                if price not in levels:
                    insort(prices, price)
                levels[price] = change
            elif amount == 0.0:
                if levels.pop(price, None) is not None:
                    del prices[bisect_left(prices, price)]
            else:
                raise BadNumber(f"{change[1]!r} is no quantity")


class Depth:
    """Both sides of one book."""

    __slots__ = ("_numbers", "asks", "bids", "known_ask", "known_bid")

    def __init__(self) -> None:
        self._numbers = Prices()
        self.bids, self.asks = Side(self._numbers), Side(self._numbers)
        self.known_bid: Decimal | None = None
        self.known_ask: Decimal | None = None

    def load(self, bids: Levels, asks: Levels, *, depth_max: int = 0) -> None:
        """Replace everything; where the image was cut at `depth_max` levels, what lies beyond them is not known."""
        self.bids.load(bids)
        self.asks.load(asks)
        self.known_bid = self.bids.prices[0] if 0 < depth_max <= len(self.bids.prices) else None
        self.known_ask = self.asks.prices[-1] if 0 < depth_max <= len(self.asks.prices) else None

    def apply(self, bids: Levels, asks: Levels) -> None:
        """Apply one change of the venue."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    @property
    def is_crossed(self) -> bool:
        """Say whether somebody bids as much as another asks."""
        bids, asks = self.bids.prices, self.asks.prices
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Give the best levels, best first."""
        bids, asks = self.bids.levels, self.asks.levels
        return (
            [bids[price] for price in self.bids.prices[: -count - 1 : -1]],
            [asks[price] for price in self.asks.prices[:count]],
        )

    def is_shallow(self, count: int) -> bool:
        """Say whether fewer than `count` levels of a side are left of what the image showed."""
        bids, asks = self.bids.prices, self.asks.prices
        bid, ask = self.known_bid, self.known_ask
        if bid is not None and len(bids) - bisect_left(bids, bid) < count:
            return True
        return ask is not None and bisect_left(asks, ask) < count

    @property
    def size(self) -> int:
        """Count the levels of the longer side."""
        return max(len(self.bids.prices), len(self.asks.prices))

    @property
    def exponents(self) -> int:
        """Count the texts that were written with an exponent."""
        return self._numbers.exponents


def _is_held(quantity: str) -> bool:
    amount = float(quantity)
    if not 0.0 <= amount < inf:
        raise BadNumber(f"{quantity!r} is no quantity")
    return amount > 0.0
