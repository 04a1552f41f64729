"""Fault switches: when they trigger, what they count, how long a condition holds."""

from components.sandbox.transport.faults import AlpacaFault, AlpacaFaultKind, AlpacaFaultSwitches, CryptoFaultKind


def test_a_fault_triggers_after_its_skips_and_is_counted() -> None:
    faults = AlpacaFaultSwitches()
    faults.arm(AlpacaFault(kind=AlpacaFaultKind.LOSE_EVENT, skip=1, times=2))
    assert [faults.trigger(AlpacaFaultKind.LOSE_EVENT) is not None for _ in range(5)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert (faults.armed[0].seen, faults.armed[0].done) == (5, 2)


def test_a_request_fault_triggers_only_on_a_matching_request() -> None:
    faults = AlpacaFaultSwitches()
    faults.arm(AlpacaFault(kind=AlpacaFaultKind.ANSWER))
    assert faults.trigger_request(AlpacaFaultKind.ANSWER, "GET", "/v2/orders") is None
    assert faults.trigger_request(AlpacaFaultKind.ANSWER, "POST", "/v2/orders") is not None
    assert faults.trigger_request(AlpacaFaultKind.ANSWER, "POST", "/v2/orders") is None


def test_a_condition_holds_until_it_is_cleared() -> None:
    faults = AlpacaFaultSwitches()
    faults.arm(AlpacaFault(kind=AlpacaFaultKind.SILENCE_STREAM))
    assert faults.active_condition(AlpacaFaultKind.SILENCE_STREAM)
    assert faults.active_condition(AlpacaFaultKind.SILENCE_STREAM)
    faults.clear()
    assert faults.active_condition(AlpacaFaultKind.SILENCE_STREAM) is None


def test_fault_kinds_of_crypto_venues_and_alpaca_are_disjoint() -> None:
    assert not set(AlpacaFaultKind) & set(CryptoFaultKind)
