"""Requests and sealed frames over real sockets: no answer is taken for another, and nobody wedges anybody."""

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from components.contracts.commands import Accepted, Fault, Refused
from components.contracts.decisions import Action, NotUnderstood, Operate, Operated, ShowAccount
from components.contracts.errors import Busy, PeerUnreachable
from components.contracts.frames import SCHEMA_VERSION, Header, Kind
from components.contracts.topics import COMMANDS, HEALTH, JUDGE, Stream
from components.contracts.values import CommandId
from components.runtime.bus import ask
from components.runtime.codec import REQUEST_BYTES_MAX, encode
from components.runtime.endpoints import address, publications, service, side
from components.runtime.service import Acked, Answered, Asked, Unanswered
from tests.support.buses import Party, Ring, Turning, ring, say

pytestmark = pytest.mark.integration
HEADER = encode(Header(SCHEMA_VERSION, Kind.MESSAGE, "signals", "e", 1, 0, 0, 0))
NEXT_VERSION = encode(Header(SCHEMA_VERSION + 1, Kind.MESSAGE, "signals", "e", 1, 0, 0, 0))


@pytest.fixture
def parties() -> Iterator[Ring]:
    with ring() as opened:
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


def operate(name: str) -> Operate:
    return Operate(CommandId(name), Action.HALT, "drill")


def answer(party: Party, *, detail: str = "") -> int:
    """Answer everything that is asked for the first time it is looked at; give how often each was asked."""
    asked = party.all(Asked)
    for one in asked:
        party.bus.reply(one.ticket, Operated(one.body.command_id, done=True, detail=detail))
    party.got.clear()
    return len(asked)


def test_a_request_is_answered_under_its_id(parties: Ring) -> None:
    signals, risk = parties.open("signals", asks=(JUDGE,)), parties.open("risk", answers=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 2_000)
    signals.bus.request(JUDGE, "c-2", operate("c-2"), 2_000)
    parties.until(lambda: len(risk.all(Asked)) == 2)
    answer(risk)
    parties.until(lambda: len(signals.all(Answered)) == 2)
    assert [one.request_id for one in signals.all(Answered)] == ["c-1", "c-2"]
    assert [one.body.command_id for one in signals.all(Answered)] == ["c-1", "c-2"]


def test_a_request_to_nobody_is_sent_when_somebody_comes(parties: Ring) -> None:
    signals = parties.open("signals", asks=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 5_000)
    signals.turn()
    risk = parties.open("risk", answers=(JUDGE,))
    parties.until(lambda: risk.all(Asked))
    answer(risk)
    parties.until(lambda: signals.all(Answered))
    assert signals.counts(JUDGE).get("retries", 0) == 0


def test_an_unanswered_request_is_repeated_byte_for_byte_and_then_unknown(parties: Ring) -> None:
    signals, risk = parties.open("signals", asks=(JUDGE,)), parties.open("risk", answers=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 200)
    parties.until(lambda: signals.all(Unanswered))
    bodies = [one.body for one in risk.all(Asked)]
    assert len(bodies) > 1
    assert set(bodies) == {operate("c-1")}
    assert signals.counts(JUDGE)["unanswered"] == 1
    assert signals.counts(JUDGE)["retries"] == len(bodies) - 1


def test_a_late_answer_is_counted_and_never_taken_for_the_next(parties: Ring) -> None:
    signals, risk = parties.open("signals", asks=(JUDGE,)), parties.open("risk", answers=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 50)
    parties.until(lambda: signals.all(Unanswered))
    late = risk.all(Asked)
    risk.got.clear()
    signals.bus.request(JUDGE, "c-2", operate("c-2"), 5_000)
    for one in late:
        risk.bus.reply(one.ticket, Operated(one.body.command_id, done=True, detail="late"))
    parties.until(lambda: signals.counts(JUDGE).get("stale_replies") == len(late))
    assert signals.all(Answered) == []
    answer(risk)
    parties.until(lambda: signals.all(Answered))
    assert [one.request_id for one in signals.all(Answered)] == ["c-2"]


