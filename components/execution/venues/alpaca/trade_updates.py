"""Alpaca's trade_updates stream: connects and reconnects, delivers every order event, and reports each disconnect."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from components.contracts.errors import VenueUnavailable
from components.execution.config import AlpacaConfig
from components.execution.core.venue_messages import OrderStreamDown, OrderStreamUp, UnreadableEvent, VenueOrderEvent
from components.execution.venues.alpaca.http_client import MS_PER_S, ApiKeys
from components.execution.venues.alpaca.schema import (
    AuthorizationDocument,
    ListeningDocument,
    StreamDocument,
    TradeUpdateDocument,
    decode_document,
)
from components.execution.venues.alpaca.translation import parse_event
from components.runtime.retry import Backoff

TRADE_UPDATES: Final = "trade_updates"
CLOSE_S_MAX: Final = 0.25
"""A clean close frees the account's only connection at once; an unresponsive venue must not delay the shutdown."""
CONNECTION_LIMIT_PAUSE_MS_MIN: Final = 1_000
"""Minimum pause after HTTP 429: the account's only connection is still open, or we connected too often."""
TOO_MANY_REQUESTS: Final = 429
LISTEN: Final = msgspec.json.encode({"action": "listen", "data": {"streams": [TRADE_UPDATES]}}).decode()


class AlpacaTradeUpdates:
    """Connects, subscribes, and reconnects; between OrderStreamUp and OrderStreamDown every event is delivered."""

    def __init__(self, config: AlpacaConfig, keys: ApiKeys, jitter: Callable[[], float]) -> None:
        """Create it unconnected; `jitter` returns numbers in [0, 1)."""
        self._config, self._keys, self._jitter = config, keys, jitter
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self._failures = 0

    async def run(self, deliver: Callable[[object], None]) -> None:
        """Receive events until cancelled; deliver OrderStreamDown at each disconnect, then reconnect."""
        while True:
            pause_ms_min = 0
            try:
                await self._run_connection(deliver)
            except InvalidStatus as error:
                status = error.response.status_code
                pause_ms_min = CONNECTION_LIMIT_PAUSE_MS_MIN if status == TOO_MANY_REQUESTS else 0
                deliver(OrderStreamDown(f"the venue rejected the connection with HTTP {status}"))
            except (VenueUnavailable, WebSocketException, OSError, TimeoutError) as error:
                deliver(OrderStreamDown(f"{type(error).__name__}: {error}"))
            self._failures += 1
            delay_ms = max(self._backoff.delay_ms(self._failures, self._jitter()), pause_ms_min)
            await asyncio.sleep(delay_ms / MS_PER_S)

    async def _run_connection(self, deliver: Callable[[object], None]) -> None:
        async with self._connect() as connection:
            try:
                async with asyncio.timeout(self._config.reply_timeout_ms / MS_PER_S):
                    await self._authenticate(connection)
                    await self._await_subscription(connection, deliver)
                deliver(OrderStreamUp())
                self._failures = 0
                await self._receive(connection, deliver)
            finally:
                # Without this a cancelled task would close the connection with code 1011 (internal error).
                await connection.close()

    async def _authenticate(self, connection: ClientConnection) -> None:
        key, secret = self._keys.key.reveal().decode(), self._keys.secret.reveal().decode()
        message = {"action": "authenticate", "data": {"key_id": key, "secret_key": secret}}
        await connection.send(msgspec.json.encode(message).decode())
        reply = decode_document(await connection.recv(decode=False), StreamDocument)
        authorization = decode_document(reply.data, AuthorizationDocument) if reply is not None else None
        if authorization is None or authorization.status != "authorized":
            raise VenueUnavailable(
                "the venue did not reply to the authentication"
                if authorization is None
                else f"authentication failed: {authorization.status}"
            )
        await connection.send(LISTEN)

    async def _await_subscription(self, connection: ClientConnection, deliver: Callable[[object], None]) -> None:
        """Wait until the venue confirms the subscription; an event may come before the confirmation."""
        while not _is_subscribed(frame := await connection.recv(decode=False)):
            deliver_frame(frame, deliver)

    async def _receive(self, connection: ClientConnection, deliver: Callable[[object], None]) -> None:
        """Deliver events; after a silence subscribe again, because a connected socket may deliver nothing."""
        is_probing = False
        while True:
            timeout_ms = self._config.reply_timeout_ms if is_probing else self._config.probe_after_idle_ms
            try:
                async with asyncio.timeout(timeout_ms / MS_PER_S):
                    frame = await connection.recv(decode=False)
            except TimeoutError:
                if is_probing:
                    raise VenueUnavailable("the stream is connected but does not reply") from None
                await connection.send(LISTEN)
                is_probing = True
                continue
            is_probing = False
            deliver_frame(frame, deliver)

    def _connect(self) -> connect:
        return _DirectConnect(
            self._config.stream_url,
            compression=None,
            proxy=None,
            user_agent_header="xtrader",
            open_timeout=self._config.connect_timeout_ms / MS_PER_S,
            close_timeout=CLOSE_S_MAX,
            ping_interval=self._config.ping_interval_ms / MS_PER_S,
            ping_timeout=self._config.pong_timeout_ms / MS_PER_S,
            max_size=self._config.frame_bytes_max,
        )


class _DirectConnect(connect):
    """Connects to the configured host only: the keys must not follow a redirect."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def deliver_frame(frame: bytes, deliver: Callable[[object], None]) -> None:
    """Deliver the event of a frame; a frame that cannot be decoded is delivered as UnreadableEvent."""
    document = decode_document(frame, StreamDocument)
    if document is not None and document.stream != TRADE_UPDATES:
        return
    deliver(UnreadableEvent("the frame is not a document") if document is None else _event_in(document))


def _event_in(document: StreamDocument) -> VenueOrderEvent | UnreadableEvent:
    update = decode_document(document.data, TradeUpdateDocument)
    if update is None:
        return UnreadableEvent("the event lacks a required field")
    try:
        return parse_event(update)
    except ValueError as error:
        return UnreadableEvent(str(error))


def _is_subscribed(frame: bytes) -> bool:
    document = decode_document(frame, StreamDocument)
    if document is None or document.stream != "listening":
        return False
    listening = decode_document(document.data, ListeningDocument)
    if listening is None or TRADE_UPDATES not in listening.streams:
        raise VenueUnavailable("the venue did not confirm the subscription to order events")
    return True
