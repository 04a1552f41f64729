"""One crypto venue as a feed that never gives up: keeps its lines, and answers what the service asks."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from components.contracts.values import Symbol, Venue
from components.market_data.config import VenueConfig
from components.market_data.core.feed import (
    BookClosed,
    FeedAnswer,
    FeedMessage,
    FeedRequest,
    FetchImage,
    LineClosed,
    NoImage,
    Resubscribed,
)
from components.market_data.core.queues import Bounds
from components.market_data.venues.board import Board
from components.market_data.venues.counts import Door, VenueCounts
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import Channel, Dialect, Tap
from components.market_data.venues.equipment import FIRST_REQUEST, Equipment
from components.market_data.venues.keeper import Keeper
from components.market_data.venues.listing import Listing
from components.market_data.venues.pacing import NS_PER_MS, Gate, Pace, Restraint
from components.market_data.venues.rest import Rest
from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.runtime.retry import Breaker

CROWDED_MS: Final = 250
"""Where many books are asked for anew at once, the next may try after this."""


class VenueFeed:
    """All that one venue says, and all that it is asked."""

    def __init__(
        self,
        dialect: Dialect,
        config: VenueConfig,
        clock: Clock,
        chance: Callable[[], float],
        metrics: Metrics,
        tap: Tap | None = None,
    ) -> None:
        """Take what a venue needs; `chance` gives numbers in [0, 1) for the jitter, `tap` gets the raw frames."""
        self._dialect, self._config, self._clock, self._chance, self._tap = dialect, config, clock, chance, tap
        self._counts = VenueCounts(metrics, dialect.venue)
        self.rest = Rest(dialect, config, clock, self._counts, tap)
        self._listing = Listing(dialect, config, self.rest, chance)
        self._requests = count(FIRST_REQUEST)
        self._keepers: list[Keeper] = []
        self._resubscribing = 0

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return self._dialect.venue

    async def open(self) -> None:
        """Do nothing yet: connections are made when they are needed."""

    async def close(self) -> None:
        """Let the HTTP connections go; the lines end with run()."""
        await self.rest.close()

    async def run(self, deliver: Callable[[FeedMessage], None]) -> None:
        """List what there is, then listen for ever."""
        delivery = Delivery(deliver, _bounds(self._config), self._counts)
        self._keepers = []
        await self._listing.begin(delivery)
        known = list(self._listing.known)
        plans = [plan for plan in self._dialect.plan(known) if plan.topics] if known else []
        board = Board(self.venue, plans, delivery, self._counts)
        equipment, gate = self._equip(delivery), self._gate()
        self._keepers = [Keeper(plan, equipment, gate, board) for plan in plans]
        async with asyncio.TaskGroup() as group:
            for keeper in self._keepers:
                group.create_task(keeper.keep())
            group.create_task(self._listing.refresh(delivery))

    async def call(self, request: FeedRequest) -> FeedAnswer:
        """Carry one request out; what goes wrong is an answer."""
        if request.symbol not in self._listing.known:
            return NoImage(f"{request.symbol} is not listened to", self._config.retry_ms_max)
        if isinstance(request, FetchImage):
            return await self.rest.image(request.symbol)
        if self._resubscribing >= self._config.requests_waiting_max:
            return NoImage(f"{self._resubscribing} books are being asked for anew", CROWDED_MS)
        self._resubscribing += 1
        try:
            return await self._resubscribe(request.symbol)
        finally:
            self._resubscribing -= 1

    def fallen(self, reason: str) -> list[FeedMessage]:
        """Say what is to be told when run() ended with an error: nothing is heard any more."""
        books = [symbol for keeper in self._keepers for symbol in keeper.books]
        closed = [BookClosed(self.venue, symbol, reason, final=False) for symbol in books]
        return [*closed, LineClosed(self.venue, reason, final=False)]

    async def _resubscribe(self, symbol: Symbol) -> FeedAnswer:
        for keeper in self._keepers:
            if await keeper.resubscribe(symbol):
                return Resubscribed()
        return NoImage(f"{symbol} is not subscribed now", CROWDED_MS)

    def _equip(self, delivery: Delivery) -> Equipment:
        return Equipment(
            dialect=self._dialect,
            config=self._config,
            clock=self._clock,
            chance=self._chance,
            counts=self._counts,
            delivery=delivery,
            requests=self._requests,
            tap=self._tap,
        )

    def _gate(self) -> Gate:
        config = self._config
        breaker = Breaker(failures_max=config.breaker_failures_max, pause_ns=config.breaker_pause_ms * NS_PER_MS)
        per_second = self._dialect.limits.connects_per_second
        pace = Pace(self._clock, per_second=per_second, burst=config.connects_burst)
        return Gate(pace, Restraint(self._clock, breaker, Door.STREAM, self._counts))


def _bounds(config: VenueConfig) -> dict[Channel, Bounds]:
    queues = config.queues
    return {
        Channel.DEPTH: Bounds(queues.depth_max, queues.depth),
        Channel.QUOTES: Bounds(queues.quotes_max, queues.quotes),
        Channel.TRADES: Bounds(queues.trades_max, queues.trades),
    }
