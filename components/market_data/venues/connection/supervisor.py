"""Keeps one planned connection of a venue alive: reconnect, backoff, replacement before break, adaptive timeouts."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from components.contracts.values import Symbol
from components.market_data.core.events import BookStreamDown, BookStreamUp, DecodedFrame, DecodeIssue, IssueKind
from components.market_data.venues.adapter import Channel, ConnectionPlan, Topic
from components.market_data.venues.connection.arbitration import Arbiter
from components.market_data.venues.connection.connection import Connection
from components.market_data.venues.connection.context import ConnectionContext, Disconnect, PlannedConnection
from components.market_data.venues.connection.subscriptions import TopicRejection
from components.market_data.venues.metrics import DisconnectReason
from components.market_data.venues.rate_limit import ConnectGate
from components.runtime.clock import NS_PER_MS
from components.runtime.retry import Backoff

SWITCH_TIMEOUT_MS: Final = 1_000
"""Quiet books are assumed to have caught up after this time: no update is in transit for so long."""
POLL_S: Final = 0.02
DOUBLINGS_MAX: Final = 16
ConnectionTask: TypeAlias = "asyncio.Task[Disconnect]"


class ConnectionStatusListener(Protocol):
    """Receives the status of planned connections."""

    def on_connection(self, plan: ConnectionPlan, disconnect: Disconnect | None) -> None:
        """Handle that a connection is subscribed (no `disconnect`), or how it ended."""


class ConnectionSupervisor:
    """Supervises one connection of a venue's plan over all reconnects."""

    def __init__(
        self, plan: ConnectionPlan, context: ConnectionContext, gate: ConnectGate, status: ConnectionStatusListener
    ) -> None:
        self.plan = plan
        self._context, self._gate, self._status = context, gate, status
        self._delivery, self._venue = context.delivery, context.adapter.venue
        config = context.config
        self._timeouts = AdaptiveTimeouts(
            first_data_ms=config.first_data_timeout_ms,
            no_data_ms=config.no_data_timeout_ms,
            timeout_ms_max=config.adaptive_timeout_ms_max,
            healthy_ms=config.healthy_after_ms,
        )
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self._failures = 0
        self._current: Connection | None = None
        self._next: Connection | None = None
        self._arbiter = Arbiter()
        self._replacement_requested = asyncio.Event()
        self._replacement_reason, self._must_replace = "", False
        self._rejected: set[str] = set()
        self._open_books: dict[Symbol, Topic] = {}
        """The books that are subscribed."""
        self._reported: dict[Symbol, str] = {}
        """The reason that was last reported for each book that is down."""

    @property
    def books(self) -> tuple[Symbol, ...]:
        """Return the books that are subscribed."""
        return tuple(self._open_books)

    async def run(self) -> None:
        """Reconnect forever; return only after a permanent disconnect."""
        while True:
            await self._gate.acquire()
            self._current = self._new_connection()
            disconnect = await self._run_until_disconnect(self._current)
            if disconnect.is_permanent:
                return
            await asyncio.sleep(self._delay_ms() / 1_000)

    async def resubscribe(self, symbol: Symbol) -> bool:
        """Resubscribe a book; return False if it is not subscribed here."""
        topic, connection = self._open_books.get(symbol), self._current
        return topic is not None and connection is not None and await connection.resubscribe(topic.name)

    def first_data_timeout_ms(self, name: str) -> int:
        """Return how long the first data of a topic may take."""
        return self._timeouts.first_data_timeout_ms(name)

    def on_frame(self, connection: PlannedConnection, frame: DecodedFrame) -> None:
        """Deliver a frame of the current connection, or hold a frame of its replacement."""
        if connection is self._current:
            if self._next is not None:
                self._arbiter.on_delivered(frame)
            self._delivery.deliver_frame(frame)
        elif connection is self._next:
            self._arbiter.hold(frame)

    def on_topics_subscribed(self, connection: PlannedConnection, topics: Sequence[Topic]) -> None:
        """Report the books that are subscribed now."""
        if connection is self._current:
            self._report_stream_up(topics)

    def on_topic_rejected(self, connection: PlannedConnection, rejection: TopicRejection) -> None:
        """Report a rejected book; a rejection of another channel is only a decode issue."""
        topic, reason = rejection.topic, f"{rejection.topic.symbol}: {rejection.reason}"
        if rejection.is_permanent:
            self._rejected.add(topic.name)
        if topic.channel is not Channel.DEPTH:
            issue = DecodeIssue(IssueKind.UNLISTED, reason)
            self._delivery.deliver_frame(DecodedFrame(self._venue, (issue,), self._context.clock.now_ns(), 0, 0))
        elif rejection.is_permanent or connection is self._current:
            self._report_stream_down(topic.symbol, reason, is_permanent=rejection.is_permanent)

    def on_subscribed(self, connection: PlannedConnection) -> None:
        """Record that a connection is fully subscribed."""
        self._gate.succeeded()
        if connection is self._current:
            self._status.on_connection(self.plan, None)
        elif self._next is not None and connection is self._next:
            books = [topic.symbol for topic in self._next.subscriptions.subscribed_books]
            self._arbiter.on_subscribed(books, self._context.clock.monotonic_ns())

    def on_first_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Shorten the timeout of a book that received data."""
        if connection in {self._current, self._next}:
            self._timeouts.on_first_data(topic.name)

    def on_no_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Try another connection for a book without data; the other books must not be interrupted."""
        self._timeouts.on_no_first_data(topic.name)
        reason = f"{topic.symbol} was subscribed twice, but received no data"
        if self._current is not None and connection is self._current:
            if self._current.first_data_at_ns:
                self._request_replacement(reason, must_replace=False)
            else:
                self._current.stop(Disconnect(DisconnectReason.NO_DATA, reason))

    def on_shutdown_notice(self, connection: PlannedConnection, reason: str) -> None:
        """Open a replacement while the current connection still works."""
        if connection in {self._current, self._next}:
            self._request_replacement(reason, must_replace=True)

    def _request_replacement(self, reason: str, *, must_replace: bool) -> None:
        self._replacement_reason, self._must_replace = reason, must_replace
        self._replacement_requested.set()

    def _new_connection(self) -> Connection:
        topics = tuple(topic for topic in self.plan.topics if topic.name not in self._rejected)
        plan = ConnectionPlan(self.plan.name, self.plan.url, topics)
        return Connection(plan, self._context, self, self._timeouts.no_data_timeout_ms)

    async def _run_until_disconnect(self, connection: Connection) -> Disconnect:
        """Run a connection and its replacements until the last one ends."""
        self._replacement_requested.clear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run_connection(connection))
            replacement = group.create_task(self._replacement_requested.wait())
            while not task.done():
                await asyncio.wait([task, replacement], return_when=asyncio.FIRST_COMPLETED)
                if replacement.done() and not task.done():
                    self._replacement_requested.clear()
                    replacement = group.create_task(self._replacement_requested.wait())
                    task = await self._replace_connection(group, task)
            replacement.cancel()
        return task.result()

    async def _run_connection(self, connection: Connection) -> Disconnect:
        disconnect = await connection.run()
        self._context.metrics.disconnected(disconnect.reason)
        if not connection.is_subscribed:
            self._gate.failed(disconnect.retry_after_ms)
        if self._timeouts.on_disconnect(connection.data_duration_ms, connection.data_gap_ns_max / NS_PER_MS):
            self._failures = 0
        if disconnect.reason is not DisconnectReason.REPLACED:
            self._failures += 1
        if disconnect.reason is DisconnectReason.NO_DATA:
            self._timeouts.on_no_data()
        self._on_disconnect(connection, disconnect)
        return disconnect

    def _on_disconnect(self, connection: Connection, disconnect: Disconnect) -> None:
        if connection is self._next:
            self._next = None
        if connection is not self._current:
            return
        self._current = None
        for symbol in self._planned_books() if disconnect.is_permanent else list(self._open_books):
            self._report_stream_down(
                symbol,
                f"{symbol}: {disconnect.detail}" if disconnect.is_permanent else disconnect.detail,
                is_permanent=disconnect.is_permanent,
            )
        self._status.on_connection(self.plan, disconnect)

    async def _replace_connection(self, group: asyncio.TaskGroup, current: ConnectionTask) -> ConnectionTask:
        """Open a replacement and switch to it as soon as it has caught up."""
        while True:
            await self._gate.acquire()
            self._arbiter, connection = Arbiter(), self._new_connection()
            self._next = connection
            candidate = group.create_task(self._run_connection(connection))
            while not candidate.done():
                if self._current is None or self._is_caught_up():
                    self._switch_to(connection)
                    return candidate
                await asyncio.wait([candidate, current], timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            # A quiet book justifies one attempt only: a venue that rejects a second connection would be tried forever.
            if self._current is None or candidate.result().is_permanent or not self._must_replace:
                return current
            await asyncio.sleep(self._delay_ms() / 1_000)

    def _is_caught_up(self) -> bool:
        return self._arbiter.is_ready(self._context.clock.monotonic_ns(), SWITCH_TIMEOUT_MS)

    def _switch_to(self, connection: Connection) -> None:
        old, self._current, self._next = self._current, connection, None
        books = connection.subscriptions.subscribed_books
        for symbol in self._open_books.keys() - {topic.symbol for topic in books}:
            self._report_stream_down(symbol, f"not acknowledged on the new connection: {self._replacement_reason}")
        self._report_stream_up(books)
        for frame in self._arbiter.release(deduplicate=old is not None):
            self._delivery.deliver_frame(frame)
        if old is not None:
            old.stop(Disconnect(DisconnectReason.REPLACED, self._replacement_reason))
        elif connection.is_subscribed:
            self._status.on_connection(self.plan, None)

    def _report_stream_up(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            if topic.channel is Channel.DEPTH and topic.symbol not in self._open_books:
                self._open_books[topic.symbol] = topic
                self._reported.pop(topic.symbol, None)
                self._delivery.deliver_control(BookStreamUp(self._venue, topic.symbol))

    def _report_stream_down(self, symbol: Symbol, reason: str, *, is_permanent: bool = False) -> None:
        was_open = self._open_books.pop(symbol, None) is not None
        if was_open or self._reported.get(symbol) != reason:
            self._reported[symbol] = reason
            self._delivery.deliver_control(BookStreamDown(self._venue, symbol, reason, is_permanent))

    def _planned_books(self) -> list[Symbol]:
        topics = (topic for topic in self.plan.topics if topic.name not in self._rejected)
        return [topic.symbol for topic in topics if topic.channel is Channel.DEPTH]

    def _delay_ms(self) -> float:
        return self._backoff.delay_ms(self._failures, self._context.jitter())


class AdaptiveTimeouts:
    """Timeouts of quiet books and connections of one plan: they double after each miss, up to a bound."""

    def __init__(self, *, first_data_ms: int, no_data_ms: int, timeout_ms_max: int, healthy_ms: int) -> None:
        self._first_data_ms, self._no_data_ms, self._timeout_ms_max, self._healthy_ms = (
            first_data_ms,
            no_data_ms,
            timeout_ms_max,
            healthy_ms,
        )
        self._misses: dict[str, int] = {}
        self._no_data_count = 0

    def first_data_timeout_ms(self, name: str) -> int:
        """Return how long the first data of a topic may take."""
        return self._doubled(self._first_data_ms, self._misses.get(name, 0))

    @property
    def no_data_timeout_ms(self) -> int:
        """Return how long a connection may be without data."""
        return self._doubled(self._no_data_ms, self._no_data_count)

    def on_no_first_data(self, name: str) -> None:
        """Lengthen the timeout of a topic."""
        self._misses[name] = self._misses.get(name, 0) + 1

    def on_first_data(self, name: str) -> None:
        """Shorten the timeout of a topic by one step: a quiet book may be quiet again."""
        self._misses[name] = max(self._misses.get(name, 0) - 1, 0)

    def on_no_data(self) -> None:
        """Lengthen the timeout of the connection."""
        self._no_data_count += 1

    def on_disconnect(self, data_ms: float, gap_ms_max: float) -> bool:
        """Record how long a connection delivered data and its longest gap; return whether it was healthy."""
        is_healthy = data_ms >= self._healthy_ms
        if is_healthy and gap_ms_max * 2 < self._no_data_ms:
            self._no_data_count = 0
        return is_healthy

    def _doubled(self, initial_ms: int, times: int) -> int:
        return min(initial_ms << min(times, DOUBLINGS_MAX), self._timeout_ms_max)
