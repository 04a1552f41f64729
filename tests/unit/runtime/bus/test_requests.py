"""A request is retried unchanged until its reply or its deadline, and a reply finds its way back."""

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

REPLIES = [
    one
    for one in MESSAGES
    if type(one) in union_members(RISK_REQUESTS.replies) and type(one).__name__ != "MalformedRequest"
]


def test_a_request_is_due_at_once_and_again_within_its_deadline() -> None:
    pending = PendingRequests()
    request = pending.add("r", b"body", now_ms=0, deadline_ms=1_000)
    assert request is not None
    sent = []
    for now_ms in range(1_000):
        for due in pending.due(now_ms):
            sent.append((now_ms, due.payload))
            due.retry_at_ms = now_ms + due.retry_ms
    assert sent == [(now_ms, b"body") for now_ms in (0, 250, 500, 750)]
    assert len(sent) == ATTEMPTS_PER_DEADLINE


def test_a_reply_completes_its_request_once() -> None:
    pending = PendingRequests()
    pending.add("r", b"", now_ms=0, deadline_ms=1_000)
    assert pending.complete("r")
    assert not pending.complete("r")
    assert not pending.expire(10_000)


def test_a_reply_to_no_pending_request_completes_nothing() -> None:
    pending = PendingRequests()
    pending.add("r", b"", now_ms=0, deadline_ms=1_000)
    assert not pending.complete("another")
    assert len(pending) == 1


def test_past_its_deadline_a_request_expires_once() -> None:
    pending = PendingRequests()
    pending.add("r", b"", now_ms=0, deadline_ms=100)
    assert pending.expire(99) == []
    assert pending.expire(100) == ["r"]
    assert pending.expire(101) == []


def test_the_number_of_pending_requests_is_bounded() -> None:
    pending = PendingRequests(pending_max=1)
    assert pending.add("r", b"", now_ms=0, deadline_ms=100) is not None
    assert pending.add("s", b"", now_ms=0, deadline_ms=100) is None
    pending.expire(100)
    assert pending.add("s", b"", now_ms=100, deadline_ms=100) is not None


@pytest.mark.parametrize("answer", REPLIES, ids=lambda one: type(one).__name__)
def test_every_reply_names_its_request(answer: Any) -> None:
    assert request_id_of(answer) in {"demo-0a1b-7-1", "c-2", "a-1"}


def test_risk_requests_is_the_only_request_stream() -> None:
    assert [one.name for one in STREAMS.values() if one.stream_class is StreamClass.REQUEST] == ["risk_requests"]


HOPS = st.lists(st.binary(min_size=1, max_size=255), min_size=1, max_size=4).map(tuple)


def test_a_plain_request_is_split_at_the_first_empty_frame() -> None:
    assert split_envelope([b"id", b"", b"topic", b"header", b""]) == ((b"id",), [b"topic", b"header", b""])


def test_a_request_may_come_over_hops() -> None:
    assert split_envelope([b"id", b"number", b"", b"topic"]) == ((b"id", b"number"), [b"topic"])


def test_a_request_without_a_delimiter_is_empty_but_has_a_return_address() -> None:
    assert split_envelope([b"id", b"topic", b"header"]) == ((b"id",), [])


def test_a_frame_too_long_for_a_return_address_is_no_hop() -> None:
    longest = b"h" * 255
    assert split_envelope([b"id", longest, b"", b"topic"]) == ((b"id", longest), [b"topic"])
    assert split_envelope([b"id", longest + b"h", b"", b"topic"]) == ((b"id",), [])


@given(index=st.integers(0, 255), hops=HOPS)
def test_a_return_address_decodes_to_the_hops_of_the_request(index: int, hops: tuple[bytes, ...]) -> None:
    ticket = encode_reply_to(index, hops)
    assert (ticket[0], decode_reply_to(ticket)) == (index, hops)
