"""What all connections of a venue share, and the words between a connection and whoever keeps it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct
from websockets.exceptions import ConnectionClosed

from components.market_data.config import VenueConfig
from components.market_data.core.events import DecodedFrame
from components.market_data.venues.adapter import ConnectionPlan, Tap, Topic, VenueAdapter
from components.market_data.venues.connection.delivery import Delivery
from components.market_data.venues.connection.subscriptions import TopicRejection
from components.market_data.venues.metrics import DisconnectReason, VenueMetrics
from components.runtime.clock import Clock

FIRST_REQUEST_ID: Final = 1_000
"""Numbers of requests below are for a dialect's own use."""


class ConnectionContext(Struct, frozen=True, kw_only=True):
    """What a connection needs."""

    adapter: VenueAdapter
    config: VenueConfig
    clock: Clock
    jitter: Callable[[], float]
    metrics: VenueMetrics
    delivery: Delivery
    request_ids: Iterator[int]
    """Numbers for requests: no two of one venue are the same."""
    tap: Tap | None = None


class PlannedConnection(Protocol):
    """A connection, as whoever keeps it sees it."""

    @property
    def plan(self) -> ConnectionPlan:
        """Say where it goes and what it was to listen to."""


class ConnectionListener(Protocol):
    """Whoever keeps connections."""

    def on_frame(self, connection: PlannedConnection, frame: DecodedFrame) -> None:
        """Hear what a frame held."""

    def on_topics_subscribed(self, connection: PlannedConnection, topics: Sequence[Topic]) -> None:
        """Hear that topics are subscribed."""

    def on_topic_rejected(self, connection: PlannedConnection, rejection: TopicRejection) -> None:
        """Hear that one is not."""

    def on_subscribed(self, connection: PlannedConnection) -> None:
        """Hear that every topic was answered, one way or the other."""

    def on_first_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Hear that the first data of a book came."""

    def on_no_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Hear that it did not come, though it was asked for twice."""

    def on_shutdown_notice(self, connection: PlannedConnection, reason: str) -> None:
        """Hear that the venue will end the connection soon."""

    def first_data_timeout_ms(self, name: str) -> int:
        """Say how long the first data of a topic may take."""


CLOSE_CODE_TOO_BIG: Final = 1009


REASON_MAX: Final = 300


class Disconnect(Struct, frozen=True, gc=False):
    """How a connection ended, or why there was none."""

    reason: DisconnectReason
    detail: str
    is_permanent: bool = False
    retry_after_ms: float = 0
    """So long the venue wants to be left alone."""


def disconnect_from_close(error: ConnectionClosed) -> Disconnect:
    """Tell how the other side, or the library for us, ended a connection."""
    if error.sent is not None and error.sent.code == CLOSE_CODE_TOO_BIG and not error.rcvd_then_sent:
        return Disconnect(DisconnectReason.TOO_LARGE, f"a frame was too large: {error}"[:REASON_MAX])
    return Disconnect(DisconnectReason.CLOSED, f"the connection ended: {error}"[:REASON_MAX])
