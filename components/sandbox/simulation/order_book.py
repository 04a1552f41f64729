"""A venue's own order book: each price level with its quantity, exact, and able to be copied."""

from bisect import bisect_left, insort
from decimal import Decimal
from typing import NamedTuple

Level = tuple[Decimal, Decimal]
Levels = list[Level]


class LevelUpdate(NamedTuple):
    """One level of one book as it is after something happened; quantity 0 says that it is gone."""

    id: int
    at_ns: int
    is_bid: bool
    price: Decimal
    quantity: Decimal


class BookSide:
    """One side's levels, their prices kept in ascending order."""

    __slots__ = ("prices", "quantities")

    def __init__(self, quantities: dict[Decimal, Decimal] | None = None, prices: list[Decimal] | None = None) -> None:
        self.quantities = quantities or {}
        self.prices = prices or []

    def set_level(self, price: Decimal, quantity: Decimal) -> None:
        """Set a level, or remove it by quantity 0; removing what is not there is no fault."""
        if quantity:
            if price not in self.quantities:
                insort(self.prices, price)
            self.quantities[price] = quantity
        elif self.quantities.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def copy(self) -> "BookSide":
        """Give a side of its own with the same levels."""
        return BookSide(self.quantities.copy(), self.prices.copy())


class SimulatedBook:
    """Both sides of a book, as of the change with this id."""

    __slots__ = ("asks", "bids", "id")

    def __init__(self, at_id: int, bids: BookSide, asks: BookSide) -> None:
        self.id = at_id
        self.bids = bids
        self.asks = asks

    def side(self, *, is_bid: bool) -> BookSide:
        """Give one side."""
        return self.bids if is_bid else self.asks

    def apply(self, update: LevelUpdate) -> None:
        """Take a change over."""
        self.side(is_bid=update.is_bid).set_level(update.price, update.quantity)
        self.id = update.id

    def price(self, index: int, *, is_bid: bool) -> Decimal:
        """Give the price at a place of a side; 0 is the best, -1 the deepest."""
        return self.bids.prices[~index] if is_bid else self.asks.prices[index]

    def top(self, count: int) -> tuple[Levels, Levels]:
        """Give the best levels of both sides, best first."""
        bids, asks = self.bids, self.asks
        return (
            [(price, bids.quantities[price]) for price in bids.prices[: -count - 1 : -1]],
            [(price, asks.quantities[price]) for price in asks.prices[:count]],
        )

    def copy(self) -> "SimulatedBook":
        """Give a book of its own with the same levels."""
        return SimulatedBook(self.id, self.bids.copy(), self.asks.copy())
