"""Whether a venue is heard: all its lines seen as one."""

from collections.abc import Sequence

from components.contracts.values import Venue
from components.market_data.core.feed import FeedDown, FeedUp
from components.market_data.venues.counts import DisconnectReason, VenueMetrics
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import ConnectionPlan
from components.market_data.venues.opening import Disconnect


class FeedStatus:
    """The state of each line, told when it changes what is true of all."""

    def __init__(
        self, venue: Venue, plans: Sequence[ConnectionPlan], delivery: Delivery, metrics: VenueMetrics
    ) -> None:
        """Begin with no line heard of."""
        self._venue, self._delivery, self._metrics = venue, delivery, metrics
        self._expected = {plan.name for plan in plans}
        self._live: set[str] = set()
        self._last_reported: FeedUp | FeedDown | None = None

    def on_connection(self, plan: ConnectionPlan, disconnect: Disconnect | None) -> None:
        """Hear that a line is subscribed, or how it ended."""
        if disconnect is None:
            self._live.add(plan.name)
        else:
            self._live.discard(plan.name)
            if disconnect.reason is DisconnectReason.ALL_REJECTED:
                # Its books were refused one by one; the other lines are whole without it.
                self._expected.discard(plan.name)
        self._metrics.live_connections.set(len(self._live))
        self._update(plan, disconnect)

    def _update(self, plan: ConnectionPlan, disconnect: Disconnect | None) -> None:
        if self._expected and self._live >= self._expected:
            self._report(FeedUp(self._venue))
        elif disconnect is not None:
            self._report(FeedDown(self._venue, f"{plan.name}: {disconnect.detail}", disconnect.is_permanent))

    def _report(self, message: FeedUp | FeedDown) -> None:
        if message != self._last_reported:
            self._last_reported = message
            self._delivery.deliver_control(message)
