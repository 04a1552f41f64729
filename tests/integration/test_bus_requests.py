"""Requests and sealed frames over real sockets: no answer is taken for another, and nobody wedges anybody."""

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
def parties() -> Iterator[BusHarness]:
    with bus_harness() as opened:
        yield opened


class Raw:
    """Sockets that no bus is behind, which never wait."""

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


def answer(party: BusEndpoint, *, detail: str = "") -> int:
    """Answer everything that is asked for the first time it is looked at; give how often each was asked."""
    asked = party.all(RequestReceived)
    for one in asked:
        party.bus.reply(one.reply_to, OperatorReply(one.body.command_id, done=True, detail=detail))
    party.inbounds.clear()
    return len(asked)


def test_a_request_is_answered_under_its_id(parties: BusHarness) -> None:
    signals, risk = parties.open("signals", requests=(RISK_REQUESTS,)), parties.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 2_000)
    signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), 2_000)
    parties.poll_until(lambda: len(risk.all(RequestReceived)) == 2)
    answer(risk)
    parties.poll_until(lambda: len(signals.all(ReplyReceived)) == 2)
    assert [one.request_id for one in signals.all(ReplyReceived)] == ["c-1", "c-2"]
    assert [one.body.command_id for one in signals.all(ReplyReceived)] == ["c-1", "c-2"]


def test_a_request_to_nobody_is_sent_when_somebody_comes(parties: BusHarness) -> None:
    signals = parties.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    signals.poll()
    risk = parties.open("risk", serves=(RISK_REQUESTS,))
    parties.poll_until(lambda: risk.all(RequestReceived))
    answer(risk)
    parties.poll_until(lambda: signals.all(ReplyReceived))
    assert signals.counts(RISK_REQUESTS).get("retries", 0) == 0


def test_an_unanswered_request_is_repeated_byte_for_byte_and_then_unknown(parties: BusHarness) -> None:
    signals, risk = parties.open("signals", requests=(RISK_REQUESTS,)), parties.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 1_000)
    parties.poll_until(lambda: signals.all(RequestTimedOut))
    bodies = [one.body for one in risk.all(RequestReceived)]
    assert len(bodies) > 1
    assert set(bodies) == {operate("c-1")}
    assert signals.counts(RISK_REQUESTS)["request_timeouts"] == 1
    assert signals.counts(RISK_REQUESTS)["retries"] == len(bodies) - 1


def test_a_late_answer_is_counted_and_never_taken_for_the_next(parties: BusHarness) -> None:
    signals, risk = parties.open("signals", requests=(RISK_REQUESTS,)), parties.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 50)
    parties.poll_until(lambda: signals.all(RequestTimedOut))
    late = risk.all(RequestReceived)
    risk.inbounds.clear()
    signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), 5_000)
    for one in late:
        risk.bus.reply(one.reply_to, OperatorReply(one.body.command_id, done=True, detail="late"))
    parties.poll_until(lambda: signals.counts(RISK_REQUESTS).get("late_replies") == len(late))
    assert signals.all(ReplyReceived) == []
    answer(risk)
    parties.poll_until(lambda: signals.all(ReplyReceived))
    assert [one.request_id for one in signals.all(ReplyReceived)] == ["c-2"]


