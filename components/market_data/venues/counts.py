"""What is counted of a venue's connections; every label is a word of ours."""

from enum import StrEnum
from typing import Final

from components.contracts.values import Venue
from components.market_data.core.feed import Oddity
from components.market_data.core.queues import Policy
from components.market_data.venues.dialect import Channel
from components.runtime.metrics import Metrics
from components.runtime.retry import BreakerState


class Ending(StrEnum):
    """Why a connection ended, or never came to be."""

    CANNOT_CONNECT = "cannot_connect"
    TURNED_AWAY = "turned_away"
    """The venue answered the upgrade with an HTTP status of its own."""
    NOT_GREETED = "not_greeted"
    UNCONFIRMED = "unconfirmed"
    CLOSED = "closed"
    SILENT = "silent"
    """Nothing came, and no answer to a ping either."""
    MUTE = "mute"
    """It answers and says nothing."""
    TOO_LARGE = "too_large"
    REPLACED = "replaced"
    """A newer connection carries on: the venue was leaving, or one of its books did not come."""
    EMPTY = "empty"
    """The venue refuses all that was asked for on it."""


class Outcome(StrEnum):
    """What came of an HTTP request."""

    ANSWERED = "answered"
    HELD = "held"
    """The venue had told us to wait."""
    CROWDED = "crowded"
    BROKEN_OFF = "broken_off"
    """The breaker is open."""
    THROTTLED = "throttled"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    TOO_LATE = "too_late"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"


class Door(StrEnum):
    """The two ways to a venue."""

    STREAM = "stream"
    REQUESTS = "requests"


OPENNESS: Final = {BreakerState.CLOSED: 0, BreakerState.PROBING: 1, BreakerState.OPEN: 2}


class VenueCounts:
    """The counters of one venue."""

    def __init__(self, metrics: Metrics, venue: Venue) -> None:
        """Make them; a name that is there already is shared, for the venue is a label."""
        one = ("venue",)
        self._venue = venue
        self.connects = metrics.counter("venue_connects_total", "Connections that were opened", one).labels(venue)
        self.frames = metrics.counter("venue_frames_total", "Frames received", one).labels(venue)
        self.bytes = metrics.counter("venue_bytes_total", "Bytes received in frames", one).labels(venue)
        self.resubscribes = metrics.counter("venue_resubscribes_total", "Books asked for anew", one).labels(venue)
        self.waits = metrics.counter("venue_retry_after_total", "Times a venue told us to wait", one).labels(venue)
        self.lines = metrics.gauge("venue_lines_live", "Connections that are subscribed", one).labels(venue)
        self._drops = metrics.counter("venue_drops_total", "Connections that ended or failed", (*one, "ending"))
        self._oddities = metrics.counter("venue_oddities_total", "Parts of frames without effect", (*one, "kind"))
        self._refused = metrics.counter("venue_refused_total", "Topics refused", (*one, "channel", "permanent"))
        self._requests = metrics.counter(
            "venue_requests_total", "HTTP requests by what came of them", (*one, "outcome")
        )
        self._lost = metrics.counter(
            "venue_queue_drops_total", "What gave way in a full queue", (*one, "channel", "policy")
        )
        self._breakers = metrics.gauge("venue_breaker_state", "0 closed, 1 probing, 2 open", (*one, "door"))

    def dropped(self, ending: Ending) -> None:
        """Count a connection that ended."""
        self._drops.labels(self._venue, ending).inc()

    def odd(self, kind: Oddity) -> None:
        """Count a part of a frame without effect."""
        self._oddities.labels(self._venue, kind).inc()

    def refused(self, channel: Channel, *, is_permanent: bool) -> None:
        """Count a topic that the venue refuses."""
        self._refused.labels(self._venue, channel, "yes" if is_permanent else "no").inc()

    def requested(self, outcome: Outcome) -> None:
        """Count an HTTP request."""
        self._requests.labels(self._venue, outcome).inc()

    def lost(self, channel: Channel, policy: Policy, count: int) -> None:
        """Count what gave way in a queue."""
        self._lost.labels(self._venue, channel, policy).inc(count)

    def breaker(self, door: Door, state: BreakerState) -> None:
        """Show whether the venue is asked."""
        self._breakers.labels(self._venue, door).set(OPENNESS[state])
