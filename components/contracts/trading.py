"""The trading state: the worst of a set of causes."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class TradingState(StrEnum):
    """What may pass: everything, only what shrinks exposure, or almost nothing."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    @property
    def severity(self) -> int:
        """0 for ACTIVE, 2 for HALTED."""
        return (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED).index(self)


class Cause(StrEnum):
    """A reason not to trade freely."""

    STARTING = "starting"
    UNRECONCILED = "unreconciled"
    EXECUTION_DOWN = "execution_down"
    BUS_GAP = "bus_gap"
    DATA_STALE = "data_stale"
    VENUE_DEGRADED = "venue_degraded"
    CLOCK_SUSPECT = "clock_suspect"
    LOSS_DAY = "loss_day"
    DRAWDOWN = "drawdown"
    REJECT_RATIO = "reject_ratio"
    ERROR_BUDGET = "error_budget"
    DIVERGENCE = "divergence"
    ID_COLLISION = "id_collision"
    OPERATOR_HALT = "operator_halt"


class Effect(Struct, frozen=True, gc=False):
    """What a cause does while present, and whether it stays until it is re-armed by hand."""

    state: TradingState
    latched: bool


EFFECTS: Final[dict[Cause, Effect]] = {
    Cause.STARTING: Effect(TradingState.HALTED, latched=False),
    Cause.UNRECONCILED: Effect(TradingState.HALTED, latched=False),
    Cause.EXECUTION_DOWN: Effect(TradingState.HALTED, latched=False),
    Cause.BUS_GAP: Effect(TradingState.REDUCING, latched=False),
    Cause.DATA_STALE: Effect(TradingState.REDUCING, latched=False),
    Cause.VENUE_DEGRADED: Effect(TradingState.REDUCING, latched=False),
    Cause.CLOCK_SUSPECT: Effect(TradingState.REDUCING, latched=False),
    Cause.LOSS_DAY: Effect(TradingState.HALTED, latched=True),
    Cause.DRAWDOWN: Effect(TradingState.HALTED, latched=True),
    Cause.REJECT_RATIO: Effect(TradingState.HALTED, latched=True),
    Cause.ERROR_BUDGET: Effect(TradingState.HALTED, latched=True),
    Cause.DIVERGENCE: Effect(TradingState.HALTED, latched=True),
    Cause.ID_COLLISION: Effect(TradingState.HALTED, latched=True),
    Cause.OPERATOR_HALT: Effect(TradingState.HALTED, latched=True),
}


def worst(causes: frozenset[Cause]) -> TradingState:
    """Give the most severe state that any present cause asks for."""
    return max(
        (EFFECTS[cause].state for cause in causes), key=lambda state: state.severity, default=TradingState.ACTIVE
    )