def test_a_request_survives_a_restart_of_who_is_asked(parties: BusHarness) -> None:
    signals, risk = parties.open("signals", requests=(RISK_REQUESTS,)), parties.open("risk", serves=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    parties.poll_until(lambda: risk.all(RequestReceived))
    parties.close(risk)
    again = parties.open("risk", serves=(RISK_REQUESTS,))
    parties.poll_until(lambda: again.all(RequestReceived))
    answer(again)
    parties.poll_until(lambda: signals.all(ReplyReceived))


def test_more_requests_than_can_be_in_flight_are_unknown_at_once(parties: BusHarness) -> None:
    signals = parties.open("signals", requests=(RISK_REQUESTS,))
    for number in range(1_100):
        signals.bus.request(RISK_REQUESTS, f"c-{number}", operate(f"c-{number}"), 60_000)
    signals.poll()
    assert len(signals.all(RequestTimedOut)) == 1_100 - 1_024


def test_a_plain_req_is_answered(parties: BusHarness) -> None:
    risk = parties.open("risk", serves=(RISK_REQUESTS,))
    with Answering(risk, detail="by a plain REQ"):
        assert request_once(parties.run_folder, RISK_REQUESTS, operate("c-1"), 2_000) == OperatorReply(
            CommandId("c-1"), True, "by a plain REQ"
        )


def test_a_verb_that_nobody_answers_is_told_who_is_not_there(parties: BusHarness) -> None:
    with pytest.raises(PeerUnreachable, match="risk did not reply"):
        request_once(parties.run_folder, RISK_REQUESTS, AccountQuery("a-1"), 50)


def test_a_plain_req_never_takes_a_late_answer_for_its_next_one(parties: BusHarness, raw: Raw) -> None:
    risk = parties.open("risk", serves=(RISK_REQUESTS,))
    client = raw.socket(zmq.REQ)
    for option in (zmq.REQ_RELAXED, zmq.REQ_CORRELATE):
        client.setsockopt(option, 1)
    client.connect(ipc_address(request_path(parties.run_folder, RISK_REQUESTS)))
    client.send_multipart((b"risk_requests", HEADER, encode(operate("c-1"))))
    parties.poll_until(lambda: len(risk.all(RequestReceived)) == 1)
    client.send_multipart((b"risk_requests", HEADER, encode(operate("c-2"))))
    parties.poll_until(lambda: len(risk.all(RequestReceived)) == 2)
    answer(risk)
    assert parties.poll_until(lambda: received(client))[2] == encode(OperatorReply(CommandId("c-2"), True, ""))


def test_a_client_that_is_gone_or_never_reads_wedges_nobody(parties: BusHarness, raw: Raw) -> None:
    risk = parties.open("risk", serves=(RISK_REQUESTS,))
    for _ in range(20):
        gone = raw.socket(zmq.DEALER)
        gone.connect(ipc_address(request_path(parties.run_folder, RISK_REQUESTS)))
        gone.send_multipart((b"", b"risk_requests", HEADER, encode(operate("c-1"))))
        parties.poll_until(lambda: risk.all(RequestReceived))
        gone.close(linger=0)
        parties.poll_until(lambda: not answer(risk))
    mute = raw.socket(zmq.DEALER)
    mute.rcvhwm = 1
    mute.connect(ipc_address(request_path(parties.run_folder, RISK_REQUESTS)))
    mute.send_multipart((b"", b"risk_requests", HEADER, encode(operate("c-1"))))
    parties.poll_until(lambda: risk.all(RequestReceived))
    (asked,) = risk.all(RequestReceived)
    while not risk.counts(RISK_REQUESTS).get("replies_undelivered"):
        risk.bus.reply(asked.reply_to, OperatorReply(CommandId("c-1"), True, "x" * 10_000))
    risk.inbounds.clear()
    signals = parties.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), 5_000)
    parties.poll_until(lambda: risk.all(RequestReceived))
    answer(risk)
    parties.poll_until(lambda: signals.all(ReplyReceived))


def test_a_sealed_frame_is_handed_over_and_acknowledged(parties: BusHarness) -> None:
    risk, execution = parties.open("risk", sends_commands=(COMMANDS,)), parties.open("execution", serves=(COMMANDS,))

    def handed_over() -> list[Any]:
        risk.bus.send_command(COMMANDS, b"sealed")
        return execution.all(RequestReceived)

    parties.poll_until(handed_over)
    (asked, *_) = execution.all(RequestReceived)
    assert asked.body == b"sealed"
    execution.bus.reply(asked.reply_to, Accepted(CommandId("c-1"), 3))
    parties.poll_until(lambda: risk.all(CommandAcknowledged))
    assert risk.all(CommandAcknowledged)[0].body == Accepted(CommandId("c-1"), 3)


def test_a_sealed_frame_for_nobody_is_counted_and_not_queued(parties: BusHarness) -> None:
    risk = parties.open("risk", sends_commands=(COMMANDS,))
    risk.bus.send_command(COMMANDS, b"sealed")
    execution = parties.open("execution", serves=(COMMANDS,))
    risk.bus.send_command(COMMANDS, b"sealed")
    assert risk.counts(COMMANDS)["commands_unsent"] >= 1
    parties.poll_until(lambda: not execution.bus.is_readable())
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
"""A sealed frame is opened behind its own door."""


