"""One exact order book with every level the venue sent, and the diffs of its published top."""

from bisect import bisect_left, insort
from decimal import Decimal
from typing import Final

from components.market_data.core.numerics import InvalidNumber, Level, Levels, PriceKeys, parse_number

PublishedLevels = tuple[tuple[Decimal, Decimal], ...]
REMOVED: Final = Decimal(0)
"""The quantity of a level that left the published top."""
NO_LEVELS: Levels = ()
NOT_CACHED: Final = -1
QUANTITY_MIN: Final = 1e-20
QUANTITY_MAX: Final = 1e20
"""A quantity outside these bounds is invalid. They are so wide that comparing as floats is exact enough."""


class BookSide:
    """The levels of one side by price key. `price_keys` holds the keys in ascending order."""

    __slots__ = ("_best", "_best_count", "_keys", "levels", "price_keys")

    def __init__(self, keys: PriceKeys) -> None:
        self._keys = keys
        self.levels: dict[int, Level] = {}
        self.price_keys: list[int] = []
        self._best: list[Level] = []
        self._best_count = NOT_CACHED

    def load(self, levels: Levels) -> None:
        """Replace all levels."""
        _check_quantities(levels)
        keys = self._keys
        self.levels = {keys[level[0]]: level for level in levels if _is_positive(level[1])}
        self.price_keys = sorted(self.levels)
        self._best_count = NOT_CACHED

    def apply(self, updates: Levels) -> None:
        """Set each updated level to its new quantity. A removed level may be unknown here."""
        self._best_count = NOT_CACHED
        _check_quantities(updates)
        keys, levels, prices = self._keys, self.levels, self.price_keys
        least, most = QUANTITY_MIN, QUANTITY_MAX
        for change in updates:
            price = keys[change[0]]
            # float() only separates zero from the rest; the quantity itself stays the venue's text.
            amount = float(change[1])
            if least <= amount <= most:
                if price not in levels:
                    insort(prices, price)
                levels[price] = change
            elif amount == 0.0:
                if levels.pop(price, None) is not None:
                    del prices[bisect_left(prices, price)]
            else:
                raise InvalidNumber(f"{change[1]!r} is not a quantity")

    def highest(self, count: int) -> list[Level]:
        """Return the levels with the highest prices, highest first. The caller must not change the list."""
        if self._best_count < count:
            levels = self.levels
            self._best = [levels[price] for price in self.price_keys[: -count - 1 : -1]]
            self._best_count = count
        return self._best if self._best_count == count else self._best[:count]

    def lowest(self, count: int) -> list[Level]:
        """Return the levels with the lowest prices, lowest first. The caller must not change the list."""
        if self._best_count < count:
            levels = self.levels
            self._best = [levels[price] for price in self.price_keys[:count]]
            self._best_count = count
        return self._best if self._best_count == count else self._best[:count]


class OrderBook:
    """Both sides of one order book."""

    __slots__ = ("_keys", "asks", "bids", "known_ask", "known_bid")

    def __init__(self) -> None:
        self._keys = PriceKeys()
        self.bids, self.asks = BookSide(self._keys), BookSide(self._keys)
        self.known_bid: int | None = None
        """The price key of the last bid of a truncated snapshot; deeper bids are unknown. None: all are known."""
        self.known_ask: int | None = None
        """The same for asks."""

    def apply_snapshot(self, bids: Levels, asks: Levels, *, depth_max: int = 0) -> None:
        """Replace all levels. If the snapshot was truncated at `depth_max` levels, deeper levels are unknown."""
        self.bids.load(bids)
        self.asks.load(asks)
        self.known_bid = self.bids.price_keys[0] if 0 < depth_max <= len(self.bids.price_keys) else None
        self.known_ask = self.asks.price_keys[-1] if 0 < depth_max <= len(self.asks.price_keys) else None

    def apply_update(self, bids: Levels, asks: Levels) -> None:
        """Apply one update of the venue."""
        # Many updates change one side only; the cached best levels of the other side stay valid.
        if bids:
            self.bids.apply(bids)
        if asks:
            self.asks.apply(asks)

    @property
    def is_crossed(self) -> bool:
        """Return whether the best bid is not below the best ask."""
        bids, asks = self.bids.price_keys, self.asks.price_keys
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Return the best levels of both sides, best first. The caller must not change the lists."""
        return self.bids.highest(count), self.asks.lowest(count)

    def is_shallow(self, count: int) -> bool:
        """Return whether fewer than `count` levels of a side remain of what the snapshot showed."""
        bids, asks = self.bids.price_keys, self.asks.price_keys
        bid, ask = self.known_bid, self.known_ask
        if bid is not None and len(bids) - bisect_left(bids, bid) < count:
            return True
        return ask is not None and bisect_left(asks, ask) < count

    @property
    def size(self) -> int:
        """Return the number of levels of the longer side."""
        return max(len(self.bids.price_keys), len(self.asks.price_keys))


def _check_quantities(levels: Levels) -> None:
    """Raise on quantities that only float() accepts as numbers: 1_0, spaces, digits of other scripts."""
    # All texts are checked as one, which costs a quarter of checking each: only points and ASCII digits are allowed.
    digits = "".join([level[1] for level in levels]).replace(".", "")
    if not (digits.isdigit() and digits.isascii()):
        for level in levels:
            parse_number(level[1])


def _is_positive(quantity: str) -> bool:
    amount = float(quantity)
    if QUANTITY_MIN <= amount <= QUANTITY_MAX:
        return True
    if amount != 0.0:
        raise InvalidNumber(f"{quantity!r} is not a quantity")
    return False


class TopOfBook:
    """The levels of one book that were published last."""

    __slots__ = ("_asks", "_bids", "_count", "_is_plain", "_unit")

    def __init__(self, count: int, contract_multiplier: Decimal) -> None:
        """Publish `count` levels per side, with the venue's quantities multiplied by `contract_multiplier`."""
        self._count, self._unit = count, contract_multiplier
        self._is_plain = contract_multiplier == 1
        self._bids: list[Level] = []
        self._asks: list[Level] = []

    def refresh(self, book: OrderBook) -> tuple[PublishedLevels, PublishedLevels]:
        """Return the whole top of the book and remember it as published."""
        self._bids, self._asks = book.top(self._count)
        return self.current()

    def current(self) -> tuple[PublishedLevels, PublishedLevels]:
        """Return the levels that were published last."""
        return self._as_published(self._bids), self._as_published(self._asks)

    def diff(self, book: OrderBook) -> tuple[PublishedLevels, PublishedLevels]:
        """Return the levels that changed since the last publication.

        A quantity of zero means that the level left the top.
        """
        bids, asks = book.top(self._count)
        changed = self._diff_side(self._bids, bids), self._diff_side(self._asks, asks)
        self._bids, self._asks = bids, asks
        return changed

    def _diff_side(self, before: list[Level], now: list[Level]) -> PublishedLevels:
        # Usually one side did not change; equal lists compare quickly because their levels are the same objects.
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
        # A price whose text changed is removed and added again, so the removals stand first.
        return (*[(Decimal(text), REMOVED) for text in standing], *self._as_published(new))

    def _as_published(self, levels: list[Level]) -> PublishedLevels:
        # The book has validated each text, so this conversion cannot fail. Most published numbers are new, so none is
        # cached.
        if self._is_plain:
            return tuple([(Decimal(level[0]), Decimal(level[1])) for level in levels])
        unit = self._unit
        return tuple([(Decimal(level[0]), Decimal(level[1]) * unit) for level in levels])
