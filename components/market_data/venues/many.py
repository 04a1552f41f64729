"""Several venues as one feed: each is listened to by itself, and one that fails never ends the others."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from components.contracts.errors import InvariantError
from components.contracts.values import Venue
from components.market_data.core.feed import Dropped, FeedAnswer, FeedMessage, FeedRequest
from components.market_data.venues.feed import VenueFeed
from components.runtime.logs import logger
from components.runtime.retry import Backoff
from components.runtime.venue import Feed

REASON_MAX: Final = 300


class ManyFeeds:
    """The crypto venues, and the stock feed where there is one."""

    def __init__(
        self, venues: Sequence[VenueFeed], stock: Feed | None, backoff: Backoff, chance: Callable[[], float]
    ) -> None:
        """Take them; one that fails is begun again after the backoff's delay."""
        self._venues: Mapping[Venue, VenueFeed] = {feed.venue: feed for feed in venues}
        self._stock, self._backoff, self._chance = stock, backoff, chance

    async def open(self) -> None:
        """Make ready for calls."""
        for feed in self._venues.values():
            await feed.open()

    async def call(self, request: FeedRequest) -> FeedAnswer:
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
        ear = _Ear(deliver)
        async with asyncio.TaskGroup() as group:
            for feed in self._venues.values():
                group.create_task(self._keep(feed, feed.fallen, ear))
            if self._stock is not None:
                group.create_task(self._keep(self._stock, _stock_fallen, ear))

    async def _keep(self, feed: Feed, fallen: Callable[[str], Sequence[FeedMessage]], ear: "_Ear") -> NoReturn:
        failures = 0
        while True:
            reason = await self._run(feed, ear)
            failures += 1
            for message in fallen(reason):
                ear(message)
            await asyncio.sleep(self._backoff.delay_ms(failures, self._chance()) / 1_000)

    async def _run(self, feed: Feed, ear: "_Ear") -> str:
        """Listen until the feed fails, which is its own trouble; what the service raises is everybody's."""
        running = asyncio.ensure_future(feed.run(ear))
        try:
            await asyncio.wait([running])
        finally:
            running.cancel()
            await asyncio.wait([running])
        error = running.exception()
        if ear.error is not None:
            raise ear.error
        logger().error("feed_failed", exc_info=error)
        return f"a bug: {type(error).__name__}: {error}"[:REASON_MAX]


class _Ear:
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


def _stock_fallen(reason: str) -> list[FeedMessage]:
    return [Dropped(reason, final=False)]
