"""Requests in flight: the same again until the answer or the deadline.

The way an answer goes back, and how a large state is cut.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.streams import RISK_REQUESTS, STREAMS, StreamClass
from components.runtime.bus.requests import (
    ATTEMPTS_PER_DEADLINE,
    PendingRequests,
    decode_reply_to,
    encode_reply_to,
    request_id_of,
)
from components.runtime.bus.transport import split_envelope
from tests.support.sample_messages import MESSAGES, union_members

ANSWERS = [
    one
    for one in MESSAGES
    if type(one) in union_members(RISK_REQUESTS.replies) and type(one).__name__ != "MalformedRequest"
]


def test_a_request_is_due_at_once_and_again_within_its_deadline() -> None:
    asking = PendingRequests()
    asked = asking.add("r", b"body", now_ms=0, deadline_ms=1_000)
    assert asked is not None
    sent = []
    for now_ms in range(1_000):
        for due in asking.due(now_ms):
            sent.append((now_ms, due.payload))
            due.retry_at_ms = now_ms + due.retry_ms
    assert sent == [(now_ms, b"body") for now_ms in (0, 250, 500, 750)]
    assert len(sent) == ATTEMPTS_PER_DEADLINE


def test_an_answer_settles_its_request_once() -> None:
    asking = PendingRequests()
    asking.add("r", b"", now_ms=0, deadline_ms=1_000)
    assert asking.complete("r")
    assert not asking.complete("r")
    assert not asking.expire(10_000)


def test_an_answer_that_nobody_waits_for_settles_nothing() -> None:
    asking = PendingRequests()
    asking.add("r", b"", now_ms=0, deadline_ms=1_000)
    assert not asking.complete("another")
    assert len(asking) == 1


def test_past_its_deadline_a_request_is_given_up_once() -> None:
    asking = PendingRequests()
    asking.add("r", b"", now_ms=0, deadline_ms=100)
    assert asking.expire(99) == []
    assert asking.expire(100) == ["r"]
    assert asking.expire(101) == []


def test_no_more_than_so_many_are_in_flight() -> None:
    asking = PendingRequests(pending_max=1)
    assert asking.add("r", b"", now_ms=0, deadline_ms=100) is not None
    assert asking.add("s", b"", now_ms=0, deadline_ms=100) is None
    asking.expire(100)
    assert asking.add("s", b"", now_ms=100, deadline_ms=100) is not None


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: type(one).__name__)
def test_every_answer_names_its_request(answer: Any) -> None:
    assert request_id_of(answer) in {"demo-0a1b-7-1", "c-2", "a-1"}


def test_only_a_request_stream_is_asked() -> None:
    assert [one.name for one in STREAMS.values() if one.stream_class is StreamClass.REQUEST] == ["risk_requests"]


HOPS = st.lists(st.binary(min_size=1, max_size=255), min_size=1, max_size=4).map(tuple)


def test_a_plain_request_is_split_at_the_first_empty_frame() -> None:
    assert split_envelope([b"id", b"", b"topic", b"header", b""]) == ((b"id",), [b"topic", b"header", b""])


def test_a_request_may_come_over_hops() -> None:
    assert split_envelope([b"id", b"number", b"", b"topic"]) == ((b"id", b"number"), [b"topic"])


def test_a_request_without_a_delimiter_is_empty_but_can_be_answered() -> None:
    assert split_envelope([b"id", b"topic", b"header"]) == ((b"id",), [])


def test_what_no_ticket_can_name_is_no_hop() -> None:
    longest = b"h" * 255
    assert split_envelope([b"id", longest, b"", b"topic"]) == ((b"id", longest), [b"topic"])
    assert split_envelope([b"id", longest + b"h", b"", b"topic"]) == ((b"id",), [])


@given(index=st.integers(0, 255), hops=HOPS)
def test_a_ticket_leads_back_where_the_request_came_from(index: int, hops: tuple[bytes, ...]) -> None:
    ticket = encode_reply_to(index, hops)
    assert (ticket[0], decode_reply_to(ticket)) == (index, hops)
