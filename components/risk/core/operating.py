"""What an operator may ask, and what stands against it."""

from components.contracts.decisions import CauseCleared, CauseRaised
from components.contracts.trading import CAUSE_EFFECTS, Cause, TradingState
from components.risk.core.causes import CauseReasons
from components.risk.core.state import RiskState


def operator_halt(state: RiskState, reason: str, now_ns: int) -> tuple[CauseRaised, ...]:
    """Latch the operator's halt; one that stands already is not written twice."""
    if Cause.OPERATOR_HALT in state.causes:
        return ()
    return (CauseRaised(Cause.OPERATOR_HALT, reason, now_ns),)


def blocking_causes(found: CauseReasons) -> CauseReasons:
    """Pick what must be over before latched causes may be cleared: whatever halts by itself."""
    return {cause: reason for cause, reason in found.items() if CAUSE_EFFECTS[cause].state is TradingState.HALTED}


def resume_refusal(state: RiskState, blocking: CauseReasons, reason: str) -> str:
    """Say why latched causes are not cleared now; empty when they may be.

    Asked without a reason this is the first of two steps: it tells what would be cleared.
    """
    if not state.latched_causes:
        return "nothing is latched"
    if blocking:
        return "not while " + "; ".join(f"{cause}: {why}" for cause, why in blocking.items())
    if not reason:
        found = "; ".join(f"{cause} ({state.causes[cause]})" for cause in state.latched_causes)
        return f"would clear {found}; say why it is safe"
    return ""


def clear_latched(state: RiskState, reason: str, now_ns: int) -> tuple[CauseCleared, ...]:
    """Clear every latched cause, for a reason that the log keeps."""
    return tuple(CauseCleared(cause, reason, now_ns) for cause in state.latched_causes)
