"""Requests and sealed frames over real sockets: no reply is taken for another, and no peer blocks another."""

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from components.contracts.commands import Accepted, Rejected, RejectReason
from components.contracts.decisions import (
    AccountQuery,
    MalformedRequest,
    OperatorAction,
    OperatorCommand,
    OperatorReply,
)
from components.contracts.errors import PeerUnreachable, ResourceBusy
from components.contracts.protocol import SCHEMA_VERSION, FrameKind, Header
from components.contracts.streams import COMMANDS, HEALTH, RISK_REQUESTS, Stream
from components.contracts.values import CommandId
from components.runtime.bus.bus import request_once
from components.runtime.bus.codec import REQUEST_BYTES_MAX, encode
from components.runtime.bus.transport import ipc_address, publisher_path, recovery_path, request_path
from components.runtime.service import CommandAcknowledged, ReplyReceived, RequestReceived, RequestTimedOut
from tests.support.bus_harness import BusEndpoint, BusHarness, PollingThread, bus_harness, publish_health

pytestmark = pytest.mark.integration
HEADER = encode(Header(SCHEMA_VERSION, FrameKind.MESSAGE, "signals", "e", 1, 0, 0, 0))
NEXT_VERSION = encode(Header(SCHEMA_VERSION + 1, FrameKind.MESSAGE, "signals", "e", 1, 0, 0, 0))


@pytest.fixture
def buses() -> Iterator[BusHarness]:
    with bus_harness() as opened:
        yield opened


class Raw:
    """Plain ZeroMQ sockets that never wait."""

    def __init__(self) -> None:
        self._context, self._sockets = zmq.Context(), list["zmq.Socket[bytes]"]()

    def socket(self, kind: int) -> "zmq.Socket[bytes]":
        self._sockets.append(self._context.socket(kind))
        self._sockets[-1].rcvtimeo = 0
        return self._sockets[-1]

    def close(self) -> None:
        for socket in self._sockets:
            socket.close(linger=0)
        self._context.term()


@pytest.fixture
def raw() -> Iterator[Raw]:
    opened = Raw()
    yield opened
    opened.close()


def operate(name: str) -> OperatorCommand:
    return OperatorCommand(CommandId(name), OperatorAction.HALT, "drill")


def answer(endpoint: BusEndpoint, *, detail: str = "") -> int:
    """Reply to every pending request. Return how many there were."""
    request = endpoint.all(RequestReceived)
    for one in request:
        endpoint.bus.reply(one.reply_to, OperatorReply(one.body.command_id, done=True, detail=detail))
    endpoint.inbounds.clear()
    return len(request)


def test_a_request_is_answered_under_its_id(buses: BusHarness) -> None:
    signals, risk = buses.open("signals", requests=(RISK_REQUESTS,)), buses.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 2_000)
    signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), 2_000)
    buses.poll_until(lambda: len(risk.all(RequestReceived)) == 2)
    answer(risk)
    buses.poll_until(lambda: len(signals.all(ReplyReceived)) == 2)
    assert [one.request_id for one in signals.all(ReplyReceived)] == ["c-1", "c-2"]
    assert [one.body.command_id for one in signals.all(ReplyReceived)] == ["c-1", "c-2"]


def test_a_request_to_nobody_is_sent_when_somebody_comes(buses: BusHarness) -> None:
    signals = buses.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    signals.poll()
    risk = buses.open("risk", serves=(RISK_REQUESTS,))
    buses.poll_until(lambda: risk.all(RequestReceived))
    answer(risk)
    buses.poll_until(lambda: signals.all(ReplyReceived))
    assert signals.counts(RISK_REQUESTS).get("retries", 0) == 0


def test_an_unanswered_request_is_retried_byte_for_byte_and_then_times_out(buses: BusHarness) -> None:
    signals, risk = buses.open("signals", requests=(RISK_REQUESTS,)), buses.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 1_000)
    buses.poll_until(lambda: signals.all(RequestTimedOut))
    bodies = [one.body for one in risk.all(RequestReceived)]
    assert len(bodies) > 1
    assert set(bodies) == {operate("c-1")}
    assert signals.counts(RISK_REQUESTS)["request_timeouts"] == 1
    assert signals.counts(RISK_REQUESTS)["retries"] == len(bodies) - 1


