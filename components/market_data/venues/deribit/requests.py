"""Requests to Deribit and the meaning of its replies: settings, limits, error codes, channels, login, heartbeats."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from components.contracts.values import Symbol
from components.market_data.core.events import DecodeIssue, IssueKind
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import (
    ApiCredentials,
    Authenticated,
    Channel,
    ConnectionPlan,
    ControlMessage,
    Decoded,
    Heartbeat,
    Limits,
    Reply,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    Topic,
    UnsubscribeAck,
)
from components.market_data.venues.deribit.messages import ErrorMessage, Message
from components.runtime.clock import NS_PER_S

RAW: Final = "raw"
INTERVALS: Final = (RAW, "100ms", "agg2")
HEARTBEAT_S_MIN: Final = 10
LIMITS: Final = Limits(
    topics_per_request=100,
    topics_per_connection=500,
    sends_per_second=3,  # a subscription costs 3,000 of 30,000 credits, refilled with 10,000 a second
    connects_per_second=1,
    ping_after_idle_ms=10_000,
    reply_timeout_ms=10_000,
    requests_per_second=20,  # 500 of 50,000 credits, refilled with 10,000 a second
    requests_burst=100,
)
RETRYABLE_CODES: Final = {
    10028: "too many requests",
    10040: "the venue asks for a retry",
    10041: "settlement in progress",
    10047: "the matching engine's queue is full",
    10066: "too many concurrent requests",
    11051: "maintenance",
    11094: "internal error of the venue",
    13028: "temporarily unavailable",
    13888: "the request timed out",
}
PERMANENT_CODES: Final = {
    10020: "no such instrument",
    11029: "invalid arguments",
    11050: "bad request",
    13004: "key and secret are rejected",
    13009: "not logged in, or not allowed",
    13021: "forbidden to this key",
    13778: "raw channels need a login",
    -32601: "no such method",
    -32602: "invalid parameters",
}
LOGIN_ID: Final = 9_000_000_001
REFRESH_ID: Final = 9_000_000_002
HEARTBEAT_ID: Final = 9_000_000_003
TEST_ID: Final = 9_000_000_004
"""Ids of the adapter's own requests; subscriptions count up from small numbers."""
PENDING_REQUESTS_MAX: Final = 10_000
"""Requests of a lost connection never get a reply; beyond this many the oldest is dropped."""
REFRESH_DIVISOR: Final = 3
"""A token is refreshed after its lifetime divided by this."""
REFRESH_WINDOW_HEARTBEATS: Final = 2
"""Refreshes are sent in reply to heartbeats; within this many intervals each connection receives its own."""
DETAIL_CHARACTERS_MAX: Final = 160
_encoder: Final = msgspec.json.Encoder()
_names_decoder: Final = msgspec.json.Decoder(list[str])


class DeribitSettings(Struct, frozen=True, kw_only=True):
    """Settings of the Deribit adapter."""

    interval: str = "100ms"
    """Interval of books and trades: raw (each change; needs credentials), 100ms, or agg2 (each second)."""
    currencies: tuple[str, ...] = ("any",)
    kinds: tuple[str, ...] = ("future", "option", "spot")
    quotes: bool = True
    trades: bool = True
    heartbeat_s: int = 30
    snapshot_depth: int = 10_000
    """Levels per side of a fetched snapshot."""


def checked_settings(settings: DeribitSettings, *, has_keys: bool) -> DeribitSettings:
    """Return the settings; raise ValueError where Deribit cannot serve them."""
    if settings.interval not in INTERVALS:
        raise ValueError(f"deribit: interval {settings.interval!r} is none of {', '.join(INTERVALS)}")
    if settings.interval == RAW and not has_keys:
        raise ValueError("deribit: interval 'raw' needs a key and a secret; without them the fastest is '100ms'")
    if settings.heartbeat_s < HEARTBEAT_S_MIN:
        raise ValueError(f"deribit: heartbeat_s {settings.heartbeat_s} is below {HEARTBEAT_S_MIN}, the venue's minimum")
    return settings


def describe_error(code: int, message: str) -> str:
    """Return an error code with the venue's message and its meaning."""
    meaning = PERMANENT_CODES.get(code) or RETRYABLE_CODES.get(code) or "unknown code"
    return f"{code} {message}: {meaning}"


def is_permanent_code(code: int) -> bool:
    """Return whether a retry cannot succeed; an undocumented code may be temporary."""
    return code in PERMANENT_CODES


def is_permanent_status(status: int) -> bool:
    """Return whether an HTTP status means that a retry cannot succeed; 429 is the 33rd connection of one address."""
    return 300 <= status < 500 and status not in {408, 418, 429}


