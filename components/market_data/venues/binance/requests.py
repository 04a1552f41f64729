"""What is asked of Binance's streams, and on which of its routes: a stream on the wrong one is confirmed and silent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from components.contracts.errors import InvariantError
from components.market_data.core.instruments import Instrument
from components.market_data.venues.binance.settings import BinanceSettings
from components.market_data.venues.dialect import Channel, ConnectionPlan, Topic

Routes: TypeAlias = Mapping[Channel, str]
"""The path under which each channel flows."""

SPOT_ROUTES: Final[Routes] = {Channel.DEPTH: "", Channel.QUOTES: "", Channel.TRADES: ""}
FUTURES_ROUTES: Final[Routes] = {Channel.DEPTH: "/public", Channel.QUOTES: "/public", Channel.TRADES: "/market"}
STREAM_CHANNELS: Final = {"depth": Channel.DEPTH, "bookTicker": Channel.QUOTES, "aggTrade": Channel.TRADES}


class _Request(Struct, frozen=True):
    method: str
    params: Sequence[str]
    id: int


_encoder: Final = msgspec.json.Encoder()


def topics(instruments: Iterable[Instrument], settings: BinanceSettings, speed_ms_default: int) -> list[Topic]:
    """List what is listened to; a depth stream at the market's own pace does not name it."""
    pace = "" if settings.depth_speed_ms == speed_ms_default else f"@{settings.depth_speed_ms}ms"
    streams = {Channel.DEPTH: f"depth{pace}"}
    if settings.quotes:
        streams[Channel.QUOTES] = "bookTicker"
    if settings.trades:
        streams[Channel.TRADES] = "aggTrade"
    return [
        Topic(channel, one.symbol, f"{one.venue_symbol.lower()}@{stream}")
        for one in instruments
        for channel, stream in streams.items()
    ]


def plan_connections(
    stream_url: str, topics: Sequence[Topic], routes: Routes, topics_max: int
) -> tuple[ConnectionPlan, ...]:
    """Spread topics over connections, each of one route; all of a symbol's that share a route share a connection."""
    lines = []
    for route in dict.fromkeys(routes.values()):
        carried = [topic for topic in topics if routes[topic.channel] == route]
        channels = len({topic.channel for topic in carried}) or 1
        for number, part in enumerate(_batches(carried, topics_max // channels * channels), start=1):
            lines.append(ConnectionPlan(f"{route.strip('/') or 'spot'}-{number}", f"{stream_url}{route}/stream", part))
    return tuple(lines)


def encode_request(method: str, names: Sequence[str], routes: Routes, wire_id: int) -> str:
    """Write a request; one whose streams belong on different routes would lose some without a word."""
    ways = {routes[_channel_of(name)] for name in names}
    if len(ways) > 1:
        raise InvariantError(f"one request for the routes {sorted(ways)}: {', '.join(names)}")
    return _encoder.encode(_Request(method, names, wire_id)).decode()


def to_wire_id(request_id: int, *, is_unsubscribe: bool) -> int:
    """Give a request its number, so that its answer, which says nothing else, tells what was asked."""
    return request_id * 2 + is_unsubscribe


def from_wire_id(wire_id: int | str | None) -> tuple[int | None, bool]:
    """Read a request's number again, and whether it was to end something."""
    return (wire_id >> 1, wire_id % 2 == 1) if isinstance(wire_id, int) else (None, False)


def _channel_of(name: str) -> Channel:
    stream = name.partition("@")[2].partition("@")[0]
    if stream not in STREAM_CHANNELS:
        raise InvariantError(f"{name}: no stream that we listen to")
    return STREAM_CHANNELS[stream]


def _batches(topics: Sequence[Topic], size: int) -> Iterable[tuple[Topic, ...]]:
    return (tuple(topics[start : start + size]) for start in range(0, len(topics), size))
