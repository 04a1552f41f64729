"""What is said to Deribit: channels, requests, logins; and which request an answer belongs to."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.deribit.settings import RAW, DeribitSettings
from components.market_data.venues.dialect import Channel, ConnectionPlan, Topic

LOGIN_ID: Final = 9_000_000_001
REFRESH_ID: Final = 9_000_000_002
HEARTBEAT_ID: Final = 9_000_000_003
TEST_ID: Final = 9_000_000_004
"""Our own requests; whoever subscribes counts from small numbers."""
PENDING_REQUESTS_MAX: Final = 10_000
"""A request whose connection died is never answered; the oldest of so many is forgotten."""

_encoder: Final = msgspec.json.Encoder()


class PendingRequest(Struct, frozen=True, gc=False):
    """What a request asked for, until it is answered."""

    names: tuple[str, ...]
    is_unsubscribe: bool
    """It ends its topics."""


def encode_call(method: str, request_id: int, **params: object) -> str:
    """Write one call."""
    call = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return _encoder.encode(call).decode()


def test_message() -> str:
    """Write the call that shows both sides to be alive."""
    return encode_call("public/test", TEST_ID)


def plan_connections(
    settings: DeribitSettings, url: str, symbols: Sequence[Symbol], registry: InstrumentRegistry, topics_max: int
) -> list[ConnectionPlan]:
    """Spread the topics over connections of at most `most`; those of one instrument stay together."""
    each = [topics_of(settings, symbol, registry.require(symbol).venue_symbol) for symbol in symbols]
    per_line = max(1, topics_max // (1 + settings.quotes + settings.trades))
    lines = [each[start : start + per_line] for start in range(0, len(each), per_line)]
    return [
        ConnectionPlan(f"line-{number}", url, tuple(topic for topics in line for topic in topics))
        for number, line in enumerate(lines, 1)
    ]


def topics_of(settings: DeribitSettings, symbol: Symbol, native: str) -> list[Topic]:
    """Name the channels of one instrument."""
    topics = [Topic(Channel.DEPTH, symbol, f"book.{native}.{settings.interval}")]
    if settings.quotes:
        topics.append(Topic(Channel.QUOTES, symbol, f"quote.{native}"))
    if settings.trades:
        topics.append(Topic(Channel.TRADES, symbol, f"trades.{native}.{settings.interval}"))
    return topics


class PendingRequests:
    """The requests that wait for their answer."""

    def __init__(self, settings: DeribitSettings) -> None:
        # What is pushed raw is only given to whoever asks as somebody.
        self._scope = "private" if settings.interval == RAW else "public"
        self._waiting: dict[int, list[PendingRequest]] = {}

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write a subscription."""
        return self._encode(PendingRequest(tuple(names), is_unsubscribe=False), request_id, "subscribe")

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return self._encode(PendingRequest(tuple(names), is_unsubscribe=True), request_id, "unsubscribe")

    def pop(self, request_id: int, names: Sequence[str] = ()) -> PendingRequest | None:
        """Find the request that this answers: where two connections count alike, the one about these names."""
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
        # Asked again under the same number: the first was asked on a connection that is gone.
        self._waiting[request_id] = [*(one for one in waiting if one.names != request.names), request]
        return encode_call(f"{self._scope}/{action}", request_id, channels=list(request.names))
