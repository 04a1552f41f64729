"""What all connections of a venue share, and the interface between a connection and its supervisor."""

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

CLOSE_CODE_TOO_BIG: Final = 1009
"""WebSocket close code: message too big."""
REASON_MAX: Final = 300
"""Characters to which a text from the venue or a library is cut."""
FIRST_REQUEST_ID: Final = 1_000
"""Lower request ids are reserved for the adapter's own requests."""


class ConnectionContext(Struct, frozen=True, kw_only=True):
    """Everything a connection needs."""

    adapter: VenueAdapter
    config: VenueConfig
    clock: Clock
    jitter: Callable[[], float]
    metrics: VenueMetrics
    delivery: Delivery
    request_ids: Iterator[int]
    """Request ids, unique for the venue."""
    tap: Tap | None = None


class PlannedConnection(Protocol):
    """A connection as its listener sees it."""

    @property
    def plan(self) -> ConnectionPlan:
        """Return the URL and the topics of the connection."""


class ConnectionListener(Protocol):
    """Receives the events of connections."""

    def on_frame(self, connection: PlannedConnection, frame: DecodedFrame) -> None:
        """Handle the content of a frame."""

    def on_topics_subscribed(self, connection: PlannedConnection, topics: Sequence[Topic]) -> None:
        """Handle topics that the venue acknowledged."""

    def on_topic_rejected(self, connection: PlannedConnection, rejection: TopicRejection) -> None:
        """Handle a topic that the venue rejected."""

    def on_subscribed(self, connection: PlannedConnection) -> None:
        """Handle that every topic was acknowledged or rejected."""

    def on_first_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Handle the first data of a book."""

    def on_no_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Handle that a book received no data although it was subscribed twice."""

    def on_shutdown_notice(self, connection: PlannedConnection, reason: str) -> None:
        """Handle that the venue will close the connection soon."""

    def first_data_timeout_ms(self, name: str) -> int:
        """Return how long the first data of a topic may take."""


class Disconnect(Struct, frozen=True, gc=False):
    """How a connection ended, or why it could not be opened."""

    reason: DisconnectReason
    detail: str
    is_permanent: bool = False
    retry_after_ms: float = 0
    """The delay that the venue requested."""


def disconnect_from_close(error: ConnectionClosed) -> Disconnect:
    """Return the Disconnect for a connection that the venue, or the library on our behalf, closed."""
    if error.sent is not None and error.sent.code == CLOSE_CODE_TOO_BIG and not error.rcvd_then_sent:
        return Disconnect(DisconnectReason.TOO_LARGE, f"a frame was too large: {error}"[:REASON_MAX])
    return Disconnect(DisconnectReason.CLOSED, f"the connection ended: {error}"[:REASON_MAX])
