"""Cancels whatever is open at the account, also what we do not know."""

from typing import Final

from components.execution.core.venue import CancelAllAccepted, CancelAllOrders, VenueResponse
from components.execution.service.pace import RequestBudget
from components.runtime.service import CallVenue, Effect, LogEvent

CANCEL_ALL_INTERVAL_NS: Final = 1_000_000_000
"""Asked for more often, one request a second does it."""


class CancelAllRequest:
    """One request to cancel all at a time; repeated until the venue has taken one."""

    def __init__(self, budget: RequestBudget) -> None:
        """Begin with nothing to do."""
        self._budget = budget
        self._is_requested = False
        self._is_in_flight = False
        self._sent_at_ns = 0

    def request(self) -> None:
        """Have everything cancelled, soon."""
        self._is_requested = True

    def is_idle(self) -> bool:
        """Say whether nothing is wanted or awaited."""
        return not self._is_requested and not self._is_in_flight

    def tick(self, now_ns: int) -> list[Effect]:
        """Send the request if it is due."""
        too_soon = self._sent_at_ns <= now_ns < self._sent_at_ns + CANCEL_ALL_INTERVAL_NS
        if not self._is_requested or self._is_in_flight or too_soon:
            return []
        self._is_requested, self._is_in_flight, self._sent_at_ns = False, True, now_ns
        self._budget.record_cancel(now_ns)
        return [CallVenue(CancelAllOrders())]

    def on_response(self, response: VenueResponse) -> list[Effect]:
        """Hear how it ended; what was not taken is asked for again."""
        self._is_in_flight = False
        if isinstance(response, CancelAllAccepted):
            return []
        self._is_requested = True
        return [LogEvent("cancel_all_not_accepted", {"answer": str(response)}, "warning")]
