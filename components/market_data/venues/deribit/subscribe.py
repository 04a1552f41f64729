"""What is said to Deribit: channels, requests, logins; and which request an answer belongs to."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.core.instruments import Registry
from components.market_data.venues.deribit.settings import RAW, DeribitSettings
from components.market_data.venues.dialect import Channel, LinePlan, Topic

LOGIN_ID: Final = 9_000_000_001
RENEWAL_ID: Final = 9_000_000_002
HEARTBEAT_ID: Final = 9_000_000_003
TEST_ID: Final = 9_000_000_004
"""Our own requests; whoever subscribes counts from small numbers."""
REQUESTS_MAX: Final = 10_000
"""A request whose connection died is never answered; the oldest of so many is forgotten."""

_encoder: Final = msgspec.json.Encoder()


class Request(Struct, frozen=True, gc=False):
    """What a request asked for, until it is answered."""

    names: tuple[str, ...]
    ends: bool
    """It ends its topics."""


def write(method: str, request_id: int, **params: object) -> str:
    """Write one call."""
    call = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return _encoder.encode(call).decode()


def probe() -> str:
    """Write the call that shows both sides to be alive."""
    return write("public/test", TEST_ID)


def plan(settings: DeribitSettings, url: str, symbols: Sequence[Symbol], known: Registry, most: int) -> list[LinePlan]:
    """Spread the topics over connections of at most `most`; those of one instrument stay together."""
    each = [topics_of(settings, symbol, known.require(symbol).native) for symbol in symbols]
    per_line = max(1, most // (1 + settings.quotes + settings.trades))
    lines = [each[start : start + per_line] for start in range(0, len(each), per_line)]
    return [
        LinePlan(f"line-{number}", url, tuple(topic for topics in line for topic in topics))
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


class Requests:
    """The requests that wait for their answer."""

    def __init__(self, settings: DeribitSettings) -> None:
        # What is pushed raw is only given to whoever asks as somebody.
        self._door = "private" if settings.interval == RAW else "public"
        self._waiting: dict[int, list[Request]] = {}

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write a subscription."""
        return self._ask(Request(tuple(names), ends=False), request_id, "subscribe")

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return self._ask(Request(tuple(names), ends=True), request_id, "unsubscribe")

    def answered(self, request_id: int, names: Sequence[str] = ()) -> Request | None:
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

    def _ask(self, request: Request, request_id: int, verb: str) -> str:
        if len(self._waiting) >= REQUESTS_MAX:
            del self._waiting[next(iter(self._waiting))]
        waiting = self._waiting.setdefault(request_id, [])
        # Asked again under the same number: the first was asked on a connection that is gone.
        self._waiting[request_id] = [*(one for one in waiting if one.names != request.names), request]
        return write(f"{self._door}/{verb}", request_id, channels=list(request.names))
