"""What one book went through: any of its recent states can be shown again."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from components.sandbox.flow.book import LevelUpdate, SimulatedBook

UPDATES_PER_BLOCK = 500
BLOCKS_MAX = 41  # so that at least 20,000 changes are remembered
_ID = attrgetter("id")


class _Block(NamedTuple):
    """Some changes in order, and the book as it was before the first of them."""

    before: SimulatedBook
    updates: list[LevelUpdate]


class BookHistory:
    """The latest changes of one book in blocks, and the book as it is now."""

    def __init__(self, book: SimulatedBook) -> None:
        self.book = book
        self._blocks = deque([_Block(book.copy(), [])], maxlen=BLOCKS_MAX)

    def apply(self, update: LevelUpdate) -> None:
        """Let the book change."""
        if len(self._blocks[-1].updates) == UPDATES_PER_BLOCK:
            self._blocks.append(_Block(self.book.copy(), []))
        self._blocks[-1].updates.append(update)
        self.book.apply(update)

    def book_at(self, at_id: int) -> SimulatedBook:
        """Show the book as of the last change whose id is not above this one."""
        block = self._block_of(at_id)
        book = block.before.copy()
        for change in block.updates[: bisect_right(block.updates, at_id, key=_ID)]:
            book.apply(change)
        return book

    def updates_after(self, after_id: int, to_id: int) -> Iterator[LevelUpdate]:
        """Give the changes above one id and up to another, oldest first."""
        if after_id >= self.book.id:
            return
        self._block_of(after_id)
        for block in self._blocks:
            if not block.updates or block.updates[-1].id <= after_id:
                continue
            for change in block.updates[bisect_right(block.updates, after_id, key=_ID) :]:
                if change.id > to_id:
                    return
                yield change

    def id_before(self, count: int) -> int:
        """Give the id so many changes ago, or the oldest that is remembered."""
        for block in reversed(self._blocks):
            if count < len(block.updates):
                return block.updates[~count].id
            count -= len(block.updates)
        return self._blocks[0].before.id

    def previous_id(self, update_id: int) -> int:
        """Give the id that came before this change."""
        block = self._block_of(update_id - 1)
        place = bisect_left(block.updates, update_id, key=_ID)
        return block.updates[place - 1].id if place else block.before.id

    def _block_of(self, at_id: int) -> _Block:
        for block in reversed(self._blocks):
            if block.before.id <= at_id:
                return block
        raise LookupError(f"id {at_id} is older than what is remembered, which begins at {self._blocks[0].before.id}")
