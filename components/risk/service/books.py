"""The account being written: every record is folded as it is appended, and what it changes is told."""

from collections.abc import Sequence
from functools import partial

from components.contracts.commands import SetTradingState
from components.contracts.decisions import CauseCleared, CauseRaised, DecisionMessage
from components.contracts.topics import COMMANDS, POSITIONS
from components.contracts.trading import Cause
from components.risk.core.account import status_of
from components.risk.core.causes import Reasons, present, raising, settling
from components.risk.core.fold import apply
from components.risk.core.limits import Timing
from components.risk.core.outbox import MakeControl, Outbox
from components.risk.core.state import RiskState
from components.risk.core.surroundings import Surroundings
from components.runtime.service import Append, Effect, HandOver, Note, Publish


class Books:
    """The one mutable reference to the state, with the evidence around it and the outbox that follows from it."""

    def __init__(self, state: RiskState, around: Surroundings, outbox: Outbox, timing: Timing) -> None:
        self.state, self.around, self.outbox = state, around, outbox
        self._timing = timing

    def write(self, record: DecisionMessage) -> Append:
        """Take a record in and have it written down."""
        self.state = apply(self.state, record)
        return Append(record)

    def settle(self, now_ns: int) -> list[Effect]:
        """Bring the causes in line with the evidence."""
        changes = settling(self.state, self.present(now_ns), now_ns)
        return self.record(changes, now_ns) if changes else []

    def present(self, now_ns: int) -> Reasons:
        """Name the causes that evidence gives now."""
        return present(self.state, self.around, self._timing, now_ns)

    def latch(self, reasons: Reasons, now_ns: int) -> list[Effect]:
        """Raise causes that stay."""
        return self.record(raising(self.state, reasons, now_ns), now_ns)

    def diverge(self, reason: str, now_ns: int) -> list[Effect]:
        """Halt for good: what we know and what execution says cannot both be true."""
        return [*self.latch({Cause.DIVERGENCE: reason}, now_ns), *self.settle(now_ns)]

    def record(self, changes: Sequence[CauseRaised | CauseCleared], now_ns: int) -> list[Effect]:
        """Write changed causes down and tell everybody; execution too when the trading state is another."""
        if not changes:
            return []
        before = self.state.trading_state
        effects: list[Effect] = []
        for change in changes:
            effects += (self.write(change), _told(change))
        effects.append(Publish(POSITIONS, status_of(self.state, now_ns)))
        if self.state.trading_state is not before:
            effects.append(self.tell_execution(now_ns))
        return effects

    def tell_execution(self, now_ns: int) -> HandOver:
        """Hand the trading state over, until it is accepted or another takes its place."""
        reason = ", ".join(self.state.causes) or "no cause"
        say = partial(SetTradingState, state=self.state.trading_state, reason=reason)
        return self.issue("trading_state", say, now_ns)

    def issue(self, subject: str, make: MakeControl, now_ns: int) -> HandOver:
        """Hand a control over, until it is accepted or another on the same subject takes its place."""
        return HandOver(COMMANDS, self.outbox.control(subject, make, self.state, now_ns))


def _told(change: CauseRaised | CauseCleared) -> Note:
    facts = {"cause": str(change.cause), "reason": change.reason}
    if isinstance(change, CauseRaised):
        return Note("cause_raised", facts, "warning")
    return Note("cause_cleared", facts)