def test_a_request_survives_a_restart_of_who_is_asked(parties: Ring) -> None:
    signals, risk = parties.open("signals", asks=(JUDGE,)), parties.open("risk", answers=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 5_000)
    parties.until(lambda: risk.all(Asked))
    parties.close(risk)
    again = parties.open("risk", answers=(JUDGE,))
    parties.until(lambda: again.all(Asked))
    answer(again)
    parties.until(lambda: signals.all(Answered))


def test_more_requests_than_can_be_in_flight_are_unknown_at_once(parties: Ring) -> None:
    signals = parties.open("signals", asks=(JUDGE,))
    for number in range(1_100):
        signals.bus.request(JUDGE, f"c-{number}", operate(f"c-{number}"), 60_000)
    signals.turn()
    assert len(signals.all(Unanswered)) == 1_100 - 1_024


def test_a_plain_req_is_answered(parties: Ring) -> None:
    risk = parties.open("risk", answers=(JUDGE,))
    with Answering(risk, detail="by a plain REQ"):
        assert ask(parties.run, JUDGE, operate("c-1"), 2_000) == Operated(CommandId("c-1"), True, "by a plain REQ")


def test_a_verb_that_nobody_answers_is_told_who_is_not_there(parties: Ring) -> None:
    with pytest.raises(PeerUnreachable, match="risk did not answer"):
        ask(parties.run, JUDGE, ShowAccount("a-1"), 50)


def test_a_plain_req_never_takes_a_late_answer_for_its_next_one(parties: Ring, raw: Raw) -> None:
    risk = parties.open("risk", answers=(JUDGE,))
    client = raw.socket(zmq.REQ)
    for option in (zmq.REQ_RELAXED, zmq.REQ_CORRELATE):
        client.setsockopt(option, 1)
    client.connect(address(service(parties.run, JUDGE)))
    client.send_multipart((b"judge", HEADER, encode(operate("c-1"))))
    parties.until(lambda: len(risk.all(Asked)) == 1)
    client.send_multipart((b"judge", HEADER, encode(operate("c-2"))))
    parties.until(lambda: len(risk.all(Asked)) == 2)
    answer(risk)
    assert parties.until(lambda: received(client))[2] == encode(Operated(CommandId("c-2"), True, ""))


def test_a_client_that_is_gone_or_never_reads_wedges_nobody(parties: Ring, raw: Raw) -> None:
    risk = parties.open("risk", answers=(JUDGE,))
    for _ in range(20):
        gone = raw.socket(zmq.DEALER)
        gone.connect(address(service(parties.run, JUDGE)))
        gone.send_multipart((b"", b"judge", HEADER, encode(operate("c-1"))))
        parties.until(lambda: risk.all(Asked))
        gone.close(linger=0)
        parties.until(lambda: not answer(risk))
    mute = raw.socket(zmq.DEALER)
    mute.rcvhwm = 1
    mute.connect(address(service(parties.run, JUDGE)))
    mute.send_multipart((b"", b"judge", HEADER, encode(operate("c-1"))))
    parties.until(lambda: risk.all(Asked))
    (asked,) = risk.all(Asked)
    while not risk.counts(JUDGE).get("replies_undelivered"):
        risk.bus.reply(asked.ticket, Operated(CommandId("c-1"), True, "x" * 10_000))
    risk.got.clear()
    signals = parties.open("signals", asks=(JUDGE,))
    signals.bus.request(JUDGE, "c-2", operate("c-2"), 5_000)
    parties.until(lambda: risk.all(Asked))
    answer(risk)
    parties.until(lambda: signals.all(Answered))


