"""What may pass in each trading state."""

from collections.abc import Collection
from typing import Final

from components.contracts.signals import Purpose
from components.contracts.trading import Cause, TradingState

POSITIONS_UNKNOWN: Final = frozenset(
    {Cause.STARTING, Cause.UNRECONCILED, Cause.EXECUTION_DOWN, Cause.DIVERGENCE, Cause.ID_COLLISION}
)
"""While one of these is present nobody can say what a stop would shrink."""

PERMITTED_WHILE_HALTED: Final = frozenset({Purpose.STOP, Purpose.FLATTEN})


def permits(state: TradingState, purpose: Purpose, causes: Collection[Cause]) -> bool:
    """Say whether an order of this purpose may pass now; cancels always may and are not asked about."""
    match state:
        case TradingState.ACTIVE:
            return True
        case TradingState.REDUCING:
            return purpose.is_reduce_only
        case TradingState.HALTED:
            return purpose in PERMITTED_WHILE_HALTED and POSITIONS_UNKNOWN.isdisjoint(causes)
