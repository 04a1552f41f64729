"""Outbound messages of one connection: login, rate-limited requests, and immediate replies."""

import asyncio
from collections.abc import Callable, Sequence

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from components.market_data.venues.adapter import UnsubscribeAck
from components.market_data.venues.connection.context import ConnectionContext, Disconnect, disconnect_from_close
from components.market_data.venues.connection.subscriptions import Subscriptions
from components.market_data.venues.metrics import DisconnectReason
from components.market_data.venues.rate_limit import send_rate_limiter


class Sender:
    """Sends on one connection."""

    def __init__(
        self,
        connection: ClientConnection,
        context: ConnectionContext,
        subscriptions: Subscriptions,
        disconnect: Callable[[Disconnect], None],
        reply_timeout_ms: int,
    ) -> None:
        """Send on `connection`; a failure that makes it unusable is passed to `disconnect`."""
        self._connection, self._context, self._subscriptions = connection, context, subscriptions
        self._disconnect, self._reply_timeout_ms = disconnect, reply_timeout_ms
        self._adapter = context.adapter
        self._rate_limiter = send_rate_limiter(context.clock, self._adapter.limits.sends_per_second)
        self._authenticated, self._wake_event = asyncio.Event(), asyncio.Event()
        self._unsubscribing: dict[str, asyncio.Future[None]] = {}

    @property
    def is_authenticated(self) -> bool:
        """Return whether the venue accepted the login, if it requires one."""
        return not self._adapter.requires_login or self._authenticated.is_set()

    def on_authenticated(self) -> None:
        """Record that the login was accepted."""
        self._authenticated.set()

    def wake(self) -> None:
        """Check for topics to subscribe or unsubscribe."""
        self._wake_event.set()

    def on_unsubscribed(self, ack: UnsubscribeAck) -> None:
        """Record that topics are unsubscribed."""
        for name in self._subscriptions.on_unsubscribed(ack):
            acknowledged = self._unsubscribing.get(name)
            if acknowledged is not None and not acknowledged.done():
                acknowledged.set_result(None)

    async def run(self) -> None:
        """Log in, then send subscribe and unsubscribe requests forever."""
        for text in self._adapter.login_messages():
            await self._rate_limiter.acquire()
            await self.send(text)
        if not await self._wait_for_login():
            self._disconnect(
                Disconnect(DisconnectReason.LOGIN_FAILED, f"no login reply within {self._reply_timeout_ms} ms")
            )
            return
        size = self._adapter.limits.topics_per_request
        while True:
            self._wake_event.clear()
            while names := self._subscriptions.next_to_unsubscribe(size):
                await self._send_request(
                    self._adapter.unsubscribe_message, self._subscriptions.on_unsubscribe_sent, names
                )
            while names := self._subscriptions.next_to_subscribe(size):
                await self._send_request(self._adapter.subscribe_message, self._on_subscribe_sent, names)
            await self._wake_event.wait()

    async def send_now(self, texts: Sequence[str]) -> None:
        """Send replies to the venue's heartbeat requests without waiting for the rate limit."""
        for text in texts:
            self._rate_limiter.consume()
            await self.send(text)

    async def send(self, text: str) -> None:
        """Send a message; disconnect if the venue does not accept it in time."""
        try:
            async with asyncio.timeout(self._reply_timeout_ms / 1_000):
                await self._connection.send(text)
        except ConnectionClosed as error:
            self._disconnect(disconnect_from_close(error))
        except TimeoutError:
            self._disconnect(
                Disconnect(DisconnectReason.NO_PONG, f"the venue accepted no message for {self._reply_timeout_ms} ms")
            )

    async def resubscribe(self, name: str) -> None:
        """Unsubscribe a topic, wait for the acknowledgement, and subscribe it again."""
        self._context.metrics.resubscribes.inc()
        acknowledged = self._unsubscribing.setdefault(name, asyncio.get_running_loop().create_future())
        self._subscriptions.unsubscribe(name)
        self._wake_event.set()
        # Without an acknowledgement the topic is subscribed again all the same; nothing else would bring it back.
        await asyncio.wait([acknowledged], timeout=self._reply_timeout_ms / 1_000)
        self._unsubscribing.pop(name, None)
        self._subscriptions.resubscribe(name)
        self._wake_event.set()

    async def _wait_for_login(self) -> bool:
        if not self._adapter.requires_login:
            return True
        try:
            async with asyncio.timeout(self._reply_timeout_ms / 1_000):
                await self._authenticated.wait()
        except TimeoutError:
            return False
        return True

    async def _send_request(
        self, build: Callable[[Sequence[str], int], str], record: Callable[[Sequence[str], int], None], names: list[str]
    ) -> None:
        await self._rate_limiter.acquire()
        request_id = next(self._context.request_ids)
        # Recorded first: the reply may arrive before send() returns.
        record(names, request_id)
        await self.send(build(names, request_id))

    def _on_subscribe_sent(self, names: Sequence[str], request_id: int) -> None:
        self._subscriptions.on_subscribe_sent(names, request_id, self._context.clock.monotonic_ns())