@pytest.mark.parametrize(
    ("stream", "name"),
    [*((RISK_REQUESTS, name) for name in BAD_REQUESTS), *((COMMANDS, name) for name in sorted(BAD_COMMANDS))],
    ids=lambda one: getattr(one, "name", one),
)
def test_nonsense_asked_is_counted_and_answered_and_the_next_request_is_served(
    parties: BusHarness, raw: Raw, stream: Stream, name: str
) -> None:
    frames, flaw = BAD_REQUESTS[name]
    frames = [stream.name.encode() if frame == b"risk_requests" else frame for frame in frames]
    (answerer,) = stream.consumers
    party = parties.open(answerer, serves=(stream,))
    client = raw.socket(zmq.DEALER)
    client.connect(ipc_address(request_path(parties.run_folder, stream)))
    client.send_multipart(frames)
    reply = parties.poll_until(lambda: received(client))
    assert reply[0] == b""
    word = MalformedRequest if stream is RISK_REQUESTS else Rejected
    assert word.__name__.encode() in reply[3]
    assert word is MalformedRequest or RejectReason.MALFORMED.encode() in reply[3]
    assert [facts["defect"] for _, _, facts in party.log.lines] == [flaw]
    body = encode(operate("c-1")) if stream is RISK_REQUESTS else b"sealed"
    client.send_multipart((b"", stream.name.encode(), HEADER, body))
    parties.poll_until(lambda: party.all(RequestReceived))


def test_nonsense_answered_is_counted_and_the_next_answer_is_taken(parties: BusHarness, raw: Raw) -> None:
    server = raw.socket(zmq.ROUTER)
    server.bind(ipc_address(request_path(parties.run_folder, RISK_REQUESTS)))
    signals = parties.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    (identity, *_) = parties.poll_until(lambda: received(server))
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
    parties.poll_until(lambda: signals.all(ReplyReceived))
    assert signals.counts(RISK_REQUESTS)["invalid_frames"] == 6
    assert signals.counts(RISK_REQUESTS)["late_replies"] == 1


def test_nonsense_published_is_counted_and_the_stream_goes_on(parties: BusHarness, raw: Raw) -> None:
    speaker = raw.socket(zmq.XPUB)
    speaker.bind(ipc_address(publisher_path(parties.run_folder, "risk")))
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(lambda: received(speaker))
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
        speaker.send_multipart(frames)
    parties.poll_until(lambda: signals.counts(HEALTH).get("invalid_frames") == 7)
    flaws = [facts["defect"] for _, _, facts in signals.log.lines]
    assert sorted(flaws) == sorted({"shape", "header", "oversize", "version", "producer"})
    beat_header = encode(Header(SCHEMA_VERSION, FrameKind.HEARTBEAT, "risk", "e", 0, 0, 0, 0))
    speaker.send_multipart((b"health", beat_header, b""))
    parties.poll_until(signals.bus.offsets)


def test_nonsense_at_the_side_is_counted_and_the_next_joiner_is_served(parties: BusHarness, raw: Raw) -> None:
    risk = parties.open("risk", publishes=(HEALTH,))
    client = raw.socket(zmq.DEALER)
    client.connect(ipc_address(recovery_path(parties.run_folder, "risk")))
    for frames in (
        [b"x"],
        [b"", b"side", HEADER],
        [b"", b"side", b"\xc1", b""],
        [b"", b"side", NEXT_VERSION, b""],
        [b"", b"side", HEADER, b"\xc1"],
        [b"", b"side", HEADER, bytes(REQUEST_BYTES_MAX + 1)],
    ):
        client.send_multipart(frames)
    parties.poll_until(lambda: risk.counts(HEALTH).get("invalid_frames") == 6)
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)


def test_what_is_far_too_large_never_arrives_and_harms_nobody(parties: BusHarness, raw: Raw) -> None:
    risk = parties.open("risk", serves=(RISK_REQUESTS,))
    client = raw.socket(zmq.DEALER)
    client.connect(ipc_address(request_path(parties.run_folder, RISK_REQUESTS)))
    client.send_multipart((b"", b"risk_requests", HEADER, bytes(8 << 20)))
    signals = parties.open("signals", requests=(RISK_REQUESTS,))
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), 5_000)
    parties.poll_until(lambda: risk.all(RequestReceived))
    assert [one.body for one in risk.all(RequestReceived)] == [operate("c-1")]


def test_a_second_process_of_the_same_name_is_busy_and_steals_nothing(parties: BusHarness) -> None:
    risk = parties.open("risk", publishes=(HEALTH,), serves=(RISK_REQUESTS,))
    with pytest.raises(ResourceBusy, match="held by process"):
        parties.open("risk", publishes=(HEALTH,))
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)
    publish_health(risk, 1)
    parties.poll_until(lambda: signals.sequences() == [1])


class Answering(PollingThread):
    """Turns a party and answers everything that it is asked."""

    def __init__(self, party: BusEndpoint, *, detail: str) -> None:
        super().__init__(party, lambda: answer(party, detail=detail))


def received(socket: "zmq.Socket[bytes]") -> list[bytes]:
    try:
        return socket.recv_multipart()
    except zmq.Again:
        return []