def test_a_sealed_frame_is_handed_over_and_acknowledged(parties: Ring) -> None:
    risk, execution = parties.open("risk", hands_over=(COMMANDS,)), parties.open("execution", answers=(COMMANDS,))

    def handed_over() -> list[Any]:
        risk.bus.hand_over(COMMANDS, b"sealed")
        return execution.all(Asked)

    parties.until(handed_over)
    (asked, *_) = execution.all(Asked)
    assert asked.body == b"sealed"
    execution.bus.reply(asked.ticket, Accepted(CommandId("c-1"), 3))
    parties.until(lambda: risk.all(Acked))
    assert risk.all(Acked)[0].body == Accepted(CommandId("c-1"), 3)


def test_a_sealed_frame_for_nobody_is_counted_and_not_queued(parties: Ring) -> None:
    risk = parties.open("risk", hands_over=(COMMANDS,))
    risk.bus.hand_over(COMMANDS, b"sealed")
    execution = parties.open("execution", answers=(COMMANDS,))
    risk.bus.hand_over(COMMANDS, b"sealed")
    assert risk.counts(COMMANDS)["not_handed_over"] >= 1
    parties.until(lambda: not execution.bus.is_readable())
    assert len(execution.all(Asked)) <= risk.counts(COMMANDS).get("handed_over", 0)


BAD_REQUESTS = {
    "no delimiter": ([b"judge", HEADER, b"x"], "shape"),
    "a frame too few": ([b"", b"judge", HEADER], "shape"),
    "a frame too many": ([b"", b"judge", HEADER, b"x", b"y"], "shape"),
    "more frames than are read": ([b"", *([b"judge"] * 40)], "shape"),
    "another topic": ([b"", b"market", HEADER, b"x"], "topic"),
    "no header": ([b"", b"judge", b"\xc1", b"x"], "header"),
    "a header too long": ([b"", b"judge", bytes(2_000), b"x"], "oversize"),
    "another version": ([b"", b"judge", NEXT_VERSION, b"x"], "version"),
    "no message": ([b"", b"judge", HEADER, b"\xc1"], "payload"),
    "a message too long": ([b"", b"judge", HEADER, bytes(REQUEST_BYTES_MAX + 1)], "oversize"),
}


BAD_COMMANDS = BAD_REQUESTS.keys() - {"no message"}
"""A sealed frame is opened behind its own door."""


@pytest.mark.parametrize(
    ("stream", "name"),
    [*((JUDGE, name) for name in BAD_REQUESTS), *((COMMANDS, name) for name in sorted(BAD_COMMANDS))],
    ids=lambda one: getattr(one, "name", one),
)
def test_nonsense_asked_is_counted_and_answered_and_the_next_request_is_served(
    parties: Ring, raw: Raw, stream: Stream, name: str
) -> None:
    frames, flaw = BAD_REQUESTS[name]
    frames = [stream.name.encode() if frame == b"judge" else frame for frame in frames]
    (answerer,) = stream.hearers
    party = parties.open(answerer, answers=(stream,))
    client = raw.socket(zmq.DEALER)
    client.connect(address(service(parties.run, stream)))
    client.send_multipart(frames)
    reply = parties.until(lambda: received(client))
    assert reply[0] == b""
    word = NotUnderstood if stream is JUDGE else Refused
    assert word.__name__.encode() in reply[3]
    assert word is NotUnderstood or Fault.MALFORMED.encode() in reply[3]
    assert [facts["flaw"] for _, _, facts in party.log.lines] == [flaw]
    body = encode(operate("c-1")) if stream is JUDGE else b"sealed"
    client.send_multipart((b"", stream.name.encode(), HEADER, body))
    parties.until(lambda: party.all(Asked))


