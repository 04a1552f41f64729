"""Bounded queues: what gives way by which policy, and that what is left comes out in order."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import InvariantError
from components.market_data.core.queues import Bounds, Lanes, Policy, Queue


class Which(StrEnum):
    BOOKS = "books"
    QUOTES = "quotes"


def blocks(queue: Queue[str] | Lanes[Which, str]) -> bool:
    return queue.is_blocked


def drained(queue: Queue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def filled(policy: Policy, *items: str, waiting_max: int = 2) -> Queue[str]:
    queue: Queue[str] = Queue(Bounds(waiting_max, policy))
    for order, item in enumerate(items):
        queue.put(order, item, key=item[0])
    return queue


@pytest.mark.parametrize(
    ("policy", "left", "dropped"),
    [
        (Policy.BLOCK, ["a1", "b1", "a2", "c1"], 0),
        (Policy.DROP_OLDEST, ["a2", "c1"], 2),
        (Policy.DROP_NEWEST, ["a1", "b1"], 2),
        (Policy.CONFLATE, ["b1", "c1"], 2),
    ],
)
def test_each_policy_gives_way_in_its_own_way(policy: Policy, left: list[str], dropped: int) -> None:
    queue = filled(policy, "a1", "b1", "a2", "c1")
    assert queue.dropped == dropped
    assert drained(queue) == left


def test_every_policy_has_a_case() -> None:
    assert set(Policy) == {Policy.BLOCK, Policy.DROP_OLDEST, Policy.DROP_NEWEST, Policy.CONFLATE}


def test_a_blocking_queue_says_so_as_soon_as_it_is_full_and_until_there_is_room() -> None:
    queue = filled(Policy.BLOCK, "a1")
    assert not blocks(queue)
    queue.put(1, "b1")
    assert blocks(queue)
    queue.pop()
    assert not blocks(queue)


@pytest.mark.parametrize("policy", [policy for policy in Policy if policy is not Policy.BLOCK])
def test_a_queue_that_may_drop_never_blocks(policy: Policy) -> None:
    assert not filled(policy, "a1", "b1", "c1").is_blocked


def test_what_is_conflated_keeps_its_place() -> None:
    queue = filled(Policy.CONFLATE, "a1", "b1", "a2", "a3", waiting_max=9)
    assert drained(queue) == ["a3", "b1"]


def test_what_came_out_is_no_longer_conflated_with() -> None:
    queue = filled(Policy.CONFLATE, "a1")
    queue.pop()
    queue.put(9, "a2", key="a")
    assert drained(queue) == ["a2"]
    assert queue.dropped == 0


def test_lanes_come_out_in_the_order_in_which_things_went_in() -> None:
    lanes: Lanes[Which, str] = Lanes({Which.BOOKS: Bounds(9, Policy.BLOCK), Which.QUOTES: Bounds(9, Policy.CONFLATE)})
    lanes.put(Which.BOOKS, "book 1")
    lanes.put(Which.QUOTES, "quote 1", key="x")
    lanes.put(Which.BOOKS, "book 2")
    lanes.put(Which.QUOTES, "quote 2", key="x")
    assert len(lanes) == 3
    assert [lanes.pop() for _ in range(3)] == ["book 1", "quote 2", "book 2"]
    assert not lanes


def test_one_full_lane_blocks_all_and_an_empty_one_has_nothing() -> None:
    lanes: Lanes[Which, str] = Lanes(
        {Which.BOOKS: Bounds(1, Policy.BLOCK), Which.QUOTES: Bounds(1, Policy.DROP_OLDEST)}
    )
    lanes.put(Which.QUOTES, "quote 1")
    assert not blocks(lanes)
    lanes.put(Which.BOOKS, "book 1")
    assert blocks(lanes)
    lanes.pop()
    lanes.pop()
    with pytest.raises(InvariantError):
        lanes.pop()


def test_a_queue_without_room_is_a_mistake() -> None:
    with pytest.raises(InvariantError):
        Queue(Bounds(0, Policy.BLOCK))


@given(
    policy=st.sampled_from([Policy.DROP_OLDEST, Policy.DROP_NEWEST, Policy.CONFLATE]),
    waiting_max=st.integers(1, 5),
    puts=st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=60),
)
def test_nothing_is_lost_uncounted_and_the_bound_holds(
    policy: Policy, waiting_max: int, puts: list[int | None]
) -> None:
    queue: Queue[int] = Queue(Bounds(waiting_max, policy))
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
