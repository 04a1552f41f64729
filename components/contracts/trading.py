"""Trading state and its causes, positions, profit and loss.

The trading state is the most severe state that any active cause demands.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.protocol import Message
from components.contracts.values import Symbol


class TradingState(StrEnum):
    """Which orders are allowed: all, only those that reduce exposure, or only stops and flattening."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    @property
    def severity(self) -> int:
        """0 for ACTIVE, 2 for HALTED."""
        return (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED).index(self)


class Cause(StrEnum):
    """A reason that restricts trading."""

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


class CauseEffect(Struct, frozen=True, gc=False):
    """The trading state that a cause demands, and whether it is latched until an operator resumes."""

    state: TradingState
    latched: bool


CAUSE_EFFECTS: Final[dict[Cause, CauseEffect]] = {
    Cause.STARTING: CauseEffect(TradingState.HALTED, latched=False),
    Cause.UNRECONCILED: CauseEffect(TradingState.HALTED, latched=False),
    Cause.EXECUTION_DOWN: CauseEffect(TradingState.HALTED, latched=False),
    Cause.BUS_GAP: CauseEffect(TradingState.REDUCING, latched=False),
    Cause.DATA_STALE: CauseEffect(TradingState.REDUCING, latched=False),
    Cause.VENUE_DEGRADED: CauseEffect(TradingState.REDUCING, latched=False),
    Cause.CLOCK_SUSPECT: CauseEffect(TradingState.REDUCING, latched=False),
    Cause.LOSS_DAY: CauseEffect(TradingState.HALTED, latched=True),
    Cause.DRAWDOWN: CauseEffect(TradingState.HALTED, latched=True),
    Cause.REJECT_RATIO: CauseEffect(TradingState.HALTED, latched=True),
    Cause.ERROR_BUDGET: CauseEffect(TradingState.HALTED, latched=True),
    Cause.DIVERGENCE: CauseEffect(TradingState.HALTED, latched=True),
    Cause.ID_COLLISION: CauseEffect(TradingState.HALTED, latched=True),
    Cause.OPERATOR_HALT: CauseEffect(TradingState.HALTED, latched=True),
}


def trading_state_of(causes: frozenset[Cause]) -> TradingState:
    """Return the most severe state that any active cause demands."""
    return max(
        (CAUSE_EFFECTS[cause].state for cause in causes), key=lambda state: state.severity, default=TradingState.ACTIVE
    )


class Position(Message, frozen=True, tag="Position"):
    """The position in one symbol after a change; negative when short."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal
    realised: Decimal
    working_buy: Decimal
    working_sell: Decimal
    at_ns: int


class ProfitAndLoss(Message, frozen=True, tag="ProfitAndLoss"):
    """The account's profit and loss, marked to the mid of the last quotes."""

    realised: Decimal
    unrealised: Decimal
    at_ns: int


class TradingStatus(Message, frozen=True, tag="TradingStatus"):
    """The trading state and its causes."""

    state: TradingState
    causes: tuple[Cause, ...]
    at_ns: int


PositionMessage: TypeAlias = Position | ProfitAndLoss | TradingStatus
