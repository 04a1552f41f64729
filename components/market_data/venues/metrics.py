"""Counters of a venue's connections, requests and queues.

Label values are constants of this system, never text from the venue.
"""

from enum import StrEnum
from typing import Final

from components.contracts.values import Venue
from components.market_data.core.events import IssueKind
from components.market_data.core.queues import OverflowPolicy
from components.market_data.venues.adapter import Channel
from components.runtime.metrics import Metrics
from components.runtime.retry import CircuitState

BREAKER_STATE_VALUES: Final = {CircuitState.CLOSED: 0, CircuitState.PROBING: 1, CircuitState.OPEN: 2}


class DisconnectReason(StrEnum):
    """Why a connection ended or could not be opened."""

    CANNOT_CONNECT = "cannot_connect"
    UPGRADE_REJECTED = "upgrade_rejected"
    """The venue answered the websocket upgrade with another HTTP status."""
    LOGIN_FAILED = "login_failed"
    SUBSCRIBE_TIMEOUT = "subscribe_timeout"
    CLOSED = "closed"
    NO_PONG = "no_pong"
    """No frame arrived, and no reply to a ping."""
    NO_DATA = "no_data"
    """The venue answers pings but sends no data."""
    TOO_LARGE = "too_large"
    REPLACED = "replaced"
    """A newer connection took over: the venue announced a shutdown, or a book received no data."""
    ALL_REJECTED = "all_rejected"
    """The venue rejected every topic of the connection."""


class RequestOutcome(StrEnum):
    """The outcome of an HTTP request."""

    OK = "ok"
    RETRY_AFTER = "retry_after"
    """Not sent: the venue's Retry-After delay is still running."""
    QUEUE_FULL = "queue_full"
    CIRCUIT_OPEN = "circuit_open"
    """Not sent: the circuit breaker is open."""
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"


class Transport(StrEnum):
    """The two transports to a venue."""

    WEBSOCKET = "websocket"
    REST = "rest"


class VenueMetrics:
    """The counters of one venue."""

    def __init__(self, metrics: Metrics, venue: Venue) -> None:
        """Create the counters. All venues share the metric names; the venue is a label."""
        one = ("venue",)
        self._venue = venue
        self.connects = metrics.counter("venue_connects_total", "Connections opened", one).labels(venue)
        self.frames = metrics.counter("venue_frames_total", "Frames received", one).labels(venue)
        self.bytes = metrics.counter("venue_bytes_total", "Bytes received in frames", one).labels(venue)
        self.resubscribes = metrics.counter("venue_resubscribes_total", "Book streams resubscribed", one).labels(venue)
        self.retry_afters = metrics.counter("venue_retry_after_total", "Retry-After replies of a venue", one).labels(
            venue
        )
        self.live_connections = metrics.gauge("venue_connections_live", "Connections that are subscribed", one).labels(
            venue
        )
        self._disconnects = metrics.counter(
            "venue_disconnects_total", "Connections that ended or failed", (*one, "reason")
        )
        self._decode_issues = metrics.counter(
            "venue_decode_issues_total", "Parts of frames that could not be decoded", (*one, "kind")
        )
        self._rejected = metrics.counter(
            "venue_topics_rejected_total", "Topics rejected by the venue", (*one, "channel", "permanent")
        )
        self._requests = metrics.counter("venue_requests_total", "HTTP requests by outcome", (*one, "outcome"))
        self._queue_drops = metrics.counter(
            "venue_queue_drops_total", "Messages dropped or conflated by full queues", (*one, "channel", "policy")
        )
        self._breakers = metrics.gauge(
            "venue_breaker_state", "Circuit breaker: 0 closed, 1 probing, 2 open", (*one, "transport")
        )

    def disconnected(self, reason: DisconnectReason) -> None:
        """Count a connection that ended."""
        self._disconnects.labels(self._venue, reason).inc()

    def decode_issue(self, kind: IssueKind) -> None:
        """Count a part of a frame that could not be decoded."""
        self._decode_issues.labels(self._venue, kind).inc()

    def topic_rejected(self, channel: Channel, *, is_permanent: bool) -> None:
        """Count a topic that the venue rejected."""
        self._rejected.labels(self._venue, channel, "yes" if is_permanent else "no").inc()

    def request_finished(self, outcome: RequestOutcome) -> None:
        """Count an HTTP request."""
        self._requests.labels(self._venue, outcome).inc()

    def queue_dropped(self, channel: Channel, policy: OverflowPolicy, count: int) -> None:
        """Count messages that a queue dropped or conflated."""
        self._queue_drops.labels(self._venue, channel, policy).inc(count)

    def breaker_state(self, transport: Transport, state: CircuitState) -> None:
        """Set the state of a transport's circuit breaker."""
        self._breakers.labels(self._venue, transport).set(BREAKER_STATE_VALUES[state])
