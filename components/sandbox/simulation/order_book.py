"""A simulated order book with exact price levels, and the history that rebuilds it at any recent id."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

Level = tuple[Decimal, Decimal]
Levels = list[Level]
UPDATES_PER_BLOCK = 500
BLOCKS_MAX = 41  # keeps at least 20,000 updates
_ID = attrgetter("id")


class LevelUpdate(NamedTuple):
    """The new quantity of one price level; quantity 0 removes the level."""

    id: int
    at_ns: int
    is_bid: bool
    price: Decimal
    quantity: Decimal


class BookSide:
    """The levels of one side, prices sorted in ascending order."""

    __slots__ = ("prices", "quantities")

    def __init__(self, quantities: dict[Decimal, Decimal] | None = None, prices: list[Decimal] | None = None) -> None:
        self.quantities = quantities or {}
        self.prices = prices or []

    def set_level(self, price: Decimal, quantity: Decimal) -> None:
        """Set the quantity of a level, or remove it with quantity 0; removing an absent level is no error."""
        if quantity:
            if price not in self.quantities:
                insort(self.prices, price)
            self.quantities[price] = quantity
        elif self.quantities.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def copy(self) -> "BookSide":
        """Return an independent copy."""
        return BookSide(self.quantities.copy(), self.prices.copy())


class SimulatedBook:
    """Both sides of a book after the update with this id."""

    __slots__ = ("asks", "bids", "id")

    def __init__(self, at_id: int, bids: BookSide, asks: BookSide) -> None:
        self.id = at_id
        self.bids = bids
        self.asks = asks

    def side(self, *, is_bid: bool) -> BookSide:
        """Return one side."""
        return self.bids if is_bid else self.asks

    def apply(self, update: LevelUpdate) -> None:
        """Apply an update and take over its id."""
        self.side(is_bid=update.is_bid).set_level(update.price, update.quantity)
        self.id = update.id

    def price(self, index: int, *, is_bid: bool) -> Decimal:
        """Return the price at an index of a side; 0 is the best price, -1 the deepest."""
        return self.bids.prices[~index] if is_bid else self.asks.prices[index]

    def top(self, count: int) -> tuple[Levels, Levels]:
        """Return the best levels of both sides, best first."""
        bids, asks = self.bids, self.asks
        return (
            [(price, bids.quantities[price]) for price in bids.prices[: -count - 1 : -1]],
            [(price, asks.quantities[price]) for price in asks.prices[:count]],
        )

    def copy(self) -> "SimulatedBook":
        """Return an independent copy."""
        return SimulatedBook(self.id, self.bids.copy(), self.asks.copy())


class _Block(NamedTuple):
    """Consecutive updates, and the book before the first of them."""

    before: SimulatedBook
    updates: list[LevelUpdate]


class BookHistory:
    """The current book, and its latest updates in blocks of `UPDATES_PER_BLOCK`.

    A past state is rebuilt from the book at the start of its block, so the cost is bounded by the block size.
    """

    def __init__(self, book: SimulatedBook) -> None:
        self.book = book
        self._blocks = deque([_Block(book.copy(), [])], maxlen=BLOCKS_MAX)

    def apply(self, update: LevelUpdate) -> None:
        """Record an update and apply it to the current book."""
        if len(self._blocks[-1].updates) == UPDATES_PER_BLOCK:
            self._blocks.append(_Block(self.book.copy(), []))
        self._blocks[-1].updates.append(update)
        self.book.apply(update)

    def book_at(self, at_id: int) -> SimulatedBook:
        """Return the book after the last update whose id is not above `at_id`; raise LookupError if it is too old."""
        block = self._block_of(at_id)
        book = block.before.copy()
        for update in block.updates[: bisect_right(block.updates, at_id, key=_ID)]:
            book.apply(update)
        return book

    def updates_after(self, after_id: int, to_id: int) -> Iterator[LevelUpdate]:
        """Yield the updates with ids above `after_id` and up to `to_id`, oldest first."""
        if after_id >= self.book.id:
            return
        self._block_of(after_id)
        for block in self._blocks:
            if not block.updates or block.updates[-1].id <= after_id:
                continue
            for update in block.updates[bisect_right(block.updates, after_id, key=_ID) :]:
                if update.id > to_id:
                    return
                yield update

    def id_before(self, count: int) -> int:
        """Return the id that the book had `count` updates ago, or the oldest id in the history."""
        for block in reversed(self._blocks):
            if count < len(block.updates):
                return block.updates[~count].id
            count -= len(block.updates)
        return self._blocks[0].before.id

    def previous_id(self, update_id: int) -> int:
        """Return the id that the book had before this update."""
        block = self._block_of(update_id - 1)
        position = bisect_left(block.updates, update_id, key=_ID)
        return block.updates[position - 1].id if position else block.before.id

    def _block_of(self, at_id: int) -> _Block:
        for block in reversed(self._blocks):
            if block.before.id <= at_id:
                return block
        raise LookupError(f"id {at_id} is older than the history, which starts at {self._blocks[0].before.id}")
