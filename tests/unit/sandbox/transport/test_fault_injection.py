"""The fault script of a connection: what becomes of each frame, and that faults count their chances."""

import pytest

from components.sandbox.transport.fault_injection import Close, FaultInjector, Item, Pause
from components.sandbox.transport.faults import CryptoFault, CryptoFaultKind, CryptoFaultSwitches, FaultTarget

FRAMES = ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']


ONE, TWO, THREE, FOUR = FRAMES


AT_ONCE_AND_ELSEWHERE = {
    CryptoFaultKind.IDS_BACK,  # these two are made by the venue that writes the frame
    CryptoFaultKind.CROSSED,
    CryptoFaultKind.ACK_THEN_SILENCE,
    CryptoFaultKind.REJECT_SUBSCRIBE,
    CryptoFaultKind.REFUSE_CONNECT,
    CryptoFaultKind.REST_STALE,
    CryptoFaultKind.REST_FAIL,
    CryptoFaultKind.REST_DELAY,
    CryptoFaultKind.CUT,
    CryptoFaultKind.SERVE_SHUTDOWN,
}


SENT: dict[CryptoFaultKind, list[Item]] = {
    CryptoFaultKind.DROP: [ONE, THREE, FOUR],
    CryptoFaultKind.DUPLICATE: [ONE, TWO, TWO, THREE, FOUR],
    CryptoFaultKind.DELAY: [ONE, Pause(40), TWO, THREE, FOUR],
    CryptoFaultKind.SWAP: [ONE, THREE, TWO, FOUR],
    CryptoFaultKind.CLOSE: [ONE, Close(4005), THREE, FOUR],
    CryptoFaultKind.SILENCE: [ONE],
    CryptoFaultKind.HALF_OPEN: [ONE],
    CryptoFaultKind.CORRUPT_JSON: [ONE, '{"n\x07}{', THREE, FOUR],
    CryptoFaultKind.UNKNOWN_FIELDS: [ONE, '{"zzNew":{"since":2027,"of":[1,"two",null]},"n":2}', THREE, FOUR],
}


def _fault(kind: CryptoFaultKind, **facts: object) -> CryptoFault:
    return CryptoFault(kind=kind, **facts)  # type: ignore[arg-type]  # the tests name them


def _sent(script: FaultInjector, symbol: str = "ABC", topic: str = "book") -> list[Item]:
    return [item for text in FRAMES for item in script.apply(text, symbol, topic)]


def test_every_kind_of_fault_has_a_case_or_happens_elsewhere() -> None:
    assert set(SENT) | AT_ONCE_AND_ELSEWHERE == set(CryptoFaultKind)


@pytest.mark.parametrize("kind", SENT)
def test_a_fault_does_to_the_second_frame_what_its_name_says(kind: CryptoFaultKind) -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(kind, skip=1, ms=40, code=4005))
    assert _sent(FaultInjector("okx", faults)) == SENT[kind]
    assert faults.armed[0].done == 1


def test_a_fault_waits_for_its_venue_its_symbol_and_its_topic() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.DROP, venue="okx", symbol="ABC", topic="book", times=9))
    assert _sent(FaultInjector("deribit", faults)) == FRAMES
    assert _sent(FaultInjector("okx", faults), symbol="XYZ") == FRAMES
    assert _sent(FaultInjector("okx", faults), topic="trade") == FRAMES
    assert _sent(FaultInjector("okx", faults)) == []
    assert (faults.armed[0].seen, faults.armed[0].done) == (4, 4)


def test_a_swap_waits_for_a_frame_of_its_own_symbol() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.SWAP))
    script = FaultInjector("okx", faults)
    sent = [*script.apply(ONE, "ABC", "book"), *script.apply(TWO, "XYZ", "book"), *script.apply(THREE, "ABC", "book")]
    assert sent == [TWO, THREE, ONE]


def test_a_symbol_confirmed_and_silent_speaks_again_once_it_was_left() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.ACK_THEN_SILENCE, symbol="ABC"))
    script = FaultInjector("okx", faults)
    script.maybe_never_serve("ABC")
    script.maybe_never_serve("XYZ")
    assert _sent(script) == []
    assert _sent(script, symbol="XYZ") == FRAMES
    script.on_unsubscribe("ABC")
    assert _sent(script) == FRAMES


def test_cleared_faults_strike_no_more() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.DROP, times=9))
    faults.clear()
    assert _sent(FaultInjector("okx", faults)) == FRAMES


def test_what_strikes_at_once_has_struck_when_it_is_armed() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.CUT))
    assert (faults.armed[0].seen, faults.armed[0].done) == (1, 1)
    assert faults.trigger(CryptoFaultKind.CUT, FaultTarget("okx")) is None
