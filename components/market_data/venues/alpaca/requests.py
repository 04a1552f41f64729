"""What is said to Alpaca's crypto stream, and which of its answers belongs to what.

What Alpaca allows on its crypto stream.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from components.contracts.errors import VenueRejected
from components.contracts.values import Symbol
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import (
    ApiCredentials,
    Channel,
    ControlMessage,
    Limits,
    SubscribeAck,
    SubscribeRejected,
    Topic,
    UnsubscribeAck,
)
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.alpaca.messages import Authenticate, error_from_status

CHANNEL_NAMES: Final = {Channel.DEPTH: "orderbooks", Channel.QUOTES: "quotes", Channel.TRADES: "trades"}
_encoder: Final = msgspec.json.Encoder()
LIMITS: Final = Limits(
    topics_per_request=300,
    topics_per_connection=100_000,  # an account has one connection, whatever is heard on it
    sends_per_second=10,
    connects_per_second=1,
    ping_after_idle_ms=10_000,
    reply_timeout_ms=10_000,
    requests_per_second=200 / 60,
    requests_burst=10,
)
REQUEST_ERROR_CODES: Final = frozenset({400, 401, 405, 410})
"""Errors that answer a subscription; all others are about the connection."""
ALREADY_AUTHENTICATED_CODE: Final = 403
"""Being told twice that we are in is no trouble."""


class PendingRequest(Struct, frozen=True, gc=False):
    """A request that waits for its answer."""

    names: tuple[str, ...]
    request_id: int
    is_unsubscribe: bool
    """It ends its topics."""


def login_message(credentials: ApiCredentials) -> str:
    """Say who we are."""
    key, secret = credentials.reveal()
    return _encoder.encode(Authenticate(key, secret)).decode()


def topics(settings: CryptoSettings, symbols: Sequence[Symbol], registry: InstrumentRegistry) -> tuple[Topic, ...]:
    """Name all that is wanted of these symbols; a topic is its channel and its pair, orderbooks:BTC/USD."""
    wanted = {Channel.DEPTH: True, Channel.QUOTES: settings.quotes, Channel.TRADES: settings.trades}
    return tuple(
        Topic(channel, symbol, topic_name(CHANNEL_NAMES[channel], registry.require(symbol).venue_symbol))
        for symbol in symbols
        for channel, is_wanted in wanted.items()
        if is_wanted
    )


def topic_name(channel: str, pair: str) -> str:
    """Name a topic, which the venue itself names in two words."""
    return f"{channel}:{pair}"


class PendingRequests:
    """The requests that wait; the venue numbers nothing, but answers one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[PendingRequest] = deque()

    def clear(self) -> None:
        """Forget all: what was asked on another connection is never answered."""
        self._waiting.clear()

    def encode(self, request: PendingRequest) -> str:
        """Write a request."""
        self._waiting.append(request)
        wanted: dict[str, list[str]] = {}
        for one in request.names:
            channel, _, pair = one.partition(":")
            wanted.setdefault(channel, []).append(pair)
        return _encoder.encode({"action": "unsubscribe" if request.is_unsubscribe else "subscribe", **wanted}).decode()

    def on_subscription(self, names: Iterable[str]) -> Sequence[ControlMessage]:
        """Hear the whole set that is subscribed now, which is how every request is answered."""
        present = tuple(names)
        if not self._waiting:
            return (SubscribeAck(present),)
        request = self._waiting.popleft()
        if request.is_unsubscribe:
            return (UnsubscribeAck(request.names, request.request_id),)
        return _compare_with_subscription(request, set(present))

    def on_error(self, reason: str, *, is_permanent: bool) -> SubscribeRejected:
        """Hear that the oldest request is refused."""
        if not self._waiting:
            return SubscribeRejected((), reason, is_permanent)
        request = self._waiting.popleft()
        return SubscribeRejected(request.names, reason, is_permanent, request.request_id)


def _compare_with_subscription(request: PendingRequest, present: set[str]) -> Sequence[ControlMessage]:
    confirmed = tuple(one for one in request.names if one in present)
    missing = tuple(one for one in request.names if one not in present)
    controls: list[ControlMessage] = []
    if confirmed:
        controls.append(SubscribeAck(confirmed, request.request_id))
    if missing:
        reason = f"missing in the subscription: {', '.join(missing)}"
        controls.append(SubscribeRejected(missing, reason, is_permanent=True, request_id=request.request_id))
    return controls


def is_permanent_status(status: int) -> bool:
    """Say whether an HTTP status means that trying again cannot help."""
    return isinstance(error_from_status(status), VenueRejected)
