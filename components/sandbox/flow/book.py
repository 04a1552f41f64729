"""A venue's own order book: each price level with its quantity, exact, and able to be copied."""

from bisect import bisect_left, insort
from decimal import Decimal
from typing import NamedTuple

Level = tuple[Decimal, Decimal]
Levels = list[Level]


class Change(NamedTuple):
    """One level of one book as it is after something happened; quantity 0 says that it is gone."""

    id: int
    at_ns: int
    is_bid: bool
    price: Decimal
    quantity: Decimal


class Side:
    """One side's levels, their prices kept in ascending order."""

    __slots__ = ("prices", "quantities")

    def __init__(self, quantities: dict[Decimal, Decimal] | None = None, prices: list[Decimal] | None = None) -> None:
        self.quantities = quantities or {}
        self.prices = prices or []

    def put(self, price: Decimal, quantity: Decimal) -> None:
        """Set a level, or remove it by quantity 0; removing what is not there is no fault."""
        if quantity:
            if price not in self.quantities:
                insort(self.prices, price)
            self.quantities[price] = quantity
        elif self.quantities.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def copy(self) -> "Side":
        """Give a side of its own with the same levels."""
        return Side(self.quantities.copy(), self.prices.copy())


class FlowBook:
    """Both sides of a book, as of the change with this id."""

    __slots__ = ("asks", "bids", "id")

    def __init__(self, at_id: int, bids: Side, asks: Side) -> None:
        self.id = at_id
        self.bids = bids
        self.asks = asks

    def side(self, *, is_bid: bool) -> Side:
        """Give one side."""
        return self.bids if is_bid else self.asks

    def apply(self, change: Change) -> None:
        """Take a change over."""
        self.side(is_bid=change.is_bid).put(change.price, change.quantity)
        self.id = change.id

    def price(self, place: int, *, is_bid: bool) -> Decimal:
        """Give the price at a place of a side; 0 is the best, -1 the deepest."""
        return self.bids.prices[~place] if is_bid else self.asks.prices[place]

    def top(self, count: int) -> tuple[Levels, Levels]:
        """Give the best levels of both sides, best first."""
        bids, asks = self.bids, self.asks
        return (
            [(price, bids.quantities[price]) for price in bids.prices[: -count - 1 : -1]],
            [(price, asks.quantities[price]) for price in asks.prices[:count]],
        )

    def copy(self) -> "FlowBook":
        """Give a book of its own with the same levels."""
        return FlowBook(self.id, self.bids.copy(), self.asks.copy())