class PendingRequest(Struct, frozen=True, gc=False):
    """The topics of a request without a reply yet."""

    names: tuple[str, ...]
    is_unsubscribe: bool
    """Whether the request unsubscribes its topics."""


def encode_call(method: str, request_id: int, **params: object) -> str:
    """Encode one JSON-RPC call."""
    call = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return _encoder.encode(call).decode()


def encode_test_call() -> str:
    """Encode the call of public/test, which shows each side that the other is alive."""
    return encode_call("public/test", TEST_ID)


def plan_connections(
    settings: DeribitSettings, url: str, symbols: Sequence[Symbol], registry: InstrumentRegistry, topics_max: int
) -> list[ConnectionPlan]:
    """Distribute the topics over connections of at most `topics_max`; topics of one instrument share a connection."""
    each = [topics_of(settings, symbol, registry.require(symbol).venue_symbol) for symbol in symbols]
    per_connection = max(1, topics_max // (1 + settings.quotes + settings.trades))
    groups = [each[start : start + per_connection] for start in range(0, len(each), per_connection)]
    return [
        ConnectionPlan(f"connection-{number}", url, tuple(topic for topics in group for topic in topics))
        for number, group in enumerate(groups, 1)
    ]


def topics_of(settings: DeribitSettings, symbol: Symbol, venue_symbol: str) -> list[Topic]:
    """Return the topics of one instrument."""
    topics = [Topic(Channel.DEPTH, symbol, f"book.{venue_symbol}.{settings.interval}")]
    if settings.quotes:
        topics.append(Topic(Channel.QUOTES, symbol, f"quote.{venue_symbol}"))
    if settings.trades:
        topics.append(Topic(Channel.TRADES, symbol, f"trades.{venue_symbol}.{settings.interval}"))
    return topics


class PendingRequests:
    """Subscribe and unsubscribe requests without a reply yet, by request id."""

    def __init__(self, settings: DeribitSettings) -> None:
        # Raw channels are available to authenticated connections only.
        self._scope = "private" if settings.interval == RAW else "public"
        self._waiting: dict[int, list[PendingRequest]] = {}

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Encode a subscribe request and add it to the pending ones."""
        return self._encode(PendingRequest(tuple(names), is_unsubscribe=False), request_id, "subscribe")

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Encode an unsubscribe request and add it to the pending ones."""
        return self._encode(PendingRequest(tuple(names), is_unsubscribe=True), request_id, "unsubscribe")

    def pop(self, request_id: int, names: Sequence[str] = ()) -> PendingRequest | None:
        """Remove and return the request of a reply; where two connections use the same id, the one with these names."""
        waiting = self._waiting.get(request_id)
        if not waiting:
            return None
        fitting = (one for one in waiting if not set(one.names).isdisjoint(names))
        found = next(fitting, waiting[0])
        waiting.remove(found)
        if not waiting:
            del self._waiting[request_id]
        return found

    def _encode(self, request: PendingRequest, request_id: int, action: str) -> str:
        if len(self._waiting) >= PENDING_REQUESTS_MAX:
            del self._waiting[next(iter(self._waiting))]
        waiting = self._waiting.setdefault(request_id, [])
        # The same id with the same topics: the earlier request was sent on a connection that is gone.
        self._waiting[request_id] = [*(one for one in waiting if one.names != request.names), request]
        return encode_call(f"{self._scope}/{action}", request_id, channels=list(request.names))


class TokenGrant(Struct, frozen=True, gc=False):
    """The result of a login."""

    refresh_token: str
    expires_in: int
    """Seconds."""


_token_decoder: Final = msgspec.json.Decoder(TokenGrant)


class Authenticator:
    """Encodes logins and token refreshes, and decides when a refresh is due."""

    def __init__(self, credentials: ApiCredentials, heartbeat_s: int) -> None:
        self._credentials = credentials
        self._window_ns = heartbeat_s * REFRESH_WINDOW_HEARTBEATS * NS_PER_S
        self._token = ""
        self._refresh_interval_ns = 0
        self._due_ns = 0

    def login_message(self, request_id: int = LOGIN_ID) -> str:
        """Encode a login by key and secret."""
        key, secret = self._credentials.reveal()
        return encode_call(
            "public/auth", request_id, grant_type="client_credentials", client_id=key, client_secret=secret
        )

    def on_grant(self, grant: TokenGrant, at_ns: int) -> None:
        """Store what the next refresh needs."""
        self._token, self._refresh_interval_ns = grant.refresh_token, grant.expires_in * NS_PER_S // REFRESH_DIVISOR
        if not self._due_ns:
            self._due_ns = at_ns + self._refresh_interval_ns

    def refresh_message(self, at_ns: int) -> str | None:
        """Return the refresh request if one is due, else None.

        Called at each heartbeat of each connection: every connection has its own login, but all share one due time.
        """
        if not self._token or at_ns < self._due_ns:
            return None
        if at_ns >= self._due_ns + self._window_ns:
            self._due_ns = at_ns + self._refresh_interval_ns
            return None
        return encode_call("public/auth", REFRESH_ID, grant_type="refresh_token", refresh_token=self._token)


class ReplyDecoder:
    """Decodes replies, errors and heartbeats, and matches them to pending requests."""

    def __init__(self, requests: PendingRequests, login: Authenticator | None) -> None:
        self._pending = requests
        self._login = login

    def decode(self, message: Message, at_ns: int) -> Decoded:
        """Decode one message without market data."""
        if message.method == "heartbeat":
            return Decoded(control=self._heartbeat(message.params.type, at_ns))
        if message.error is not None:
            return self._on_error(message.id, message.error)
        if message.id is None or not message.result:
            return Decoded(
                (
                    DecodeIssue(
                        IssueKind.UNKNOWN, f"neither notification nor reply: {message.method[:DETAIL_CHARACTERS_MAX]}"
                    ),
                )
            )
        return Decoded(control=self._on_result(message.id, message.result, at_ns))

    def _heartbeat(self, kind: str, at_ns: int) -> Sequence[ControlMessage]:
        controls: list[ControlMessage] = [Reply(encode_test_call()) if kind == "test_request" else Heartbeat()]
        refresh = None if self._login is None else self._login.refresh_message(at_ns)
        return controls if refresh is None else [*controls, Reply(refresh)]

    def _on_result(self, request_id: int, result: Raw, at_ns: int) -> Sequence[ControlMessage]:
        if request_id in {LOGIN_ID, REFRESH_ID}:
            if self._login is not None:
                self._login.on_grant(_token_decoder.decode(result), at_ns)
            return (Authenticated(),) if request_id == LOGIN_ID else (Heartbeat(),)
        if request_id in {HEARTBEAT_ID, TEST_ID}:
            return (Heartbeat(),)
        names = tuple(_names_decoder.decode(result))
        request = self._pending.pop(request_id, names)
        if request is None:
            return (SubscribeAck(names, request_id),)
        if request.is_unsubscribe:
            return (UnsubscribeAck(request.names, request_id),)
        return _subscribed(request, names, request_id)

    def _on_error(self, request_id: int | None, failure: ErrorMessage) -> Decoded:
        reason, is_permanent = describe_error(failure.code, failure.message), is_permanent_code(failure.code)
        if request_id == LOGIN_ID:
            return Decoded(control=(SubscribeRejected((), f"login rejected: {reason}", is_permanent),))
        if request_id == REFRESH_ID:
            # A new connection logs in by key and secret.
            return Decoded(control=(ShutdownNotice(f"login not refreshed: {reason}"),))
        request = None if request_id is None else self._pending.pop(request_id)
        if request is None:
            return Decoded(
                (DecodeIssue(IssueKind.UNKNOWN, f"error without a pending request: {reason}"[:DETAIL_CHARACTERS_MAX]),)
            )
        return Decoded(control=_rejected(request, failure, reason, request_id))


def _subscribed(request: PendingRequest, names: Sequence[str], request_id: int) -> Sequence[ControlMessage]:
    confirmed, missing = _split(request.names, set(names))
    controls: list[ControlMessage] = []
    if confirmed:
        controls.append(SubscribeAck(confirmed, request_id))
    if missing:
        reason = f"missing in the subscription: {', '.join(missing)}"
        controls.append(SubscribeRejected(missing, reason, is_permanent=True, request_id=request_id))
    return controls


def _rejected(
    request: PendingRequest, failure: ErrorMessage, reason: str, request_id: int | None
) -> Sequence[ControlMessage]:
    # One bad channel rejects the whole request. Where the error names it, the other channels may be requested again.
    details = bytes(failure.data).decode("utf-8", "replace") + failure.message
    bad, others = _split(request.names, {name for name in request.names if name in details})
    is_permanent = is_permanent_code(failure.code)
    if not bad or not others:
        return (SubscribeRejected(request.names, reason, is_permanent, request_id),)
    return (
        SubscribeRejected(bad, reason, is_permanent, request_id),
        SubscribeRejected(
            others, f"requested together with {', '.join(bad)}", is_permanent=False, request_id=request_id
        ),
    )


def _split(names: Sequence[str], selected: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(name for name in names if name in selected), tuple(name for name in names if name not in selected)
