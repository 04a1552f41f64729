"""What all connections of a venue share, and the words between a connection and whoever keeps it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct

from components.market_data.config import VenueConfig
from components.market_data.core.feed import Framed
from components.market_data.venues.counts import VenueCounts
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import Dialect, LinePlan, Tap, Topic
from components.market_data.venues.subscriptions import Refusal
from components.runtime.clock import Clock

FIRST_REQUEST: Final = 1_000
"""Numbers of requests below are for a dialect's own use."""


class Equipment(Struct, frozen=True, kw_only=True):
    """What a connection needs."""

    dialect: Dialect
    config: VenueConfig
    clock: Clock
    chance: Callable[[], float]
    counts: VenueCounts
    delivery: Delivery
    requests: Iterator[int]
    """Numbers for requests: no two of one venue are the same."""
    tap: Tap | None = None


class Lined(Protocol):
    """A connection, as whoever keeps it sees it."""

    @property
    def plan(self) -> LinePlan:
        """Say where it goes and what it was to listen to."""


class Ears(Protocol):
    """Whoever keeps connections."""

    def on_frame(self, line: Lined, framed: Framed) -> None:
        """Hear what a frame held."""

    def on_confirmed(self, line: Lined, topics: Sequence[Topic]) -> None:
        """Hear that topics are subscribed."""

    def on_refused(self, line: Lined, refusal: Refusal) -> None:
        """Hear that one is not."""

    def on_settled(self, line: Lined) -> None:
        """Hear that every topic was answered, one way or the other."""

    def on_heard(self, line: Lined, topic: Topic) -> None:
        """Hear that the first data of a book came."""

    def on_unheard(self, line: Lined, topic: Topic) -> None:
        """Hear that it did not come, though it was asked for twice."""

    def on_leaving(self, line: Lined, reason: str) -> None:
        """Hear that the venue will end the connection soon."""

    def first_data_ms(self, name: str) -> int:
        """Say how long the first data of a topic may take."""
