"""The events that OKX sends beside data, and the meaning of its error codes."""

import pytest

from components.market_data.core.events import DecodeIssue, IssueKind
from components.market_data.venues.adapter import (
    Authenticated,
    ControlMessage,
    Heartbeat,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.okx.requests import PERMANENT_CODES, RETRYABLE_CODES
from tests.support.okx_frames import AT_NS, event_frame, okx_adapter

BOOKS = {"channel": "books", "instId": "BTC-USDT"}


def control(frame: bytes) -> ControlMessage:
    read = okx_adapter().decode(frame, AT_NS)
    assert not read.data
    [one] = read.control
    return one


def refused(code: str, message: str = "no", **more: object) -> SubscribeRejected:
    one = control(event_frame("error", code=code, msg=message, **more))
    assert isinstance(one, SubscribeRejected)
    return one


def test_each_topic_is_confirmed_by_itself() -> None:
    assert control(event_frame("subscribe", arg=BOOKS)) == SubscribeAck(("books:BTC-USDT",))
    assert control(event_frame("unsubscribe", arg=BOOKS, id="8")) == UnsubscribeAck(("books:BTC-USDT",))


def test_pong_is_a_heartbeat_and_never_parsed() -> None:
    assert control(b"pong") == Heartbeat()


def test_an_upgrade_notice_is_a_shutdown_notice() -> None:
    leaving = control(
        event_frame("notice", code="64008", msg="The connection will soon be closed for a service upgrade.")
    )
    assert isinstance(leaving, ShutdownNotice)
    assert "upgrade" in leaving.reason


@pytest.mark.parametrize(
    ("frame", "meaning"),
    [
        (event_frame("notice", code="64000", msg="hello"), Heartbeat()),
        (event_frame("login", code="0"), Authenticated()),
        (event_frame("channel-conn-count", channel="orders", connCount="2"), Heartbeat()),
    ],
)
def test_other_events_are_decoded(frame: bytes, meaning: ControlMessage) -> None:
    assert control(frame) == meaning


def test_an_unknown_event_is_counted() -> None:
    [issue] = okx_adapter().decode(event_frame("surprise"), AT_NS).data
    assert isinstance(issue, DecodeIssue)
    assert issue.kind is IssueKind.UNKNOWN


@pytest.mark.parametrize("code", sorted(PERMANENT_CODES))
def test_a_permanent_rejection_is_not_retried(code: str) -> None:
    assert refused(code).is_permanent


@pytest.mark.parametrize("code", [*sorted(RETRYABLE_CODES), "99999", ""])
def test_a_temporary_or_unknown_rejection_is_retried(code: str) -> None:
    assert not refused(code).is_permanent


def test_a_rejection_names_the_topic_it_is_about() -> None:
    message = "Wrong URL or channel:books,instId:BTC-EURX doesn't exist. Please use the correct URL."
    one = refused("60018", message, id="12")
    assert one == SubscribeRejected(("books:BTC-EURX",), f"60018: {message}", is_permanent=True, request_id=12)


def test_a_rejection_that_quotes_the_request_names_all_of_it() -> None:
    quoted = (
        'Invalid request: {"op": "subscribe", "args":[{ "channel" : "books", "instId" : "A-B"},'
        '{"channel":"trades","instId":"A-B"}]}'
    )
    assert refused("60012", quoted).names == ("books:A-B", "trades:A-B")


def test_a_rejection_without_names_is_about_its_request() -> None:
    one = refused("60012", "Invalid request", id="3")
    assert (one.names, one.request_id) == ((), 3)
    assert refused("60012", "Invalid request", id="x").request_id is None


@pytest.mark.parametrize(
    "frame", [b'{"event":7}', b'{"event":"error","code":1}', b'{"event":"subscribe","arg":[]}', b'{"event"']
)
def test_an_event_that_cannot_be_read_is_counted(frame: bytes) -> None:
    [issue] = okx_adapter().decode(frame, AT_NS).data
    assert isinstance(issue, DecodeIssue)
    assert issue.kind is IssueKind.MALFORMED


def test_a_confirmation_of_nothing_confirms_nothing() -> None:
    assert control(event_frame("subscribe")) == SubscribeAck(())
