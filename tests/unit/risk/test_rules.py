"""What may pass in each trading state: the table of the architecture, cell by cell."""

import pytest

from components.contracts.signals import Purpose
from components.contracts.trading import CAUSE_EFFECTS, Cause, TradingState
from components.risk.core.rules import POSITIONS_UNKNOWN, permits

TABLE = {
    (TradingState.ACTIVE, Purpose.ENTRY): True,
    (TradingState.ACTIVE, Purpose.EXIT): True,
    (TradingState.ACTIVE, Purpose.STOP): True,
    (TradingState.ACTIVE, Purpose.FLATTEN): True,
    (TradingState.REDUCING, Purpose.ENTRY): False,
    (TradingState.REDUCING, Purpose.EXIT): True,
    (TradingState.REDUCING, Purpose.STOP): True,
    (TradingState.REDUCING, Purpose.FLATTEN): True,
    (TradingState.HALTED, Purpose.ENTRY): False,
    (TradingState.HALTED, Purpose.EXIT): False,
    (TradingState.HALTED, Purpose.STOP): True,
    (TradingState.HALTED, Purpose.FLATTEN): True,
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(state, purpose) for state in TradingState for purpose in Purpose}


@pytest.mark.parametrize(("state", "purpose"), TABLE)
def test_what_may_pass_while_positions_are_known(state: TradingState, purpose: Purpose) -> None:
    assert permits(state, purpose, (Cause.OPERATOR_HALT,)) is TABLE[state, purpose]


@pytest.mark.parametrize("cause", POSITIONS_UNKNOWN)
@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_passes_a_halt_while_positions_are_not_known(cause: Cause, purpose: Purpose) -> None:
    assert not permits(TradingState.HALTED, purpose, (Cause.OPERATOR_HALT, cause))


def test_whatever_makes_positions_unknown_halts() -> None:
    assert {CAUSE_EFFECTS[cause].state for cause in POSITIONS_UNKNOWN} == {TradingState.HALTED}
