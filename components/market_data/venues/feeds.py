"""One crypto venue as a feed that never gives up: keeps its lines, and answers what the service asks."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from components.contracts.values import Symbol, Venue
from components.market_data.config import VenueConfig
from components.market_data.core.feed import (
    BookStreamDown,
    FeedDown,
    FeedMessage,
    FeedReply,
    FeedRequest,
    FetchSnapshot,
    Resubscribed,
    SnapshotUnavailable,
)
from components.market_data.core.queues import QueueBounds
from components.market_data.venues.board import FeedStatus
from components.market_data.venues.counts import Transport, VenueMetrics
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import Channel, Tap, VenueAdapter
from components.market_data.venues.equipment import FIRST_REQUEST_ID, ConnectionContext
from components.market_data.venues.keeper import ConnectionSupervisor
from components.market_data.venues.listing import InstrumentLoader
from components.market_data.venues.pacing import NS_PER_MS, CircuitGuard, ConnectGate, RateLimiter
from components.market_data.venues.rest import RestClient
from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.runtime.retry import CircuitBreaker

RESUBSCRIBE_WAIT_MS: Final = 250
"""Where many books are asked for anew at once, the next may try after this."""


class VenueFeed:
    """All that one venue says, and all that it is asked."""

    def __init__(
        self,
        adapter: VenueAdapter,
        config: VenueConfig,
        clock: Clock,
        jitter: Callable[[], float],
        metrics: Metrics,
        tap: Tap | None = None,
    ) -> None:
        """Take what a venue needs; `chance` gives numbers in [0, 1) for the jitter, `tap` gets the raw frames."""
        self._adapter, self._config, self._clock, self._jitter, self._tap = adapter, config, clock, jitter, tap
        self._metrics = VenueMetrics(metrics, adapter.venue)
        self.rest = RestClient(adapter, config, clock, self._metrics, tap)
        self._instruments = InstrumentLoader(adapter, config, self.rest, jitter)
        self._request_ids = count(FIRST_REQUEST_ID)
        self._supervisors: list[ConnectionSupervisor] = []
        self._resubscribing = 0

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return self._adapter.venue

    async def open(self) -> None:
        """Do nothing yet: connections are made when they are needed."""

    async def close(self) -> None:
        """Let the HTTP connections go; the lines end with run()."""
        await self.rest.close()

    async def run(self, deliver: Callable[[FeedMessage], None]) -> None:
        """List what there is, then listen for ever."""
        delivery = Delivery(deliver, _queue_bounds(self._config), self._metrics)
        self._supervisors = []
        await self._instruments.load(delivery)
        known = list(self._instruments.instruments)
        plans = [plan for plan in self._adapter.plan_connections(known) if plan.topics] if known else []
        board = FeedStatus(self.venue, plans, delivery, self._metrics)
        equipment, gate = self._connection_context(delivery), self._connect_gate()
        self._supervisors = [ConnectionSupervisor(plan, equipment, gate, board) for plan in plans]
        async with asyncio.TaskGroup() as group:
            for keeper in self._supervisors:
                group.create_task(keeper.run())
            group.create_task(self._instruments.refresh(delivery))

    async def call(self, request: FeedRequest) -> FeedReply:
        """Carry one request out; what goes wrong is an answer."""
        if request.symbol not in self._instruments.instruments:
            return SnapshotUnavailable(f"{request.symbol} is not listened to", self._config.retry_ms_max)
        if isinstance(request, FetchSnapshot):
            return await self.rest.fetch_snapshot(request.symbol)
        if self._resubscribing >= self._config.requests_waiting_max:
            return SnapshotUnavailable(f"{self._resubscribing} books are being asked for anew", RESUBSCRIBE_WAIT_MS)
        self._resubscribing += 1
        try:
            return await self._resubscribe(request.symbol)
        finally:
            self._resubscribing -= 1

    def failure_events(self, reason: str) -> list[FeedMessage]:
        """Say what is to be told when run() ended with an error: nothing is heard any more."""
        books = [symbol for keeper in self._supervisors for symbol in keeper.books]
        closed = [BookStreamDown(self.venue, symbol, reason, is_permanent=False) for symbol in books]
        return [*closed, FeedDown(self.venue, reason, is_permanent=False)]

    async def _resubscribe(self, symbol: Symbol) -> FeedReply:
        for keeper in self._supervisors:
            if await keeper.resubscribe(symbol):
                return Resubscribed()
        return SnapshotUnavailable(f"{symbol} is not subscribed now", RESUBSCRIBE_WAIT_MS)

    def _connection_context(self, delivery: Delivery) -> ConnectionContext:
        return ConnectionContext(
            adapter=self._adapter,
            config=self._config,
            clock=self._clock,
            jitter=self._jitter,
            metrics=self._metrics,
            delivery=delivery,
            request_ids=self._request_ids,
            tap=self._tap,
        )

    def _connect_gate(self) -> ConnectGate:
        config = self._config
        breaker = CircuitBreaker(
            failures_max=config.breaker_failures_max, cooldown_ns=config.breaker_pause_ms * NS_PER_MS
        )
        per_second = self._adapter.limits.connects_per_second
        pace = RateLimiter(self._clock, per_second=per_second, burst=config.connects_burst)
        return ConnectGate(pace, CircuitGuard(self._clock, breaker, Transport.WEBSOCKET, self._metrics))


def _queue_bounds(config: VenueConfig) -> dict[Channel, QueueBounds]:
    queues = config.queues
    return {
        Channel.DEPTH: QueueBounds(queues.depth_max, queues.depth),
        Channel.QUOTES: QueueBounds(queues.quotes_max, queues.quotes),
        Channel.TRADES: QueueBounds(queues.trades_max, queues.trades),
    }
