"""The way an answer goes back, and how a large state is cut."""

from hypothesis import given
from hypothesis import strategies as st

from components.runtime.answering import decode_reply_to, encode_reply_to, split_envelope

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
