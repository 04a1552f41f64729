"""Whether a venue is heard: all its lines seen as one."""

from collections.abc import Sequence

from components.contracts.values import Venue
from components.market_data.core.feed import LineClosed, LineOpened
from components.market_data.venues.counts import Ending, VenueCounts
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import LinePlan
from components.market_data.venues.opening import Ended


class Board:
    """The state of each line, told when it changes what is true of all."""

    def __init__(self, venue: Venue, plans: Sequence[LinePlan], delivery: Delivery, counts: VenueCounts) -> None:
        """Begin with no line heard of."""
        self._venue, self._delivery, self._counts = venue, delivery, counts
        self._waited_for = {plan.name for plan in plans}
        self._live: set[str] = set()
        self._told: LineOpened | LineClosed | None = None

    def on_line(self, plan: LinePlan, ended: Ended | None) -> None:
        """Hear that a line is subscribed, or how it ended."""
        if ended is None:
            self._live.add(plan.name)
        else:
            self._live.discard(plan.name)
            if ended.ending is Ending.EMPTY:
                # Its books were refused one by one; the other lines are whole without it.
                self._waited_for.discard(plan.name)
        self._counts.lines.set(len(self._live))
        self._tell(plan, ended)

    def _tell(self, plan: LinePlan, ended: Ended | None) -> None:
        if self._waited_for and self._live >= self._waited_for:
            self._say(LineOpened(self._venue))
        elif ended is not None:
            self._say(LineClosed(self._venue, f"{plan.name}: {ended.reason}", ended.is_final))

    def _say(self, message: LineOpened | LineClosed) -> None:
        if message != self._told:
            self._told = message
            self._delivery.tell(message)
