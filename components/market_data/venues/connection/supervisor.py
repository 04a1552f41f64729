"""Keeps one line of a venue alive: connects again, hands over to a newer connection, tells which books come.

How long a venue's quiet books and connections are waited for: longer each time in vain, up to a bound.
"""

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
from components.market_data.venues.rate_limit import NS_PER_MS, ConnectGate
from components.runtime.retry import Backoff

SWITCH_TIMEOUT_MS: Final = 1_000
"""A book that stands still on both connections is joined after this: no change is under way for so long."""


POLL_S: Final = 0.02


ConnectionTask: TypeAlias = "asyncio.Task[Disconnect]"


class ConnectionStatusListener(Protocol):
    """Whoever hears how the lines are."""

    def on_connection(self, plan: ConnectionPlan, disconnect: Disconnect | None) -> None:
        """Hear that a line is subscribed, or how it ended."""


class ConnectionSupervisor:
    """One line of a venue's plan, over all its connections."""

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
        """The books that come."""
        self._reported: dict[Symbol, str] = {}

    @property
    def books(self) -> tuple[Symbol, ...]:
        """Give the books that come."""
        return tuple(self._open_books)

    async def run(self) -> None:
        """Listen for ever; come back only where trying again cannot help."""
        while True:
            await self._gate.acquire()
            self._current = self._new_connection()
            ended = await self._run_until_disconnect(self._current)
            if ended.is_permanent:
                return
            await asyncio.sleep(self._delay_ms() / 1_000)

    async def resubscribe(self, symbol: Symbol) -> bool:
        """Ask for a book anew; False where it does not come here."""
        topic, line = self._open_books.get(symbol), self._current
        return topic is not None and line is not None and await line.resubscribe(topic.name)

    def first_data_timeout_ms(self, name: str) -> int:
        """Say how long the first data of a topic may take."""
        return self._timeouts.first_data_timeout_ms(name)

    def on_frame(self, connection: PlannedConnection, frame: DecodedFrame) -> None:
        """Hand a frame on, or hold it until the line that brought it is the one that counts."""
        if connection is self._current:
            if self._next is not None:
                self._arbiter.on_delivered(frame)
            self._delivery.deliver_frame(frame)
        elif connection is self._next:
            self._arbiter.hold(frame)

    def on_topics_subscribed(self, connection: PlannedConnection, topics: Sequence[Topic]) -> None:
        """Tell of the books that come now."""
        if connection is self._current:
            self._report_stream_up(topics)

    def on_topic_rejected(self, connection: PlannedConnection, rejection: TopicRejection) -> None:
        """Tell of a book that the venue refuses; what else it refuses is only odd."""
        topic, reason = rejection.topic, f"{rejection.topic.symbol}: {rejection.reason}"
        if rejection.is_permanent:
            self._rejected.add(topic.name)
        if topic.channel is not Channel.DEPTH:
            odd = DecodeIssue(IssueKind.UNLISTED, reason)
            self._delivery.deliver_frame(DecodedFrame(self._venue, (odd,), self._context.clock.now_ns(), 0, 0))
        elif rejection.is_permanent or connection is self._current:
            self._report_stream_down(topic.symbol, reason, is_permanent=rejection.is_permanent)

    def on_subscribed(self, connection: PlannedConnection) -> None:
        """Hear that a line is as it should be."""
        self._gate.succeeded()
        if connection is self._current:
            self._status.on_connection(self.plan, None)
        elif self._next is not None and connection is self._next:
            books = [topic.symbol for topic in self._next.subscriptions.subscribed_books]
            self._arbiter.on_subscribed(books, self._context.clock.monotonic_ns())

    def on_first_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Hear that a quiet book speaks."""
        if connection in {self._current, self._next}:
            self._timeouts.on_first_data(topic.name)

    def on_no_data(self, connection: PlannedConnection, topic: Topic) -> None:
        """Try another connection for a book that does not come; those that do must not suffer."""
        self._timeouts.on_no_first_data(topic.name)
        reason = f"{topic.symbol} was confirmed twice, and nothing came"
        if self._current is not None and connection is self._current:
            if self._current.first_data_at_ns:
                self._request_replacement(reason, must_replace=False)
            else:
                self._current.stop(Disconnect(DisconnectReason.NO_DATA, reason))

    def on_shutdown_notice(self, connection: PlannedConnection, reason: str) -> None:
        """Make a new connection while this one lives."""
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
        """Follow a connection, and each that takes its place, to the end of the last."""
        self._replacement_requested.clear()
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self._run_connection(connection))
            wish = group.create_task(self._replacement_requested.wait())
            while not life.done():
                await asyncio.wait([life, wish], return_when=asyncio.FIRST_COMPLETED)
                if wish.done() and not life.done():
                    self._replacement_requested.clear()
                    wish = group.create_task(self._replacement_requested.wait())
                    life = await self._replace_connection(group, life)
            wish.cancel()
        return life.result()

    async def _run_connection(self, connection: Connection) -> Disconnect:
        ended = await connection.run()
        self._context.metrics.disconnected(ended.reason)
        if not connection.is_subscribed:
            self._gate.failed(ended.retry_after_ms)
        if self._timeouts.on_disconnect(connection.data_duration_ms, connection.data_gap_ns_max / NS_PER_MS):
            self._failures = 0
        if ended.reason is not DisconnectReason.REPLACED:
            self._failures += 1
        if ended.reason is DisconnectReason.NO_DATA:
            self._timeouts.on_no_data()
        self._on_disconnect(connection, ended)
        return ended

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
        """Make a newer connection and go over to it as soon as it goes on where this one is."""
        while True:
            await self._gate.acquire()
            self._arbiter, line = Arbiter(), self._new_connection()
            self._next = line
            newer = group.create_task(self._run_connection(line))
            while not newer.done():
                if self._current is None or self._is_caught_up():
                    self._switch_to(line)
                    return newer
                await asyncio.wait([newer, current], timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            # For a quiet book one try is enough: where a second connection is not wanted, it would be tried for ever.
            if self._current is None or newer.result().is_permanent or not self._must_replace:
                return current
            await asyncio.sleep(self._delay_ms() / 1_000)

    def _is_caught_up(self) -> bool:
        return self._arbiter.is_ready(self._context.clock.monotonic_ns(), SWITCH_TIMEOUT_MS)

    def _switch_to(self, connection: Connection) -> None:
        old, self._current, self._next = self._current, connection, None
        books = connection.subscriptions.subscribed_books
        for symbol in self._open_books.keys() - {topic.symbol for topic in books}:
            self._report_stream_down(symbol, f"not confirmed on the new connection: {self._replacement_reason}")
        self._report_stream_up(books)
        for framed in self._arbiter.release(deduplicate=old is not None):
            self._delivery.deliver_frame(framed)
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
        listened = (topic for topic in self.plan.topics if topic.name not in self._rejected)
        return [topic.symbol for topic in listened if topic.channel is Channel.DEPTH]

    def _delay_ms(self) -> float:
        return self._backoff.delay_ms(self._failures, self._context.jitter())


DOUBLINGS_MAX: Final = 16


class AdaptiveTimeouts:
    """Remembers, over the connections of one plan, what stayed quiet."""

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
        """Say how long the first data of a topic may take."""
        return self._doubled(self._first_data_ms, self._misses.get(name, 0))

    @property
    def no_data_timeout_ms(self) -> int:
        """Say how long a connection may be without data."""
        return self._doubled(self._no_data_ms, self._no_data_count)

    def on_no_first_data(self, name: str) -> None:
        """Wait longer for a topic the next time."""
        self._misses[name] = self._misses.get(name, 0) + 1

    def on_first_data(self, name: str) -> None:
        """Wait a little less long the next time: a quiet book may be quiet again."""
        self._misses[name] = max(self._misses.get(name, 0) - 1, 0)

    def on_no_data(self) -> None:
        """Wait longer for any data the next time."""
        self._no_data_count += 1

    def on_disconnect(self, data_ms: float, gap_ms_max: float) -> bool:
        """Hear how long a connection brought data, and with which gaps; say whether it was a healthy one."""
        is_healthy = data_ms >= self._healthy_ms
        if is_healthy and gap_ms_max * 2 < self._no_data_ms:
            self._no_data_count = 0
        return is_healthy

    def _doubled(self, initial_ms: int, times: int) -> int:
        return min(initial_ms << min(times, DOUBLINGS_MAX), self._timeout_ms_max)
