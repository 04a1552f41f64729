"""Cancels whatever is open at the account, also what we do not know."""

from typing import Final

from components.execution.core.venue import AllCancelled, Answer, CancelAllOrders
from components.execution.service.pace import Pace
from components.runtime.service import Call, Effect, Note

AGAIN_NS: Final = 1_000_000_000
"""Asked for more often, one request a second does it."""


class Sweep:
    """One request to cancel all at a time; repeated until the venue has taken one."""

    def __init__(self, pace: Pace) -> None:
        """Begin with nothing to do."""
        self._pace = pace
        self._is_wanted = False
        self._is_out = False
        self._sent_at_ns = 0

    def want(self) -> None:
        """Have everything cancelled, soon."""
        self._is_wanted = True

    def is_idle(self) -> bool:
        """Say whether nothing is wanted or awaited."""
        return not self._is_wanted and not self._is_out

    def tick(self, now_ns: int) -> list[Effect]:
        """Send the request if it is due."""
        too_soon = self._sent_at_ns <= now_ns < self._sent_at_ns + AGAIN_NS
        if not self._is_wanted or self._is_out or too_soon:
            return []
        self._is_wanted, self._is_out, self._sent_at_ns = False, True, now_ns
        self._pace.cancel(now_ns)
        return [Call(CancelAllOrders())]

    def answered(self, answer: Answer) -> list[Effect]:
        """Hear how it ended; what was not taken is asked for again."""
        self._is_out = False
        if isinstance(answer, AllCancelled):
            return []
        self._is_wanted = True
        return [Note("cancel_all_not_accepted", {"answer": str(answer)}, "warning")]
