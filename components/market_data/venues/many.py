"""Several venues as one feed: each is listened to by itself, and one that fails never ends the others."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from components.contracts.errors import InvariantError
from components.contracts.values import Venue
from components.market_data.core.feed import FeedMessage, FeedReply, FeedRequest, StockFeedDown
from components.market_data.venues.feed import VenueFeed
from components.runtime.logs import logger
from components.runtime.retry import Backoff
from components.runtime.venue import VenueEventSource

REASON_MAX: Final = 300


class FeedGroup:
    """The crypto venues, and the stock feed where there is one."""

    def __init__(
        self, venues: Sequence[VenueFeed], stock: VenueEventSource | None, backoff: Backoff, jitter: Callable[[], float]
    ) -> None:
        """Take them; one that fails is begun again after the backoff's delay."""
        self._venues: Mapping[Venue, VenueFeed] = {feed.venue: feed for feed in venues}
        self._stock, self._backoff, self._jitter = stock, backoff, jitter

    async def open(self) -> None:
        """Make ready for calls."""
        for feed in self._venues.values():
            await feed.open()

    async def call(self, request: FeedRequest) -> FeedReply:
        """Carry a request to its venue."""
        feed = self._venues.get(request.venue)
        if feed is None:
            raise InvariantError(f"{request.venue} is not listened to")
        return await feed.call(request)

    async def close(self) -> None:
        """Let all connections go."""
        for feed in self._venues.values():
            await feed.close()

    async def run(self, deliver: Callable[[FeedMessage], None]) -> None:
        """Listen to all of them for ever."""
        ear = _ErrorCapture(deliver)
        async with asyncio.TaskGroup() as group:
            for feed in self._venues.values():
                group.create_task(self._supervise(feed, feed.failure_events, ear))
            if self._stock is not None:
                group.create_task(self._supervise(self._stock, _stock_failure_events, ear))

    async def _supervise(
        self, feed: VenueEventSource, failure_events: Callable[[str], Sequence[FeedMessage]], capture: "_ErrorCapture"
    ) -> NoReturn:
        failures = 0
        while True:
            reason = await self._run_feed(feed, capture)
            failures += 1
            for message in failure_events(reason):
                capture(message)
            await asyncio.sleep(self._backoff.delay_ms(failures, self._jitter()) / 1_000)

    async def _run_feed(self, feed: VenueEventSource, capture: "_ErrorCapture") -> str:
        """Listen until the feed fails, which is its own trouble; what the service raises is everybody's."""
        running = asyncio.ensure_future(feed.run(capture))
        try:
            await asyncio.wait([running])
        finally:
            running.cancel()
            await asyncio.wait([running])
        error = running.exception()
        if capture.error is not None:
            raise capture.error
        logger().error("feed_failed", exc_info=error)
        return f"a bug: {type(error).__name__}: {error}"[:REASON_MAX]


class _ErrorCapture:
    """Hears for the service, and remembers what the service raised."""

    def __init__(self, deliver: Callable[[FeedMessage], None]) -> None:
        self._deliver = deliver
        self.error: BaseException | None = None

    def __call__(self, message: FeedMessage) -> None:
        """Hand a message on."""
        try:
            self._deliver(message)
        except BaseException as error:
            self.error = error
            raise


def _stock_failure_events(reason: str) -> list[FeedMessage]:
    return [StockFeedDown(reason, is_permanent=False)]
