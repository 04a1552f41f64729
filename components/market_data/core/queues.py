"""Bounded queues between a venue's socket and the service, each with its own overflow policy."""

from collections import deque
from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

from components.contracts.errors import InvariantError

Item = TypeVar("Item")
QueueName = TypeVar("QueueName", bound=StrEnum)


class OverflowPolicy(StrEnum):
    """What is dropped when a queue is full."""

    BLOCK = "block"
    """Nothing is dropped: the producer stops."""
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CONFLATE = "conflate"
    """A newer item replaces the queued one with the same key; a full queue drops its oldest."""

    @property
    def conflates(self) -> bool:
        """Return whether only the newest item of a key is kept."""
        return self is OverflowPolicy.CONFLATE


class QueueBounds(Struct, frozen=True, gc=False):
    """The size of a queue and its overflow policy."""

    size_max: int
    policy: OverflowPolicy


class _Entry(Struct, Generic[Item]):
    order: int
    key: Hashable
    item: Item


class BoundedQueue(Generic[Item]):
    """One bounded queue."""

    def __init__(self, bounds: QueueBounds) -> None:
        if bounds.size_max < 1:
            raise InvariantError(f"size_max of a queue is {bounds.size_max}, below 1")
        self._size_max, self.policy = bounds.size_max, bounds.policy
        self._entries: deque[_Entry[Item]] = deque()
        self._by_key: dict[Hashable, _Entry[Item]] = {}
        self.dropped = 0
        """Items that were never delivered, dropped or replaced by newer ones."""

    def __len__(self) -> int:
        """Return the number of queued items."""
        return len(self._entries)

    @property
    def is_blocked(self) -> bool:
        """Return whether the producer must stop; items that were already read are still accepted."""
        return self.policy is OverflowPolicy.BLOCK and len(self._entries) >= self._size_max

    @property
    def order(self) -> int | None:
        """Return the order number of the next item; None if the queue is empty."""
        return self._entries[0].order if self._entries else None

    def put(self, order: int, item: Item, key: Hashable = None) -> None:
        """Append an item, or apply the overflow policy."""
        conflates = self.policy.conflates
        if conflates and (older := self._by_key.get(key)) is not None:
            # The item keeps its position: otherwise a key that changes all the time would never reach the head.
            older.item = item
            self.dropped += 1
            return
        if len(self._entries) >= self._size_max and not self._make_room():
            return
        entry = _Entry(order, key, item)
        self._entries.append(entry)
        if conflates:
            self._by_key[key] = entry

    def pop(self) -> Item:
        """Remove and return the next item."""
        entry = self._entries.popleft()
        self._by_key.pop(entry.key, None)
        return entry.item

    def _make_room(self) -> bool:
        if self.policy is OverflowPolicy.BLOCK:
            return True
        self.dropped += 1
        if self.policy is OverflowPolicy.DROP_NEWEST:
            return False
        self.pop()
        return True


class ChannelQueues(Generic[QueueName, Item]):
    """Several queues that are read as one, in the order in which items were appended."""

    def __init__(self, bounds: Mapping[QueueName, QueueBounds]) -> None:
        self.queues: dict[QueueName, BoundedQueue[Item]] = {name: BoundedQueue(one) for name, one in bounds.items()}
        self._order = 0
        self._count = 0

    def __len__(self) -> int:
        """Return the number of items in all queues."""
        return self._count

    @property
    def is_blocked(self) -> bool:
        """Return whether one of the queues is full and may not drop anything."""
        return any(queue.is_blocked for queue in self.queues.values())

    def put(self, name: QueueName, item: Item, key: Hashable = None) -> None:
        """Append an item behind all queued ones."""
        queue = self.queues[name]
        before = len(queue)
        queue.put(self._order, item, key)
        self._order += 1
        self._count += len(queue) - before

    def pop(self) -> Item:
        """Remove and return the oldest item of all queues."""
        orders = ((queue.order, queue) for queue in self.queues.values())
        waiting = [(order, queue) for order, queue in orders if order is not None]
        if not waiting:
            raise InvariantError("all queues are empty")
        self._count -= 1
        return min(waiting, key=lambda one: one[0])[1].pop()