def test_a_late_reply_is_counted_and_never_taken_for_the_next_one(buses: BusHarness) -> None:
    signals, risk = buses.open("signals", requests=(RISK_REQUESTS,)), buses.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 50)
    buses.poll_until(lambda: signals.all(RequestTimedOut))
    late = risk.all(RequestReceived)
    risk.inbounds.clear()
    signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), 5_000)
    for one in late:
        risk.bus.reply(one.reply_to, OperatorReply(one.body.command_id, done=True, detail="late"))
    buses.poll_until(lambda: signals.counts(RISK_REQUESTS).get("late_replies") == len(late))
    assert signals.all(ReplyReceived) == []
    answer(risk)
    buses.poll_until(lambda: signals.all(ReplyReceived))
    assert [one.request_id for one in signals.all(ReplyReceived)] == ["c-2"]


def test_a_request_survives_a_restart_of_its_server(buses: BusHarness) -> None:
    signals, risk = buses.open("signals", requests=(RISK_REQUESTS,)), buses.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    buses.poll_until(lambda: risk.all(RequestReceived))
    buses.close(risk)
    again = buses.open("risk", serves=(RISK_REQUESTS,))
    buses.poll_until(lambda: again.all(RequestReceived))
    answer(again)
    buses.poll_until(lambda: signals.all(ReplyReceived))


def test_requests_beyond_the_bound_time_out_at_once(buses: BusHarness) -> None:
    signals = buses.open("signals", requests=(RISK_REQUESTS,))
    for number in range(1_100):
        signals.bus.request(RISK_REQUESTS, f"c-{number}", operate(f"c-{number}"), 60_000)
    signals.poll()
    assert len(signals.all(RequestTimedOut)) == 1_100 - 1_024


def test_a_plain_req_is_answered(buses: BusHarness) -> None:
    risk = buses.open("risk", serves=(RISK_REQUESTS,))
    with Answering(risk, detail="by a plain REQ"):
        assert request_once(buses.run_folder, RISK_REQUESTS, operate("c-1"), 2_000) == OperatorReply(
            CommandId("c-1"), True, "by a plain REQ"
        )


def test_a_command_without_a_reply_names_the_missing_process(buses: BusHarness) -> None:
    with pytest.raises(PeerUnreachable, match="risk did not reply"):
        request_once(buses.run_folder, RISK_REQUESTS, AccountQuery("a-1"), 50)


def test_a_plain_req_never_takes_a_late_reply_for_its_next_one(buses: BusHarness, raw: Raw) -> None:
    risk = buses.open("risk", serves=(RISK_REQUESTS,))
    client = raw.socket(zmq.REQ)
    for option in (zmq.REQ_RELAXED, zmq.REQ_CORRELATE):
        client.setsockopt(option, 1)
    client.connect(ipc_address(request_path(buses.run_folder, RISK_REQUESTS)))
    client.send_multipart((b"risk_requests", HEADER, encode(operate("c-1"))))
    buses.poll_until(lambda: len(risk.all(RequestReceived)) == 1)
    client.send_multipart((b"risk_requests", HEADER, encode(operate("c-2"))))
    buses.poll_until(lambda: len(risk.all(RequestReceived)) == 2)
    answer(risk)
    assert buses.poll_until(lambda: received(client))[2] == encode(OperatorReply(CommandId("c-2"), True, ""))


def test_a_client_that_is_gone_or_never_reads_blocks_nobody(buses: BusHarness, raw: Raw) -> None:
    risk = buses.open("risk", serves=(RISK_REQUESTS,))
    for _ in range(20):
        gone = raw.socket(zmq.DEALER)
        gone.connect(ipc_address(request_path(buses.run_folder, RISK_REQUESTS)))
        gone.send_multipart((b"", b"risk_requests", HEADER, encode(operate("c-1"))))
        buses.poll_until(lambda: risk.all(RequestReceived))
        gone.close(linger=0)
        buses.poll_until(lambda: not answer(risk))
    silent_client = raw.socket(zmq.DEALER)
    silent_client.rcvhwm = 1
    silent_client.connect(ipc_address(request_path(buses.run_folder, RISK_REQUESTS)))
    silent_client.send_multipart((b"", b"risk_requests", HEADER, encode(operate("c-1"))))
    buses.poll_until(lambda: risk.all(RequestReceived))
    (request,) = risk.all(RequestReceived)
    while not risk.counts(RISK_REQUESTS).get("replies_undelivered"):
        risk.bus.reply(request.reply_to, OperatorReply(CommandId("c-1"), True, "x" * 10_000))
    risk.inbounds.clear()
    signals = buses.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), 5_000)
    buses.poll_until(lambda: risk.all(RequestReceived))
    answer(risk)
    buses.poll_until(lambda: signals.all(ReplyReceived))


