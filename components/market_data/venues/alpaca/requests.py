"""Requests to Alpaca's crypto stream: limits, topics, login, and the matching of replies to pending requests."""

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
    topics_per_connection=100_000,  # an account has one connection, whatever it subscribes
    sends_per_second=10,
    connects_per_second=1,
    ping_after_idle_ms=10_000,
    reply_timeout_ms=10_000,
    requests_per_second=200 / 60,
    requests_burst=10,
)
REQUEST_ERROR_CODES: Final = frozenset({400, 401, 405, 410})
"""Error codes that reply to a subscription; all others concern the connection."""
ALREADY_AUTHENTICATED_CODE: Final = 403
"""A repeated confirmation of the login is harmless."""


class PendingRequest(Struct, frozen=True, gc=False):
    """A request without a reply yet."""

    names: tuple[str, ...]
    request_id: int
    is_unsubscribe: bool
    """Whether the request unsubscribes its topics."""


def login_message(credentials: ApiCredentials) -> str:
    """Encode the authentication message."""
    key, secret = credentials.reveal()
    return _encoder.encode(Authenticate(key, secret)).decode()


def topics(settings: CryptoSettings, symbols: Sequence[Symbol], registry: InstrumentRegistry) -> tuple[Topic, ...]:
    """Return the topics of these symbols; a topic is named by channel and pair: orderbooks:BTC/USD."""
    wanted = {Channel.DEPTH: True, Channel.QUOTES: settings.quotes, Channel.TRADES: settings.trades}
    return tuple(
        Topic(channel, symbol, topic_name(CHANNEL_NAMES[channel], registry.require(symbol).venue_symbol))
        for symbol in symbols
        for channel, is_wanted in wanted.items()
        if is_wanted
    )


def topic_name(channel: str, pair: str) -> str:
    """Return the name of a topic, channel and pair; the venue's own messages name the two separately."""
    return f"{channel}:{pair}"


class PendingRequests:
    """Requests without a reply yet. The venue sends no request ids but replies in the order of the requests."""

    def __init__(self) -> None:
        self._waiting: deque[PendingRequest] = deque()

    def clear(self) -> None:
        """Drop all pending requests; those of a closed connection never get a reply."""
        self._waiting.clear()

    def encode(self, request: PendingRequest) -> str:
        """Encode a request and add it to the pending ones."""
        self._waiting.append(request)
        wanted: dict[str, list[str]] = {}
        for one in request.names:
            channel, _, pair = one.partition(":")
            wanted.setdefault(channel, []).append(pair)
        return _encoder.encode({"action": "unsubscribe" if request.is_unsubscribe else "subscribe", **wanted}).decode()

    def on_subscription(self, names: Iterable[str]) -> Sequence[ControlMessage]:
        """Match the complete set of subscriptions, the reply to every request, to the oldest pending request."""
        present = tuple(names)
        if not self._waiting:
            return (SubscribeAck(present),)
        request = self._waiting.popleft()
        if request.is_unsubscribe:
            return (UnsubscribeAck(request.names, request.request_id),)
        return _compare_with_subscription(request, set(present))

    def on_error(self, reason: str, *, is_permanent: bool) -> SubscribeRejected:
        """Return the rejection of the oldest pending request."""
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
    """Return whether an HTTP status means that a retry cannot succeed."""
    return isinstance(error_from_status(status), VenueRejected)