def test_nonsense_answered_is_counted_and_the_next_answer_is_taken(parties: Ring, raw: Raw) -> None:
    server = raw.socket(zmq.ROUTER)
    server.bind(address(service(parties.run, JUDGE)))
    signals = parties.open("signals", asks=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 5_000)
    (identity, *_) = parties.until(lambda: received(server))
    good = encode(Operated(CommandId("c-1"), True, ""))
    for frames in (
        [b"judge"],
        [b"", b"judge", HEADER],
        [b"", b"market", HEADER, good],
        [b"", b"judge", NEXT_VERSION, good],
        [b"", b"judge", HEADER, b"\xc1"],
        [b"", b"judge", HEADER, bytes((1 << 20) + 1)],
        [b"", b"judge", HEADER, encode(NotUnderstood("which?"))],
        [b"", b"judge", HEADER, good],
    ):
        server.send_multipart([identity, *frames])
    parties.until(lambda: signals.all(Answered))
    assert signals.counts(JUDGE)["refused"] == 6
    assert signals.counts(JUDGE)["stale_replies"] == 1


def test_nonsense_published_is_counted_and_the_stream_goes_on(parties: Ring, raw: Raw) -> None:
    speaker = raw.socket(zmq.XPUB)
    speaker.bind(address(publications(parties.run, "risk")))
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(lambda: received(speaker))
    mine = encode(Header(SCHEMA_VERSION, Kind.MESSAGE, "risk", "e", 1, 0, 0, 0))
    nobody = encode(Header(SCHEMA_VERSION, Kind.MESSAGE, "mallory", "e", 1, 0, 0, 0))
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
    parties.until(lambda: signals.counts(HEALTH).get("refused") == 7)
    flaws = [facts["flaw"] for _, _, facts in signals.log.lines]
    assert sorted(flaws) == sorted({"shape", "header", "oversize", "version", "producer"})
    beat_header = encode(Header(SCHEMA_VERSION, Kind.HEARTBEAT, "risk", "e", 0, 0, 0, 0))
    speaker.send_multipart((b"health", beat_header, b""))
    parties.until(signals.bus.places)


def test_nonsense_at_the_side_is_counted_and_the_next_joiner_is_served(parties: Ring, raw: Raw) -> None:
    risk = parties.open("risk", says=(HEALTH,))
    client = raw.socket(zmq.DEALER)
    client.connect(address(side(parties.run, "risk")))
    for frames in (
        [b"x"],
        [b"", b"side", HEADER],
        [b"", b"side", b"\xc1", b""],
        [b"", b"side", NEXT_VERSION, b""],
        [b"", b"side", HEADER, b"\xc1"],
        [b"", b"side", HEADER, bytes(REQUEST_BYTES_MAX + 1)],
    ):
        client.send_multipart(frames)
    parties.until(lambda: risk.counts(HEALTH).get("refused") == 6)
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)


def test_what_is_far_too_large_never_arrives_and_harms_nobody(parties: Ring, raw: Raw) -> None:
    risk = parties.open("risk", answers=(JUDGE,))
    client = raw.socket(zmq.DEALER)
    client.connect(address(service(parties.run, JUDGE)))
    client.send_multipart((b"", b"judge", HEADER, bytes(8 << 20)))
    signals = parties.open("signals", asks=(JUDGE,))
    signals.bus.request(JUDGE, "c-1", operate("c-1"), 5_000)
    parties.until(lambda: risk.all(Asked))
    assert [one.body for one in risk.all(Asked)] == [operate("c-1")]


def test_a_second_process_of_the_same_name_is_busy_and_steals_nothing(parties: Ring) -> None:
    risk = parties.open("risk", says=(HEALTH,), answers=(JUDGE,))
    with pytest.raises(Busy, match="held by process"):
        parties.open("risk", says=(HEALTH,))
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)
    say(risk, 1)
    parties.until(lambda: signals.heard() == [1])


class Answering(Turning):
    """Turns a party and answers everything that it is asked."""

    def __init__(self, party: Party, *, detail: str) -> None:
        super().__init__(party, lambda: answer(party, detail=detail))


def received(socket: "zmq.Socket[bytes]") -> list[bytes]:
    try:
        return socket.recv_multipart()
    except zmq.Again:
        return []
