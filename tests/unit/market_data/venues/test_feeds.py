"""A group of feeds: a failing feed affects no other; an exception of the service stops all."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from components.contracts.errors import InvariantError
from components.market_data.core.events import FeedMessage, StockFeedDown, StockFeedUp
from components.market_data.venues.feeds import FeedGroup
from components.runtime.retry import Backoff
from tests.support.eventually import eventually_async

BACKOFF = Backoff(first_ms_max=1, delay_ms_max=1)


class Stock:
    """A feed that fails the first times."""

    def __init__(self, failures: int) -> None:
        self.runs, self._failures = 0, failures

    async def run(self, deliver: Callable[[Any], None]) -> None:
        self.runs += 1
        if self.runs <= self._failures:
            raise KeyError("forgotten")
        deliver(StockFeedUp())
        await asyncio.get_running_loop().create_future()


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 5))


def test_a_failed_feed_is_reported_and_restarted() -> None:
    async def scene() -> None:
        delivered: list[FeedMessage] = []
        running = asyncio.ensure_future(FeedGroup((), Stock(2), BACKOFF, lambda: 0.0).run(delivered.append))

        async def is_back() -> bool:
            return StockFeedUp() in delivered

        await eventually_async(is_back)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [type(one) for one in delivered] == [StockFeedDown, StockFeedDown, StockFeedUp]
        assert isinstance(delivered[0], StockFeedDown)
        assert "KeyError" in delivered[0].reason
        assert not delivered[0].is_permanent

    on_a_loop(scene())


def test_an_exception_of_the_service_stops_all_feeds() -> None:
    def deliver(_: FeedMessage) -> None:
        raise InvariantError("a bug of the service")

    async def scene() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            await FeedGroup((), Stock(0), BACKOFF, lambda: 0.0).run(deliver)
        assert raised.group_contains(InvariantError)

    on_a_loop(scene())
