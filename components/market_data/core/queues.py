"""What waits between a venue's socket and the service: bounded, and each channel by a policy of its own."""

from collections import deque
from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import Final, Generic, TypeVar

from msgspec import Struct

from components.contracts.errors import InvariantError

Item = TypeVar("Item")
QueueName = TypeVar("QueueName", bound=StrEnum)


class OverflowPolicy(StrEnum):
    """What gives way when a queue is full."""

    BLOCK = "block"
    """Nothing: whoever fills it stops."""
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CONFLATE = "conflate"
    """What is newer about the same thing takes the place of the older; a full queue drops its oldest."""

    @property
    def conflates(self) -> bool:
        """Say whether only the newest of a thing is wanted."""
        return self is OverflowPolicy.CONFLATE


class QueueBounds(Struct, frozen=True, gc=False):
    """How much may wait, and what gives way beyond it."""

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
            raise InvariantError(f"a queue of {bounds.size_max}")
        self._size_max, self.policy = bounds.size_max, bounds.policy
        self._entries: deque[_Entry[Item]] = deque()
        self._by_key: dict[Hashable, _Entry[Item]] = {}
        self.dropped = 0
        """What never reached anybody, replaced by something newer or not."""

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._entries)

    @property
    def is_blocked(self) -> bool:
        """Say whether whoever fills it must stop; what was already read is still taken."""
        return self.policy is OverflowPolicy.BLOCK and len(self._entries) >= self._size_max

    @property
    def order(self) -> int | None:
        """Give the order of what comes out next; None where nothing waits."""
        return self._entries[0].order if self._entries else None

    def put(self, order: int, item: Item, key: Hashable = None) -> None:
        """Put something in, or whatever the policy says."""
        conflates = self.policy.conflates
        if conflates and (older := self._by_key.get(key)) is not None:
            # It keeps the place in the queue: one that changes all the time would never get to its end otherwise.
            older.item = item
            self.dropped += 1
            return
        if len(self._entries) >= self._size_max and not self._make_room():
            return
        waiting = _Entry(order, key, item)
        self._entries.append(waiting)
        if conflates:
            self._by_key[key] = waiting

    def pop(self) -> Item:
        """Take what comes out next."""
        waiting = self._entries.popleft()
        self._by_key.pop(waiting.key, None)
        return waiting.item

    def _make_room(self) -> bool:
        if self.policy is OverflowPolicy.BLOCK:
            return True
        self.dropped += 1
        if self.policy is OverflowPolicy.DROP_NEWEST:
            return False
        self.pop()
        return True


FIRST_ORDER: Final = 0


class ChannelQueues(Generic[QueueName, Item]):
    """Several queues that come out as one, in the order in which things went in."""

    def __init__(self, bounds: Mapping[QueueName, QueueBounds]) -> None:
        self.queues: dict[QueueName, BoundedQueue[Item]] = {lane: BoundedQueue(one) for lane, one in bounds.items()}
        self._order = FIRST_ORDER
        self._count = 0

    def __len__(self) -> int:
        """Count what waits in all of them."""
        return self._count

    @property
    def is_blocked(self) -> bool:
        """Say whether one of them is full and must not lose anything."""
        return any(queue.is_blocked for queue in self.queues.values())

    def put(self, name: QueueName, item: Item, key: Hashable = None) -> None:
        """Put something behind everything that waits."""
        queue = self.queues[name]
        before = len(queue)
        queue.put(self._order, item, key)
        self._order += 1
        self._count += len(queue) - before

    def pop(self) -> Item:
        """Take what went in first."""
        orders = ((queue.order, queue) for queue in self.queues.values())
        waiting = [(order, queue) for order, queue in orders if order is not None]
        if not waiting:
            raise InvariantError("nothing waits")
        self._count -= 1
        return min(waiting, key=lambda one: one[0])[1].pop()
