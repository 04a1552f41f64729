"""One book, exact: every level the venue gave, its best prices at hand, nothing rounded.

The top of a book as it is published: an image for who joins, then only what changed in it.
"""

from bisect import bisect_left, insort
from decimal import Decimal
from typing import Final

from components.market_data.core.numerics import InvalidNumber, Level, Levels, PriceKeys, parse_number

NO_LEVELS: Levels = ()


NOT_CACHED: Final = -1


QUANTITY_MIN: Final = 1e-20


QUANTITY_MAX: Final = 1e20
"""What lies outside is no quantity of anything; so much of a text a float tells for sure."""


class BookSide:
    """The levels of one side by the key of their price; `prices` holds the keys, always ascending."""

    __slots__ = ("_best", "_best_count", "_keys", "levels", "price_keys")

    def __init__(self, keys: PriceKeys) -> None:
        self._keys = keys
        self.levels: dict[int, Level] = {}
        self.price_keys: list[int] = []
        self._best: list[Level] = []
        self._best_count = NOT_CACHED

    def load(self, levels: Levels) -> None:
        """Forget everything and hold these."""
        _check_quantities(levels)
        keys = self._keys
        self.levels = {keys[level[0]]: level for level in levels if _is_positive(level[1])}
        self.price_keys = sorted(self.levels)
        self._best_count = NOT_CACHED

    def apply(self, updates: Levels) -> None:
        """Set each touched level to its new quantity; one that goes may never have been here."""
        self._best_count = NOT_CACHED
        _check_quantities(updates)
        keys, levels, prices = self._keys, self.levels, self.price_keys
        least, most = QUANTITY_MIN, QUANTITY_MAX
        for change in updates:
            price = keys[change[0]]
            # float() only tells zero from the rest; the quantity itself stays the venue's text.
            amount = float(change[1])
            if least <= amount <= most:
                if price not in levels:
                    insort(prices, price)
                levels[price] = change
            elif amount == 0.0:
                if levels.pop(price, None) is not None:
                    del prices[bisect_left(prices, price)]
            else:
                raise InvalidNumber(f"{change[1]!r} is no quantity")

    def highest(self, count: int) -> list[Level]:
        """Give the levels of the highest prices, highest first; not to be changed."""
        if self._best_count < count:
            levels = self.levels
            self._best = [levels[price] for price in self.price_keys[: -count - 1 : -1]]
            self._best_count = count
        return self._best if self._best_count == count else self._best[:count]

    def lowest(self, count: int) -> list[Level]:
        """Give the levels of the lowest prices, lowest first; not to be changed."""
        if self._best_count < count:
            levels = self.levels
            self._best = [levels[price] for price in self.price_keys[:count]]
            self._best_count = count
        return self._best if self._best_count == count else self._best[:count]


class OrderBook:
    """Both sides of one book."""

    __slots__ = ("_keys", "asks", "bids", "known_ask", "known_bid")

    def __init__(self) -> None:
        self._keys = PriceKeys()
        self.bids, self.asks = BookSide(self._keys), BookSide(self._keys)
        self.known_bid: int | None = None
        self.known_ask: int | None = None

    def apply_snapshot(self, bids: Levels, asks: Levels, *, depth_max: int = 0) -> None:
        """Replace everything; where the image was cut at `depth_max` levels, what lies beyond them is not known."""
        self.bids.load(bids)
        self.asks.load(asks)
        self.known_bid = self.bids.price_keys[0] if 0 < depth_max <= len(self.bids.price_keys) else None
        self.known_ask = self.asks.price_keys[-1] if 0 < depth_max <= len(self.asks.price_keys) else None

    def apply_update(self, bids: Levels, asks: Levels) -> None:
        """Apply one change of the venue."""
        # Many a change touches one side, and the best of the other stay read.
        if bids:
            self.bids.apply(bids)
        if asks:
            self.asks.apply(asks)

    @property
    def is_crossed(self) -> bool:
        """Say whether somebody bids as much as another asks."""
        bids, asks = self.bids.price_keys, self.asks.price_keys
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Give the best levels, best first; not to be changed."""
        return self.bids.highest(count), self.asks.lowest(count)

    def is_shallow(self, count: int) -> bool:
        """Say whether fewer than `count` levels of a side are left of what the image showed."""
        bids, asks = self.bids.price_keys, self.asks.price_keys
        bid, ask = self.known_bid, self.known_ask
        if bid is not None and len(bids) - bisect_left(bids, bid) < count:
            return True
        return ask is not None and bisect_left(asks, ask) < count

    @property
    def size(self) -> int:
        """Count the levels of the longer side."""
        return max(len(self.bids.price_keys), len(self.asks.price_keys))


def _check_quantities(levels: Levels) -> None:
    """Refuse quantities that only float() would take for numbers: 1_0, spaces, other scripts' digits."""
    # All of them at once, for that costs a quarter: what is left without the points is digits, or somewhere strange.
    digits = "".join([level[1] for level in levels]).replace(".", "")
    if not (digits.isdigit() and digits.isascii()):
        for level in levels:
            parse_number(level[1])


def _is_positive(quantity: str) -> bool:
    amount = float(quantity)
    if QUANTITY_MIN <= amount <= QUANTITY_MAX:
        return True
    if amount != 0.0:
        raise InvalidNumber(f"{quantity!r} is no quantity")
    return False


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
