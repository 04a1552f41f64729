"""State of each topic after acknowledgements, rejections and timeouts."""

from components.contracts.values import Symbol
from components.market_data.venues.adapter import Channel, SubscribeAck, SubscribeRejected, Topic, UnsubscribeAck
from components.market_data.venues.connection.subscriptions import (
    Subscriptions,
    SubscriptionTimeouts,
    TopicRejection,
)
from components.runtime.clock import NS_PER_MS
from components.runtime.retry import Backoff

ANSWER_MS = 1_000
FIRST_MS = 2_000
WAITS = SubscriptionTimeouts(ANSWER_MS, Backoff(first_ms_max=100, delay_ms_max=400))


def book(letter: str) -> Topic:
    return Topic(Channel.DEPTH, Symbol(f"TOY:{letter.upper()}-USD"), letter)


def requested(*topics: Topic, number: int = 7) -> Subscriptions:
    subscriptions = Subscriptions(topics, WAITS, lambda _: FIRST_MS)
    subscriptions.on_subscribe_sent(subscriptions.next_to_subscribe(100), number, 0)
    return subscriptions


def ns(milliseconds: int) -> int:
    return milliseconds * NS_PER_MS


A, B, C = book("a"), book("b"), book("c")
TRADES = Topic(Channel.TRADES, Symbol("TOY:A-USD"), "trades")


def test_an_ack_by_id_confirms_the_whole_request_and_one_by_name_only_that_topic() -> None:
    by_number, by_name = requested(A, B), requested(A, B)
    assert sorted(topic.name for topic in by_number.on_subscribe_ack(SubscribeAck((), 7), 0)) == ["a", "b"]
    assert by_number.is_subscribed
    assert by_name.on_subscribe_ack(SubscribeAck(("a",), 7), 0) == [A]
    assert not by_name.is_subscribed
    assert by_name.on_subscribe_ack(SubscribeAck(("b",)), 0) == [B]
    assert by_name.is_subscribed


def test_a_repeated_or_unknown_ack_changes_nothing() -> None:
    subscriptions = requested(A)
    subscriptions.on_subscribe_ack(SubscribeAck((), 7), 0)
    assert subscriptions.on_subscribe_ack(SubscribeAck((), 7), 0) == []
    assert subscriptions.on_subscribe_ack(SubscribeAck(("a", "other"), 99), 0) == []


def test_data_confirms_a_book_before_the_venue_does() -> None:
    subscriptions = requested(A)
    assert subscriptions.on_first_data(A.symbol, 0) == ([A], [A])
    assert subscriptions.is_subscribed
    assert subscriptions.on_first_data(A.symbol, 0) == ([A], [])


def test_a_book_without_data_is_overdue_again_after_its_resubscription() -> None:
    subscriptions = requested(A)
    subscriptions.on_subscribe_ack(SubscribeAck((), 7), 0)
    assert subscriptions.overdue_first_data(ns(FIRST_MS) - 1) == []
    assert subscriptions.overdue_first_data(ns(FIRST_MS)) == [(A, False)]
    assert subscriptions.overdue_first_data(ns(FIRST_MS)) == []
    subscriptions.unsubscribe("a")
    subscriptions.on_unsubscribe_sent(subscriptions.next_to_unsubscribe(9), 8)
    assert subscriptions.on_unsubscribed(UnsubscribeAck((), 8)) == ("a",)
    subscriptions.resubscribe("a")
    subscriptions.on_subscribe_sent(subscriptions.next_to_subscribe(9), 9, ns(FIRST_MS))
    subscriptions.on_subscribe_ack(SubscribeAck((), 9), ns(FIRST_MS))
    assert subscriptions.overdue_first_data(ns(2 * FIRST_MS)) == [(A, True)]


def test_only_books_are_waited_for() -> None:
    subscriptions = requested(TRADES)
    subscriptions.on_subscribe_ack(SubscribeAck((), 7), 0)
    assert subscriptions.overdue_first_data(ns(60_000)) == []


def test_a_permanently_rejected_topic_is_removed() -> None:
    subscriptions = requested(A, B)
    assert subscriptions.on_rejected(SubscribeRejected(("a",), "no such", is_permanent=True, request_id=7), 0) == [
        TopicRejection(A, "no such", is_permanent=True)
    ]
    assert list(subscriptions.topics) == ["b"]
    subscriptions.resubscribe("a")
    assert subscriptions.next_to_subscribe(9) == []


def test_topics_rejected_together_are_retried_in_smaller_requests() -> None:
    subscriptions = requested(A, B, C)
    assert subscriptions.on_rejected(SubscribeRejected((), "one is bad", is_permanent=True, request_id=7), 0) == []
    assert len(subscriptions.next_to_subscribe(100)) == 2
    assert not subscriptions.is_subscribed


def test_a_temporary_rejection_is_retried_after_delays_that_double_to_a_bound() -> None:
    subscriptions = requested(A)
    now_ms = 0
    for wait_ms in (100, 200, 400, 400):
        (refusal,) = subscriptions.on_rejected(SubscribeRejected(("a",), "busy", is_permanent=False), ns(now_ms))
        assert not refusal.is_permanent
        subscriptions.check_timeouts(ns(now_ms + wait_ms) - 1)
        assert subscriptions.next_to_subscribe(9) == []
        now_ms += wait_ms
        subscriptions.check_timeouts(ns(now_ms))
        assert subscriptions.next_to_subscribe(9) == ["a"]
        subscriptions.on_subscribe_sent(["a"], now_ms, ns(now_ms))


def test_a_topic_without_a_reply_counts_as_temporarily_rejected() -> None:
    subscriptions = requested(A, B)
    subscriptions.on_subscribe_ack(SubscribeAck(("a",), 7), 0)
    (refusal,) = subscriptions.check_timeouts(ns(ANSWER_MS))
    assert (refusal.topic, refusal.is_permanent) == (B, False)
    assert subscriptions.has_subscribed


def test_a_rejection_without_names_and_request_changes_nothing() -> None:
    subscriptions = requested(A)
    assert subscriptions.on_rejected(SubscribeRejected((), "what?", is_permanent=True), 0) == []
    assert subscriptions.on_rejected(SubscribeRejected(("other",), "what?", is_permanent=True, request_id=7), 0) == []
    assert not subscriptions.is_subscribed


def test_requests_keep_to_their_size() -> None:
    subscriptions = Subscriptions((A, B, C), WAITS, lambda _: FIRST_MS)
    assert subscriptions.next_to_subscribe(2) == ["a", "b"]
    subscriptions.on_subscribe_sent(["a", "b"], 1, 0)
    assert subscriptions.next_to_subscribe(2) == ["c"]
