"""One websocket connection to a venue from the upgrade to the close: read loop, subscriptions, liveness, timeouts.

A connection that ends returns a Disconnect with the reason; nothing is raised.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from ssl import SSLContext, create_default_context
from typing import Final, TypeAlias

from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from components.market_data.config import VenueConfig
from components.market_data.core.events import (
    DecodedFrame,
    DecodeIssue,
    DepthSnapshot,
    DepthUpdate,
    IssueKind,
    MarketEvent,
)
from components.market_data.venues.adapter import (
    DECODE_ERRORS,
    Authenticated,
    ConnectionPlan,
    ControlMessage,
    Decoded,
    Reply,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    Topic,
    UnsubscribeAck,
    VenueAdapter,
)
from components.market_data.venues.connection.context import (
    REASON_MAX,
    ConnectionContext,
    ConnectionListener,
    Disconnect,
    disconnect_from_close,
)
from components.market_data.venues.connection.sender import Sender
from components.market_data.venues.connection.subscriptions import Subscriptions, SubscriptionTimeouts, TopicRejection
from components.market_data.venues.metrics import DisconnectReason
from components.market_data.venues.rate_limit import parse_retry_after_ms
from components.runtime.clock import NS_PER_MS
from components.runtime.retry import Backoff

StartTask: TypeAlias = Callable[[Coroutine[None, None, None]], None]
POLL_S: Final = 0.05
"""Interval at which timeouts are checked."""
CLOSE_TIMEOUT_S: Final = 0.25
"""Short, so that an unresponsive venue cannot delay a close."""
QUEUED_FRAMES_MAX: Final = 256
"""Frames that the library buffers before it stops reading: about what one turn of the event loop reads."""


class Connection:
    """One connection, used once."""

    def __init__(
        self, plan: ConnectionPlan, context: ConnectionContext, listener: ConnectionListener, no_data_timeout_ms: int
    ) -> None:
        """Prepare a connection that is closed after `no_data_timeout_ms` without data."""
        self.plan = plan
        self._context, self._listener, self._no_data_timeout_ms = context, listener, no_data_timeout_ms
        self._clock, self._metrics, self._adapter = context.clock, context.metrics, context.adapter
        config, limits = context.config, context.adapter.limits
        self._reply_timeout_ms = min(config.reply_timeout_ms, limits.reply_timeout_ms)
        self._ping_after_idle_ms = min(config.ping_after_idle_ms, limits.ping_after_idle_ms)
        backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self.subscriptions = Subscriptions(
            plan.topics, SubscriptionTimeouts(self._reply_timeout_ms, backoff), listener.first_data_timeout_ms
        )
        self._disconnected: asyncio.Future[Disconnect] = asyncio.get_running_loop().create_future()
        self._sender: Sender | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: list[str] = []
        self._frame_at_ns = self._data_at_ns = self._pinged_at_ns = 0
        self._frames = self._bytes = 0
        self.is_subscribed = False
        """Whether every topic was acknowledged or rejected."""
        self.first_data_at_ns = 0
        """Time of the first data; 0 until then."""
        self.data_gap_ns_max = 0
        """The longest time without data between two data messages."""

    @property
    def data_duration_ms(self) -> float:
        """Return the time from the first to the last data."""
        return (self._data_at_ns - self.first_data_at_ns) / NS_PER_MS if self.first_data_at_ns else 0

    async def run(self) -> Disconnect:
        """Connect, subscribe and read until the connection ends; return why it ended."""
        now_ns = self._clock.now_ns()
        connection = await open_connection(self.plan.url, self._context.config, self._adapter, now_ns)
        if isinstance(connection, Disconnect):
            return connection
        disconnect = None
        try:
            disconnect = await self._run_session(connection)
        finally:
            self._flush_counters()
            await close_connection(connection, disconnect)
        return disconnect

    def stop(self, disconnect: Disconnect) -> None:
        """End the connection; only the first reason counts."""
        if not self._disconnected.done():
            self._disconnected.set_result(disconnect)

    async def resubscribe(self, name: str) -> bool:
        """Resubscribe a topic; return False if the connection is not available for it."""
        if self._sender is None or self._disconnected.done():
            return False
        await self._sender.resubscribe(name)
        return not self._disconnected.done()

    async def _run_session(self, connection: ClientConnection) -> Disconnect:
        self._metrics.connects.inc()
        self._frame_at_ns = self._data_at_ns = self._clock.monotonic_ns()
        sender = Sender(connection, self._context, self.subscriptions, self.stop, self._reply_timeout_ms)
        self._sender = sender
        async with asyncio.TaskGroup() as group:
            start_task = partial(self._start_task, group)
            for coroutine in (
                self._read_loop(connection, sender),
                sender.run(),
                self._watch_liveness(connection, sender, start_task),
            ):
                start_task(coroutine)
            disconnect = await self._disconnected
            for task in self._tasks:
                task.cancel()
        return disconnect

    def _start_task(self, group: asyncio.TaskGroup, coroutine: Coroutine[None, None, None]) -> None:
        task = group.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_loop(self, connection: ClientConnection, sender: Sender) -> None:
        delivery, receive, handle = self._context.delivery, connection.recv, self._on_frame
        try:
            while True:
                handle(await receive(decode=False), sender)
                if self._replies:
                    replies, self._replies = self._replies, []
                    await sender.send_now(replies)
                if delivery.needs_pause:
                    await delivery.pause()
        except ConnectionClosed as error:
            self._on_closed(disconnect_from_close(error))

    def _on_frame(self, frame: bytes, sender: Sender) -> None:
        clock, context = self._clock, self._context
        received_at_ns = clock.now_ns()
        started_ns = clock.monotonic_ns()
        decoded = self._decode(frame, received_at_ns)
        decoded_ns = clock.monotonic_ns()
        self._frame_at_ns = decoded_ns
        self._frames += 1
        self._bytes += len(frame)
        if context.tap is not None:
            context.tap.on_frame("ws", self.plan.url, frame, received_at_ns)
        if decoded.control:
            self._on_control(decoded.control, sender)
        if decoded.data:
            self._track_data(decoded.data, decoded_ns)
            parse_ns = decoded_ns - started_ns
            decoded_frame = DecodedFrame(self._adapter.venue, tuple(decoded.data), received_at_ns, parse_ns, len(frame))
            self._listener.on_frame(self, decoded_frame)

    def _decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        try:
            return self._adapter.decode(frame, received_at_ns)
        except DECODE_ERRORS as error:
            return Decoded(
                data=(DecodeIssue(IssueKind.MALFORMED, f"undecodable: {type(error).__name__}: {error}"[:REASON_MAX]),)
            )

    def _track_data(self, data: Sequence[MarketEvent], now_ns: int) -> None:
        awaited = self.subscriptions.awaiting_first_data
        for event in data:
            if isinstance(event, DecodeIssue):
                self._metrics.decode_issue(event.kind)
                continue
            self.data_gap_ns_max = max(self.data_gap_ns_max, now_ns - self._data_at_ns)
            self._data_at_ns = now_ns
            self.first_data_at_ns = self.first_data_at_ns or now_ns
            if awaited and event.symbol in awaited and isinstance(event, (DepthUpdate, DepthSnapshot)):
                topics, new = self.subscriptions.on_first_data(event.symbol, now_ns)
                self._on_topics_subscribed(new)
                for topic in topics:
                    self._listener.on_first_data(self, topic)

    def _on_control(self, control: Sequence[ControlMessage], sender: Sender) -> None:
        for message in control:
            match message:
                case SubscribeAck():
                    self._on_topics_subscribed(self.subscriptions.on_subscribe_ack(message, self._clock.monotonic_ns()))
                case UnsubscribeAck():
                    sender.on_unsubscribed(message)
                case SubscribeRejected():
                    self._on_rejected(message, sender)
                case Reply(text):
                    self._replies.append(text)
                case Authenticated():
                    sender.on_authenticated()
                case ShutdownNotice(reason):
                    self._listener.on_shutdown_notice(self, f"shutdown notice: {reason}"[:REASON_MAX])
                case _:
                    pass  # a heartbeat: the frame itself shows that the venue is alive

    def _on_topics_subscribed(self, topics: Sequence[Topic]) -> None:
        if topics:
            self._listener.on_topics_subscribed(self, topics)
        self._check_subscribed()

    def _on_rejected(self, rejection: SubscribeRejected, sender: Sender) -> None:
        if not sender.is_authenticated and not rejection.names:
            self.stop(Disconnect(DisconnectReason.LOGIN_FAILED, rejection.reason, rejection.is_permanent))
            return
        self._reject_topics(self.subscriptions.on_rejected(rejection, self._clock.monotonic_ns()))
        sender.wake()

    def _reject_topics(self, rejections: Sequence[TopicRejection]) -> None:
        for rejection in rejections:
            self._metrics.topic_rejected(rejection.topic.channel, is_permanent=rejection.is_permanent)
            self._listener.on_topic_rejected(self, rejection)
        if rejections and self.subscriptions.is_empty:
            self.stop(Disconnect(DisconnectReason.ALL_REJECTED, rejections[-1].reason, is_permanent=True))
        self._check_subscribed()

    def _check_subscribed(self) -> None:
        if not self.is_subscribed and self.subscriptions.is_subscribed:
            self.is_subscribed = True
            self._listener.on_subscribed(self)

    async def _watch_liveness(self, connection: ClientConnection, sender: Sender, start_task: StartTask) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            now_ns = self._clock.monotonic_ns()
            self._flush_counters()
            self._check_reply_timeouts(now_ns)
            self._check_first_data(now_ns, sender, start_task)
            sender.wake()
            if now_ns - self._data_at_ns >= self._no_data_timeout_ms * NS_PER_MS:
                self.stop(
                    Disconnect(DisconnectReason.NO_DATA, f"connected, but no data for {self._no_data_timeout_ms} ms")
                )
            if self._needs_ping(now_ns):
                start_task(self._ping(connection, sender))

    def _check_reply_timeouts(self, now_ns: int) -> None:
        rejections = self.subscriptions.check_timeouts(now_ns)
        if rejections and not self.subscriptions.has_subscribed:
            self.stop(
                Disconnect(
                    DisconnectReason.SUBSCRIBE_TIMEOUT, f"no topic was acknowledged within {self._reply_timeout_ms} ms"
                )
            )
        else:
            self._reject_topics(rejections)

    def _check_first_data(self, now_ns: int, sender: Sender, start_task: StartTask) -> None:
        for topic, was_repeated in self.subscriptions.overdue_first_data(now_ns):
            if was_repeated:
                self._listener.on_no_data(self, topic)
            else:
                start_task(sender.resubscribe(topic.name))

    def _needs_ping(self, now_ns: int) -> bool:
        """Return whether to send a ping; stop the connection if the last ping was not answered in time."""
        if self._pinged_at_ns <= self._frame_at_ns:
            return now_ns - self._frame_at_ns >= self._ping_after_idle_ms * NS_PER_MS
        if now_ns - self._pinged_at_ns >= self._reply_timeout_ms * NS_PER_MS:
            waited_ms = (now_ns - self._frame_at_ns) // NS_PER_MS
            self.stop(Disconnect(DisconnectReason.NO_PONG, f"no frame for {waited_ms} ms, and no reply to a ping"))
        return False

    async def _ping(self, connection: ClientConnection, sender: Sender) -> None:
        self._pinged_at_ns = self._clock.monotonic_ns()
        text = self._adapter.ping_message()
        if text is not None:
            await sender.send_now([text])
            return
        try:
            await (await connection.ping())
        except ConnectionClosed as error:
            self._on_closed(disconnect_from_close(error))
        else:
            self._frame_at_ns = self._clock.monotonic_ns()

    def _on_closed(self, disconnect: Disconnect) -> None:
        if disconnect.reason is DisconnectReason.TOO_LARGE and not self._disconnected.done():
            self._metrics.decode_issue(IssueKind.TOO_LARGE)
            issue = DecodeIssue(IssueKind.TOO_LARGE, disconnect.detail)
            self._listener.on_frame(self, DecodedFrame(self._adapter.venue, (issue,), self._clock.now_ns(), 0, 0))
        self.stop(disconnect)

    def _flush_counters(self) -> None:
        self._metrics.frames.inc(self._frames)
        self._metrics.bytes.inc(self._bytes)
        self._frames = self._bytes = 0


async def open_connection(
    url: str, config: VenueConfig, adapter: VenueAdapter, now_ns: int
) -> ClientConnection | Disconnect:
    """Connect within the timeout. `now_ns` is the wall clock, for a Retry-After that states a date."""
    try:
        return await _connect(url, config)
    except InvalidStatus as error:
        status, headers = error.response.status_code, error.response.headers
        retry_after_ms = parse_retry_after_ms(status, headers.get("Retry-After", ""), now_ns)
        is_permanent = retry_after_ms is None and adapter.is_permanent_status(status)
        reason = f"the venue answered the upgrade with HTTP {status}"
        return Disconnect(DisconnectReason.UPGRADE_REJECTED, reason, is_permanent, retry_after_ms or 0)
    except InvalidURI as error:
        return Disconnect(DisconnectReason.CANNOT_CONNECT, f"stream_url: {error}", is_permanent=True)
    except TimeoutError:
        return Disconnect(
            DisconnectReason.CANNOT_CONNECT, f"cannot connect to {url} within {config.connect_timeout_ms} ms"
        )
    except (WebSocketException, OSError) as error:
        return Disconnect(
            DisconnectReason.CANNOT_CONNECT, f"cannot connect to {url}: {type(error).__name__}: {error}"[:REASON_MAX]
        )


async def close_connection(connection: ClientConnection, disconnect: Disconnect | None) -> None:
    """Close the connection; abort it if the venue does not respond anyway."""
    if disconnect is not None and disconnect.reason in {DisconnectReason.NO_PONG, DisconnectReason.NO_DATA}:
        connection.transport.abort()
    else:
        await connection.close()


class _NoRedirectConnect(connect):
    """Connects to the configured host or fails: credentials must not follow a redirect."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _connect(url: str, config: VenueConfig) -> ClientConnection:
    return await _NoRedirectConnect(
        url,
        compression=None,  # decompression costs more than the bytes it saves
        proxy=None,
        user_agent_header="xtrader",
        open_timeout=config.connect_timeout_ms / 1_000,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=None,  # liveness is checked by the venue's own rules
        max_size=config.frame_bytes_max,
        max_queue=QUEUED_FRAMES_MAX,
        ssl=_ssl_context() if url.startswith("wss:") else None,
    )


@cache
def _ssl_context() -> SSLContext:
    """Load the certificates once: this takes tens of milliseconds and blocks the event loop."""
    return create_default_context()
