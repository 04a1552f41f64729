"""Fault injection on one connection: what is sent for each frame, and the counts of the faults."""

import pytest

from components.sandbox.transport.fault_injection import Close, FaultInjector, Item, Pause
from components.sandbox.transport.faults import CryptoFault, CryptoFaultKind, CryptoFaultSwitches, FaultTarget

FRAMES = ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']


ONE, TWO, THREE, FOUR = FRAMES


INJECTED_ELSEWHERE = {
    CryptoFaultKind.IDS_BACK,  # built into the frame by the venue
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


def _sent(injector: FaultInjector, symbol: str = "ABC", topic: str = "book") -> list[Item]:
    return [item for text in FRAMES for item in injector.apply(text, symbol, topic)]


def test_every_fault_kind_has_a_case_here_or_is_injected_elsewhere() -> None:
    assert set(SENT) | INJECTED_ELSEWHERE == set(CryptoFaultKind)


@pytest.mark.parametrize("kind", SENT)
def test_each_fault_changes_the_second_frame_as_documented(kind: CryptoFaultKind) -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(kind, skip=1, ms=40, code=4005))
    assert _sent(FaultInjector("okx", faults)) == SENT[kind]
    assert faults.armed[0].done == 1


def test_a_fault_triggers_only_for_its_venue_symbol_and_topic() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.DROP, venue="okx", symbol="ABC", topic="book", times=9))
    assert _sent(FaultInjector("deribit", faults)) == FRAMES
    assert _sent(FaultInjector("okx", faults), symbol="XYZ") == FRAMES
    assert _sent(FaultInjector("okx", faults), topic="trade") == FRAMES
    assert _sent(FaultInjector("okx", faults)) == []
    assert (faults.armed[0].seen, faults.armed[0].done) == (4, 4)


def test_a_swapped_frame_is_sent_after_the_next_of_its_symbol() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.SWAP))
    injector = FaultInjector("okx", faults)
    sent = [
        *injector.apply(ONE, "ABC", "book"),
        *injector.apply(TWO, "XYZ", "book"),
        *injector.apply(THREE, "ABC", "book"),
    ]
    assert sent == [TWO, THREE, ONE]


def test_a_silenced_symbol_is_served_again_after_an_unsubscribe() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.ACK_THEN_SILENCE, symbol="ABC"))
    injector = FaultInjector("okx", faults)
    injector.maybe_never_serve("ABC")
    injector.maybe_never_serve("XYZ")
    assert _sent(injector) == []
    assert _sent(injector, symbol="XYZ") == FRAMES
    injector.on_unsubscribe("ABC")
    assert _sent(injector) == FRAMES


def test_cleared_faults_no_longer_trigger() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.DROP, times=9))
    faults.clear()
    assert _sent(FaultInjector("okx", faults)) == FRAMES


def test_an_immediate_fault_counts_as_triggered_when_armed() -> None:
    faults = CryptoFaultSwitches()
    faults.arm(_fault(CryptoFaultKind.CUT))
    assert (faults.armed[0].seen, faults.armed[0].done) == (1, 1)
    assert faults.trigger(CryptoFaultKind.CUT, FaultTarget("okx")) is None