def test_a_sealed_frame_is_sent_and_acknowledged(buses: BusHarness) -> None:
    risk, execution = buses.open("risk", sends_commands=(COMMANDS,)), buses.open("execution", serves=(COMMANDS,))

    def send_and_check() -> list[Any]:
        risk.bus.send_command(COMMANDS, b"sealed")
        return execution.all(RequestReceived)

    buses.poll_until(send_and_check)
    (request, *_) = execution.all(RequestReceived)
    assert request.body == b"sealed"
    execution.bus.reply(request.reply_to, Accepted(CommandId("c-1"), 3))
    buses.poll_until(lambda: risk.all(CommandAcknowledged))
    assert risk.all(CommandAcknowledged)[0].body == Accepted(CommandId("c-1"), 3)


def test_a_sealed_frame_for_nobody_is_counted_and_not_queued(buses: BusHarness) -> None:
    risk = buses.open("risk", sends_commands=(COMMANDS,))
    risk.bus.send_command(COMMANDS, b"sealed")
    execution = buses.open("execution", serves=(COMMANDS,))
    risk.bus.send_command(COMMANDS, b"sealed")
    assert risk.counts(COMMANDS)["commands_unsent"] >= 1
    buses.poll_until(lambda: not execution.bus.is_readable())
    assert len(execution.all(RequestReceived)) <= risk.counts(COMMANDS).get("commands_sent", 0)


BAD_REQUESTS = {
    "no delimiter": ([b"risk_requests", HEADER, b"x"], "shape"),
    "a frame too few": ([b"", b"risk_requests", HEADER], "shape"),
    "a frame too many": ([b"", b"risk_requests", HEADER, b"x", b"y"], "shape"),
    "more frames than are read": ([b"", *([b"risk_requests"] * 40)], "shape"),
    "another topic": ([b"", b"market", HEADER, b"x"], "topic"),
    "no header": ([b"", b"risk_requests", b"\xc1", b"x"], "header"),
    "a header too long": ([b"", b"risk_requests", bytes(2_000), b"x"], "oversize"),
    "another version": ([b"", b"risk_requests", NEXT_VERSION, b"x"], "version"),
    "no message": ([b"", b"risk_requests", HEADER, b"\xc1"], "payload"),
    "a message too long": ([b"", b"risk_requests", HEADER, bytes(REQUEST_BYTES_MAX + 1)], "oversize"),
}


BAD_COMMANDS = BAD_REQUESTS.keys() - {"no message"}
"""Sealed frames are opened by execution, not by the bus."""


@pytest.mark.parametrize(
    ("stream", "name"),
    [*((RISK_REQUESTS, name) for name in BAD_REQUESTS), *((COMMANDS, name) for name in sorted(BAD_COMMANDS))],
    ids=lambda one: getattr(one, "name", one),
)
def test_a_malformed_request_is_counted_and_answered_and_the_next_one_is_served(
    buses: BusHarness, raw: Raw, stream: Stream, name: str
) -> None:
    frames, defect = BAD_REQUESTS[name]
    frames = [stream.name.encode() if frame == b"risk_requests" else frame for frame in frames]
    (consumer,) = stream.consumers
    endpoint = buses.open(consumer, serves=(stream,))
    client = raw.socket(zmq.DEALER)
    client.connect(ipc_address(request_path(buses.run_folder, stream)))
    client.send_multipart(frames)
    reply = buses.poll_until(lambda: received(client))
    assert reply[0] == b""
    word = MalformedRequest if stream is RISK_REQUESTS else Rejected
    assert word.__name__.encode() in reply[3]
    assert word is MalformedRequest or RejectReason.MALFORMED.encode() in reply[3]
    assert [facts["defect"] for _, _, facts in endpoint.log.lines] == [defect]
    body = encode(operate("c-1")) if stream is RISK_REQUESTS else b"sealed"
    client.send_multipart((b"", stream.name.encode(), HEADER, body))
    buses.poll_until(lambda: endpoint.all(RequestReceived))


