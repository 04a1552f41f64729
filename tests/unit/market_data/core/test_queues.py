"""Bounded queues: what each policy drops, and that the rest is delivered in order."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import InvariantError
from components.market_data.core.queues import BoundedQueue, ChannelQueues, OverflowPolicy, QueueBounds


class Which(StrEnum):
    BOOKS = "books"
    QUOTES = "quotes"


def blocks(queue: BoundedQueue[str] | ChannelQueues[Which, str]) -> bool:
    return queue.is_blocked


def drained(queue: BoundedQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def filled(policy: OverflowPolicy, *items: str, waiting_max: int = 2) -> BoundedQueue[str]:
    queue: BoundedQueue[str] = BoundedQueue(QueueBounds(waiting_max, policy))
    for order, item in enumerate(items):
        queue.put(order, item, key=item[0])
    return queue


@pytest.mark.parametrize(
    ("policy", "left", "dropped"),
    [
        (OverflowPolicy.BLOCK, ["a1", "b1", "a2", "c1"], 0),
        (OverflowPolicy.DROP_OLDEST, ["a2", "c1"], 2),
        (OverflowPolicy.DROP_NEWEST, ["a1", "b1"], 2),
        (OverflowPolicy.CONFLATE, ["b1", "c1"], 2),
    ],
)
def test_each_policy_gives_way_in_its_own_way(policy: OverflowPolicy, left: list[str], dropped: int) -> None:
    queue = filled(policy, "a1", "b1", "a2", "c1")
    assert queue.dropped == dropped
    assert drained(queue) == left


def test_every_policy_has_a_case() -> None:
    assert set(OverflowPolicy) == {
        OverflowPolicy.BLOCK,
        OverflowPolicy.DROP_OLDEST,
        OverflowPolicy.DROP_NEWEST,
        OverflowPolicy.CONFLATE,
    }


def test_a_blocking_queue_is_blocked_from_full_until_there_is_room() -> None:
    queue = filled(OverflowPolicy.BLOCK, "a1")
    assert not blocks(queue)
    queue.put(1, "b1")
    assert blocks(queue)
    queue.pop()
    assert not blocks(queue)


@pytest.mark.parametrize("policy", [policy for policy in OverflowPolicy if policy is not OverflowPolicy.BLOCK])
def test_a_queue_that_may_drop_never_blocks(policy: OverflowPolicy) -> None:
    assert not filled(policy, "a1", "b1", "c1").is_blocked


def test_what_is_conflated_keeps_its_place() -> None:
    queue = filled(OverflowPolicy.CONFLATE, "a1", "b1", "a2", "a3", waiting_max=9)
    assert drained(queue) == ["a3", "b1"]


def test_what_came_out_is_no_longer_conflated_with() -> None:
    queue = filled(OverflowPolicy.CONFLATE, "a1")
    queue.pop()
    queue.put(9, "a2", key="a")
    assert drained(queue) == ["a2"]
    assert queue.dropped == 0


def test_channel_queues_keep_the_order_of_insertion() -> None:
    queues: ChannelQueues[Which, str] = ChannelQueues(
        {Which.BOOKS: QueueBounds(9, OverflowPolicy.BLOCK), Which.QUOTES: QueueBounds(9, OverflowPolicy.CONFLATE)}
    )
    queues.put(Which.BOOKS, "book 1")
    queues.put(Which.QUOTES, "quote 1", key="x")
    queues.put(Which.BOOKS, "book 2")
    queues.put(Which.QUOTES, "quote 2", key="x")
    assert len(queues) == 3
    assert [queues.pop() for _ in range(3)] == ["book 1", "quote 2", "book 2"]
    assert not queues


def test_one_full_queue_blocks_all_and_an_empty_one_raises() -> None:
    queues: ChannelQueues[Which, str] = ChannelQueues(
        {Which.BOOKS: QueueBounds(1, OverflowPolicy.BLOCK), Which.QUOTES: QueueBounds(1, OverflowPolicy.DROP_OLDEST)}
    )
    queues.put(Which.QUOTES, "quote 1")
    assert not blocks(queues)
    queues.put(Which.BOOKS, "book 1")
    assert blocks(queues)
    queues.pop()
    queues.pop()
    with pytest.raises(InvariantError):
        queues.pop()


def test_a_queue_without_room_is_a_mistake() -> None:
    with pytest.raises(InvariantError):
        BoundedQueue(QueueBounds(0, OverflowPolicy.BLOCK))


@given(
    policy=st.sampled_from([OverflowPolicy.DROP_OLDEST, OverflowPolicy.DROP_NEWEST, OverflowPolicy.CONFLATE]),
    waiting_max=st.integers(1, 5),
    puts=st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=60),
)
def test_nothing_is_lost_uncounted_and_the_bound_holds(
    policy: OverflowPolicy, waiting_max: int, puts: list[int | None]
) -> None:
    queue: BoundedQueue[int] = BoundedQueue(QueueBounds(waiting_max, policy))
    went_in = came_out = 0
    for order, key in enumerate(puts):
        if key is not None:
            queue.put(order, order, key)
            went_in += 1
        elif len(queue):
            queue.pop()
            came_out += 1
        assert len(queue) <= waiting_max
        assert went_in == came_out + queue.dropped + len(queue)
