"""Feeds: one venue with its instruments and connections (VenueFeed), and all venues together (FeedGroup).

A feed reconnects forever, except if the venue rejects it permanently.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final, NoReturn

from components.contracts.errors import InvariantError, UsageError
from components.contracts.values import Symbol, Venue
from components.market_data.config import VenueConfig
from components.market_data.core.events import (
    BookStreamDown,
    FeedDown,
    FeedMessage,
    FeedReply,
    FeedRequest,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    Resubscribed,
    SnapshotUnavailable,
    StockFeedDown,
)
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.core.queues import QueueBounds
from components.market_data.venues.adapter import Channel, ConnectionPlan, Tap, VenueAdapter
from components.market_data.venues.connection.context import FIRST_REQUEST_ID, REASON_MAX, ConnectionContext, Disconnect
from components.market_data.venues.connection.delivery import Delivery
from components.market_data.venues.connection.supervisor import ConnectionSupervisor
from components.market_data.venues.metrics import DisconnectReason, Transport, VenueMetrics
from components.market_data.venues.rate_limit import CircuitGuard, ConnectGate, RateLimiter
from components.market_data.venues.rest_client import RestClient, RestFailure
from components.runtime.clock import NS_PER_MS, Clock
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.retry import Backoff, CircuitBreaker
from components.runtime.service import VenueEventSource

RESUBSCRIBE_WAIT_MS: Final = 250
"""Delay before the next attempt while too many books are being resubscribed."""


class VenueFeed:
    """All connections of one venue, and the requests to it."""

    def __init__(
        self,
        adapter: VenueAdapter,
        config: VenueConfig,
        clock: Clock,
        jitter: Callable[[], float],
        metrics: Metrics,
        tap: Tap | None = None,
    ) -> None:
        """Prepare the feed; `jitter` returns numbers in [0, 1), `tap` receives the raw frames."""
        self._adapter, self._config, self._clock, self._jitter, self._tap = adapter, config, clock, jitter, tap
        self._metrics = VenueMetrics(metrics, adapter.venue)
        self.rest = RestClient(adapter, config, clock, self._metrics, tap)
        self._instruments = InstrumentLoader(adapter, config, self.rest, jitter)
        self._request_ids = count(FIRST_REQUEST_ID)
        self._supervisors: list[ConnectionSupervisor] = []
        self._resubscribing = 0

    @property
    def venue(self) -> Venue:
        """Return the name of the venue."""
        return self._adapter.venue

    async def open(self) -> None:
        """Do nothing: connections are opened when they are needed."""

    async def close(self) -> None:
        """Close the HTTP connections; run() closes the websockets."""
        await self.rest.close()

    async def run(self, deliver: Callable[[FeedMessage], None]) -> None:
        """Load the instruments, then run all connections forever."""
        delivery = Delivery(deliver, _queue_bounds(self._config), self._metrics)
        self._supervisors = []
        await self._instruments.load(delivery)
        symbols = list(self._instruments.instruments)
        plans = [plan for plan in self._adapter.plan_connections(symbols) if plan.topics] if symbols else []
        status = FeedStatus(self.venue, plans, delivery, self._metrics)
        context, gate = self._connection_context(delivery), self._connect_gate()
        self._supervisors = [ConnectionSupervisor(plan, context, gate, status) for plan in plans]
        async with asyncio.TaskGroup() as group:
            for supervisor in self._supervisors:
                group.create_task(supervisor.run())
            group.create_task(self._instruments.refresh(delivery))

    async def call(self, request: FeedRequest) -> FeedReply:
        """Execute one request; a failure is returned, not raised."""
        if request.symbol not in self._instruments.instruments:
            return SnapshotUnavailable(f"{request.symbol} is not configured", self._config.retry_ms_max)
        if isinstance(request, FetchSnapshot):
            return await self.rest.fetch_snapshot(request.symbol)
        if self._resubscribing >= self._config.requests_queued_max:
            return SnapshotUnavailable(f"{self._resubscribing} books are being resubscribed", RESUBSCRIBE_WAIT_MS)
        self._resubscribing += 1
        try:
            return await self._resubscribe(request.symbol)
        finally:
            self._resubscribing -= 1

    def failure_events(self, reason: str) -> list[FeedMessage]:
        """Return the events to deliver after run() failed: every open book and the feed itself are down."""
        books = [symbol for supervisor in self._supervisors for symbol in supervisor.books]
        closed = [BookStreamDown(self.venue, symbol, reason, is_permanent=False) for symbol in books]
        return [*closed, FeedDown(self.venue, reason, is_permanent=False)]

    async def _resubscribe(self, symbol: Symbol) -> FeedReply:
        for supervisor in self._supervisors:
            if await supervisor.resubscribe(symbol):
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
        rate_limiter = RateLimiter(self._clock, per_second=per_second, burst=config.connects_burst)
        return ConnectGate(rate_limiter, CircuitGuard(self._clock, breaker, Transport.WEBSOCKET, self._metrics))


def _queue_bounds(config: VenueConfig) -> dict[Channel, QueueBounds]:
    queues = config.queues
    return {
        Channel.DEPTH: QueueBounds(queues.depth_max, queues.depth),
        Channel.QUOTES: QueueBounds(queues.quotes_max, queues.quotes),
        Channel.TRADES: QueueBounds(queues.trades_max, queues.trades),
    }


class InstrumentLoader:
    """Loads and refreshes the configured instruments of one venue."""

    def __init__(
        self, adapter: VenueAdapter, config: VenueConfig, rest: RestClient, jitter: Callable[[], float]
    ) -> None:
        """Load over HTTP; `jitter` returns numbers in [0, 1) for retry delays."""
        self._adapter, self._config, self._rest, self._jitter = adapter, config, rest, jitter
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self.instruments: dict[Symbol, Instrument] = {}

    async def load(self, delivery: Delivery) -> None:
        """Request the instruments until they are known; after a permanent failure wait to be cancelled."""
        failures, reported = 0, ""
        while isinstance(found := await self._rest.fetch_instruments(), RestFailure):
            failures += 1
            reason = f"instruments: {found.reason}"
            if found.is_permanent or reported != found.outcome:
                reported = found.outcome
                delivery.deliver_control(FeedDown(self._adapter.venue, reason, found.is_permanent))
            if found.is_permanent:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(max(self._backoff.delay_ms(failures, self._jitter()), found.retry_after_ms) / 1_000)
        self._update(found, delivery)
        self._report_missing(found, delivery)

    async def refresh(self, delivery: Delivery) -> None:
        """Reload the instruments periodically, because tick sizes and trading states change."""
        while True:
            await asyncio.sleep(self._config.instruments_every_s)
            found = await self._rest.fetch_instruments()
            if not isinstance(found, RestFailure):
                self._update(found, delivery)

    def _update(self, found: Sequence[Instrument], delivery: Delivery) -> None:
        wanted = set(self._config.symbols)
        # A symbol that is no longer listed keeps its last row; its stream shows what happens to it. A symbol that is
        # listed only after the start was reported as rejected and stays so until the next start.
        symbols = self.instruments or wanted
        updated = {one.symbol: one for one in found if one.symbol in wanted and one.symbol in symbols}
        before, self.instruments = self.instruments, self.instruments | updated
        if self.instruments != before or not before:
            self._adapter.set_instruments(InstrumentRegistry(self.instruments.values()))
            delivery.deliver_control(InstrumentsLoaded(self._adapter.venue, tuple(self.instruments.values())))

    def _report_missing(self, found: Sequence[Instrument], delivery: Delivery) -> None:
        registry = InstrumentRegistry(found)
        for symbol in (Symbol(one) for one in self._config.symbols if one not in self.instruments):
            try:
                registry.require(symbol)
            except UsageError as error:
                delivery.deliver_control(BookStreamDown(self._adapter.venue, symbol, str(error), is_permanent=True))
        if not self.instruments:
            reason = f"none of its symbols is listed: {', '.join(self._config.symbols)}"
            delivery.deliver_control(FeedDown(self._adapter.venue, reason, is_permanent=True))


class FeedStatus:
    """Tracks the connections of one venue and reports when the venue as a whole comes up or goes down."""

    def __init__(
        self, venue: Venue, plans: Sequence[ConnectionPlan], delivery: Delivery, metrics: VenueMetrics
    ) -> None:
        """Start with no connection up."""
        self._venue, self._delivery, self._metrics = venue, delivery, metrics
        self._expected = {plan.name for plan in plans}
        self._live: set[str] = set()
        self._last_reported: FeedUp | FeedDown | None = None

    def on_connection(self, plan: ConnectionPlan, disconnect: Disconnect | None) -> None:
        """Record that a connection is subscribed (no `disconnect`), or how it ended."""
        if disconnect is None:
            self._live.add(plan.name)
        else:
            self._live.discard(plan.name)
            if disconnect.reason is DisconnectReason.ALL_REJECTED:
                # Each of its books was rejected and reported; the venue counts as up without this connection.
                self._expected.discard(plan.name)
        self._metrics.live_connections.set(len(self._live))
        self._update(plan, disconnect)

    def _update(self, plan: ConnectionPlan, disconnect: Disconnect | None) -> None:
        if self._expected and self._live >= self._expected:
            self._report(FeedUp(self._venue))
        elif disconnect is not None:
            self._report(FeedDown(self._venue, f"{plan.name}: {disconnect.detail}", disconnect.is_permanent))

    def _report(self, message: FeedUp | FeedDown) -> None:
        if message != self._last_reported:
            self._last_reported = message
            self._delivery.deliver_control(message)


class FeedGroup:
    """The feeds of all crypto venues and of the stock venue. A failing feed is restarted and never stops the others."""

    def __init__(
        self, venues: Sequence[VenueFeed], stock: VenueEventSource | None, backoff: Backoff, jitter: Callable[[], float]
    ) -> None:
        """Combine the feeds; a failed one is restarted after the backoff delay."""
        self._venues: Mapping[Venue, VenueFeed] = {feed.venue: feed for feed in venues}
        self._stock, self._backoff, self._jitter = stock, backoff, jitter

    async def open(self) -> None:
        """Prepare all feeds for calls."""
        for feed in self._venues.values():
            await feed.open()

    async def call(self, request: FeedRequest) -> FeedReply:
        """Route a request to its venue."""
        feed = self._venues.get(request.venue)
        if feed is None:
            raise InvariantError(f"{request.venue} is not configured")
        return await feed.call(request)

    async def close(self) -> None:
        """Close all connections."""
        for feed in self._venues.values():
            await feed.close()

    async def run(self, deliver: Callable[[FeedMessage], None]) -> None:
        """Run all feeds forever."""
        capture = _ErrorCapture(deliver)
        async with asyncio.TaskGroup() as group:
            for feed in self._venues.values():
                group.create_task(self._supervise(feed, feed.failure_events, capture))
            if self._stock is not None:
                group.create_task(self._supervise(self._stock, _stock_failure_events, capture))

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
        """Run a feed until it fails, and return the reason.

        An exception of the service is raised again and stops all feeds.
        """
        task = asyncio.ensure_future(feed.run(capture))
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            await asyncio.wait([task])
        error = task.exception()
        if capture.error is not None:
            raise capture.error
        logger().error("feed_failed", exc_info=error)
        return f"a bug: {type(error).__name__}: {error}"[:REASON_MAX]


class _ErrorCapture:
    """Delivers to the service and keeps an exception that the service raised."""

    def __init__(self, deliver: Callable[[FeedMessage], None]) -> None:
        self._deliver = deliver
        self.error: BaseException | None = None

    def __call__(self, message: FeedMessage) -> None:
        """Deliver a message."""
        try:
            self._deliver(message)
        except BaseException as error:
            self.error = error
            raise


def _stock_failure_events(reason: str) -> list[FeedMessage]:
    return [StockFeedDown(reason, is_permanent=False)]
