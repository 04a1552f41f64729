"""What an operator may ask, and what stands against it."""

from components.contracts.decisions import CauseCleared, CauseRaised
from components.contracts.trading import EFFECTS, Cause, TradingState
from components.risk.core.causes import Reasons
from components.risk.core.state import RiskState


def halting(state: RiskState, reason: str, now_ns: int) -> tuple[CauseRaised, ...]:
    """Latch the operator's halt; one that stands already is not written twice."""
    if Cause.OPERATOR_HALT in state.causes:
        return ()
    return (CauseRaised(Cause.OPERATOR_HALT, reason, now_ns),)


def standing_against(found: Reasons) -> Reasons:
    """Pick what must be over before latched causes may be cleared: whatever halts by itself."""
    return {cause: reason for cause, reason in found.items() if EFFECTS[cause].state is TradingState.HALTED}


def hindrance(state: RiskState, standing: Reasons, reason: str) -> str:
    """Say why latched causes are not cleared now; empty when they may be.

    Asked without a reason this is the first of two steps: it tells what would be cleared.
    """
    if not state.latched:
        return "nothing is latched"
    if standing:
        return "not while " + "; ".join(f"{cause}: {why}" for cause, why in standing.items())
    if not reason:
        found = "; ".join(f"{cause} ({state.causes[cause]})" for cause in state.latched)
        return f"would clear {found}; say why it is safe"
    return ""


def clearing(state: RiskState, reason: str, now_ns: int) -> tuple[CauseCleared, ...]:
    """Clear every latched cause, for a reason that the log keeps."""
    return tuple(CauseCleared(cause, reason, now_ns) for cause in state.latched)
