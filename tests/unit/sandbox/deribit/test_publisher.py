"""Clients of the simulated Deribit: credits and heartbeats."""

from components.sandbox.deribit.publisher import Heartbeat, call_bucket, subscription_bucket
from components.sandbox.numerics import SECOND_NS


def test_a_client_that_misses_a_test_request_is_closed() -> None:
    heartbeat = Heartbeat(interval_ns=10, due_ns=10)
    assert [heartbeat.tick(5), heartbeat.tick(10)] == [None, True]
    heartbeat.is_awaiting_reply = False
    assert [heartbeat.tick(20), heartbeat.tick(25), heartbeat.tick(30)] == [True, None, False]


def test_ten_subscriptions_at_once_are_allowed_and_then_three_a_second() -> None:
    credits_left = subscription_bucket(0)
    assert [credits_left.try_acquire(0) for _ in range(11)] == [True] * 10 + [False]
    assert [credits_left.try_acquire(SECOND_NS) for _ in range(4)] == [True] * 3 + [False]


def test_a_hundred_ordinary_calls_at_once_are_allowed() -> None:
    credits_left = call_bucket(0)
    assert [credits_left.try_acquire(0) for _ in range(101)] == [True] * 100 + [False]