def test_a_malformed_reply_is_counted_and_the_next_one_is_accepted(buses: BusHarness, raw: Raw) -> None:
    server = raw.socket(zmq.ROUTER)
    server.bind(ipc_address(request_path(buses.run_folder, RISK_REQUESTS)))
    signals = buses.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    (identity, *_) = buses.poll_until(lambda: received(server))
    good = encode(OperatorReply(CommandId("c-1"), True, ""))
    for frames in (
        [b"risk_requests"],
        [b"", b"risk_requests", HEADER],
        [b"", b"market", HEADER, good],
        [b"", b"risk_requests", NEXT_VERSION, good],
        [b"", b"risk_requests", HEADER, b"\xc1"],
        [b"", b"risk_requests", HEADER, bytes((1 << 20) + 1)],
        [b"", b"risk_requests", HEADER, encode(MalformedRequest("which?"))],
        [b"", b"risk_requests", HEADER, good],
    ):
        server.send_multipart([identity, *frames])
    buses.poll_until(lambda: signals.all(ReplyReceived))
    assert signals.counts(RISK_REQUESTS)["invalid_frames"] == 6
    assert signals.counts(RISK_REQUESTS)["late_replies"] == 1


def test_a_malformed_message_is_counted_and_the_stream_continues(buses: BusHarness, raw: Raw) -> None:
    publisher = raw.socket(zmq.XPUB)
    publisher.bind(ipc_address(publisher_path(buses.run_folder, "risk")))
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(lambda: received(publisher))
    mine = encode(Header(SCHEMA_VERSION, FrameKind.MESSAGE, "risk", "e", 1, 0, 0, 0))
    nobody = encode(Header(SCHEMA_VERSION, FrameKind.MESSAGE, "mallory", "e", 1, 0, 0, 0))
    for frames in (
        [b"health"],
        [b"health", mine],
        [b"health", mine, b"", b"more"],
        [b"healthier", mine, b""],
        [b"health", b"\xc1", b""],
        [b"health", bytes(2_000), b""],
        [b"health", NEXT_VERSION, b""],
        [b"health", nobody, b""],
    ):
        publisher.send_multipart(frames)
    buses.poll_until(lambda: signals.counts(HEALTH).get("invalid_frames") == 7)
    defects = [facts["defect"] for _, _, facts in signals.log.lines]
    assert sorted(defects) == sorted({"shape", "header", "oversize", "version", "producer"})
    heartbeat_header = encode(Header(SCHEMA_VERSION, FrameKind.HEARTBEAT, "risk", "e", 0, 0, 0, 0))
    publisher.send_multipart((b"health", heartbeat_header, b""))
    buses.poll_until(signals.bus.offsets)


def test_a_malformed_recovery_request_is_counted_and_the_next_one_is_served(buses: BusHarness, raw: Raw) -> None:
    risk = buses.open("risk", publishes=(HEALTH,))
    client = raw.socket(zmq.DEALER)
    client.connect(ipc_address(recovery_path(buses.run_folder, "risk")))
    for frames in (
        [b"x"],
        [b"", b"recovery", HEADER],
        [b"", b"recovery", b"\xc1", b""],
        [b"", b"recovery", NEXT_VERSION, b""],
        [b"", b"recovery", HEADER, b"\xc1"],
        [b"", b"recovery", HEADER, bytes(REQUEST_BYTES_MAX + 1)],
    ):
        client.send_multipart(frames)
    buses.poll_until(lambda: risk.counts(HEALTH).get("invalid_frames") == 6)
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)


def test_what_is_far_too_large_never_arrives_and_harms_nobody(buses: BusHarness, raw: Raw) -> None:
    risk = buses.open("risk", serves=(RISK_REQUESTS,))
    client = raw.socket(zmq.DEALER)
    client.connect(ipc_address(request_path(buses.run_folder, RISK_REQUESTS)))
    client.send_multipart((b"", b"risk_requests", HEADER, bytes(8 << 20)))
    signals = buses.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    buses.poll_until(lambda: risk.all(RequestReceived))
    assert [one.body for one in risk.all(RequestReceived)] == [operate("c-1")]


def test_a_second_process_of_the_same_name_is_busy_and_steals_nothing(buses: BusHarness) -> None:
    risk = buses.open("risk", publishes=(HEALTH,), serves=(RISK_REQUESTS,))
    with pytest.raises(ResourceBusy, match="held by process"):
        buses.open("risk", publishes=(HEALTH,))
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)
    publish_health(risk, 1)
    buses.poll_until(lambda: signals.sequences() == [1])


class Answering(PollingThread):
    """Polls an endpoint and replies to every request."""

    def __init__(self, endpoint: BusEndpoint, *, detail: str) -> None:
        super().__init__(endpoint, lambda: answer(endpoint, detail=detail))


def received(socket: "zmq.Socket[bytes]") -> list[bytes]:
    try:
        return socket.recv_multipart()
    except zmq.Again:
        return []
