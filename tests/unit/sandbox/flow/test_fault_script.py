"""The fault script of a connection: what becomes of each frame, and that faults count their chances."""

import pytest

from components.sandbox.flow.faults import Chance, FlowFault, FlowFaultKind, FlowFaults
from components.sandbox.flow.script import Close, Item, Pause, Script

FRAMES = ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']
ONE, TWO, THREE, FOUR = FRAMES
AT_ONCE_AND_ELSEWHERE = {
    FlowFaultKind.IDS_BACK,  # these two are made by the venue that writes the frame
    FlowFaultKind.CROSSED,
    FlowFaultKind.ACK_THEN_SILENCE,
    FlowFaultKind.REJECT_SUBSCRIBE,
    FlowFaultKind.REFUSE_CONNECT,
    FlowFaultKind.REST_STALE,
    FlowFaultKind.REST_FAIL,
    FlowFaultKind.REST_DELAY,
    FlowFaultKind.CUT,
    FlowFaultKind.SERVE_SHUTDOWN,
}
SENT: dict[FlowFaultKind, list[Item]] = {
    FlowFaultKind.DROP: [ONE, THREE, FOUR],
    FlowFaultKind.DUPLICATE: [ONE, TWO, TWO, THREE, FOUR],
    FlowFaultKind.DELAY: [ONE, Pause(40), TWO, THREE, FOUR],
    FlowFaultKind.SWAP: [ONE, THREE, TWO, FOUR],
    FlowFaultKind.CLOSE: [ONE, Close(4005), THREE, FOUR],
    FlowFaultKind.MUTE: [ONE],
    FlowFaultKind.HALF_OPEN: [ONE],
    FlowFaultKind.CORRUPT_JSON: [ONE, '{"n\x07}{', THREE, FOUR],
    FlowFaultKind.UNKNOWN_FIELDS: [ONE, '{"zzNew":{"since":2027,"of":[1,"two",null]},"n":2}', THREE, FOUR],
}


def _fault(kind: FlowFaultKind, **facts: object) -> FlowFault:
    return FlowFault(kind=kind, **facts)  # type: ignore[arg-type]  # the tests name them


def _sent(script: Script, symbol: str = "ABC", topic: str = "book") -> list[Item]:
    return [item for text in FRAMES for item in script.send(text, symbol, topic)]


def test_every_kind_of_fault_has_a_case_or_happens_elsewhere() -> None:
    assert set(SENT) | AT_ONCE_AND_ELSEWHERE == set(FlowFaultKind)


@pytest.mark.parametrize("kind", SENT)
def test_a_fault_does_to_the_second_frame_what_its_name_says(kind: FlowFaultKind) -> None:
    faults = FlowFaults()
    faults.arm(_fault(kind, skip=1, ms=40, code=4005))
    assert _sent(Script("okx", faults)) == SENT[kind]
    assert faults.armed[0].done == 1


def test_a_fault_waits_for_its_venue_its_symbol_and_its_topic() -> None:
    faults = FlowFaults()
    faults.arm(_fault(FlowFaultKind.DROP, venue="okx", symbol="ABC", topic="book", times=9))
    assert _sent(Script("deribit", faults)) == FRAMES
    assert _sent(Script("okx", faults), symbol="XYZ") == FRAMES
    assert _sent(Script("okx", faults), topic="trade") == FRAMES
    assert _sent(Script("okx", faults)) == []
    assert (faults.armed[0].seen, faults.armed[0].done) == (4, 4)


def test_a_swap_waits_for_a_frame_of_its_own_symbol() -> None:
    faults = FlowFaults()
    faults.arm(_fault(FlowFaultKind.SWAP))
    script = Script("okx", faults)
    sent = [*script.send(ONE, "ABC", "book"), *script.send(TWO, "XYZ", "book"), *script.send(THREE, "ABC", "book")]
    assert sent == [TWO, THREE, ONE]


def test_a_symbol_confirmed_and_silent_speaks_again_once_it_was_left() -> None:
    faults = FlowFaults()
    faults.arm(_fault(FlowFaultKind.ACK_THEN_SILENCE, symbol="ABC"))
    script = Script("okx", faults)
    script.silences("ABC")
    script.silences("XYZ")
    assert _sent(script) == []
    assert _sent(script, symbol="XYZ") == FRAMES
    script.forget("ABC")
    assert _sent(script) == FRAMES


def test_cleared_faults_strike_no_more() -> None:
    faults = FlowFaults()
    faults.arm(_fault(FlowFaultKind.DROP, times=9))
    faults.clear()
    assert _sent(Script("okx", faults)) == FRAMES


def test_what_strikes_at_once_has_struck_when_it_is_armed() -> None:
    faults = FlowFaults()
    faults.arm(_fault(FlowFaultKind.CUT))
    assert (faults.armed[0].seen, faults.armed[0].done) == (1, 1)
    assert faults.strike(FlowFaultKind.CUT, Chance("okx")) is None
