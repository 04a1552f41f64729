"""Requests to Binance: settings, rate limits and weights, error codes, streams and their routes.

A stream that is requested on the wrong route is confirmed and never sends anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from components.contracts.errors import ConfigError, InvariantError
from components.market_data.core.instruments import Instrument
from components.market_data.venues.adapter import Channel, ConnectionPlan, Limits, Topic

SnapshotWeights: TypeAlias = Sequence[tuple[int, int]]
"""Pairs of a number of levels and the weight of a snapshot up to it."""
SPOT_SNAPSHOT_WEIGHTS: Final[SnapshotWeights] = ((100, 5), (500, 25), (1000, 50), (5000, 250))
FUTURES_SNAPSHOT_WEIGHTS: Final[SnapshotWeights] = ((50, 2), (100, 5), (500, 10), (1000, 20))
SPOT_METADATA_WEIGHT: Final = 20
FUTURES_METADATA_WEIGHT: Final = 1
# Pongs count as messages too, hence one less than the 5 and 10 per second that are allowed. The weight of one minute is
# the burst plus 60 seconds at the sustained rate: 5,800 of 6,000 on spot, 2,200 of the 2,400 that USD-M shares with
# COIN-M.
SPOT_LIMITS: Final = Limits(
    topics_per_request=100,
    topics_per_connection=1024,
    sends_per_second=4,
    connects_per_second=1,
    ping_after_idle_ms=10_000,
    reply_timeout_ms=10_000,
    requests_per_second=80,
    requests_burst=1000,
)
FUTURES_LIMITS: Final = Limits(
    topics_per_request=100,
    topics_per_connection=1024,
    sends_per_second=8,
    connects_per_second=1,
    ping_after_idle_ms=10_000,
    reply_timeout_ms=10_000,
    requests_per_second=30,
    requests_burst=400,
)
REQUEST_CODES: Final = frozenset({0, 1, 2, 3})
"""Codes of the websocket API itself: unknown property, wrong type, invalid request, invalid JSON."""
PERMANENT_CODES: Final = frozenset({-1002, -1014, -1020, -1022, -2014, -2015}) | REQUEST_CODES
"""Not authorized, not supported, bad key: the same request gets the same error again."""
PERMANENT_STATUSES: Final = frozenset({400, 401, 404, 405, 451})
"""A bad request, or a country that is not served. 403, 418, 429 and all 5xx are temporary."""
Routes: TypeAlias = Mapping[Channel, str]
"""The URL path of each channel."""
SPOT_ROUTES: Final[Routes] = {Channel.DEPTH: "", Channel.QUOTES: "", Channel.TRADES: ""}
FUTURES_ROUTES: Final[Routes] = {Channel.DEPTH: "/public", Channel.QUOTES: "/public", Channel.TRADES: "/market"}
STREAM_CHANNELS: Final = {"depth": Channel.DEPTH, "bookTicker": Channel.QUOTES, "aggTrade": Channel.TRADES}
_encoder: Final = msgspec.json.Encoder()


class BinanceSettings(Struct, frozen=True, kw_only=True):
    """Depth of the snapshots, interval of the depth updates, and which streams are subscribed beside the book."""

    depth_speed_ms: int = 100
    snapshot_depth: int = 1000
    """Levels per side of a snapshot; deeper levels are unknown until an update names them."""
    quotes: bool = True
    trades: bool = True


def check_settings(settings: BinanceSettings, speeds_ms: Sequence[int], snapshot_depths: Sequence[int]) -> None:
    """Raise ConfigError for a value that the market does not offer."""
    if settings.depth_speed_ms not in speeds_ms:
        raise ConfigError(f"depth_speed_ms: {settings.depth_speed_ms} is not {_choices_text(speeds_ms)}")
    if settings.snapshot_depth not in snapshot_depths:
        raise ConfigError(f"snapshot_depth: {settings.snapshot_depth} is not {_choices_text(snapshot_depths)}")


def _choices_text(choices: Sequence[int]) -> str:
    if isinstance(choices, range):
        return f"from {choices[0]} to {choices[-1]}"
    return f"one of {', '.join(map(str, choices))}"


def snapshot_weight(weights: SnapshotWeights, depth: int) -> int:
    """Return the weight of a request for a snapshot of this many levels."""
    for levels, weight in weights:
        if depth <= levels:
            return weight
    raise InvariantError(f"no weight for a snapshot of {depth} levels")


def is_permanent_code(code: int) -> bool:
    """Return whether a retry cannot succeed; -1100 to -1199 are faults of the request, such as an unknown symbol."""
    return code in PERMANENT_CODES or -1199 <= code <= -1100


def is_permanent_status(status: int) -> bool:
    """Return whether an HTTP status means that a retry cannot succeed."""
    return status in PERMANENT_STATUSES


class _Request(Struct, frozen=True):
    method: str
    params: Sequence[str]
    id: int


def topics(instruments: Iterable[Instrument], settings: BinanceSettings, speed_ms_default: int) -> list[Topic]:
    """Return the topics of these instruments; a depth stream at the market's default interval does not name it."""
    interval = "" if settings.depth_speed_ms == speed_ms_default else f"@{settings.depth_speed_ms}ms"
    streams = {Channel.DEPTH: f"depth{interval}"}
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
    """Distribute topics over connections of one route each; topics of one symbol on one route share a connection."""
    connections = []
    for route in dict.fromkeys(routes.values()):
        route_topics = [topic for topic in topics if routes[topic.channel] == route]
        channels = len({topic.channel for topic in route_topics}) or 1
        for number, part in enumerate(_batches(route_topics, topics_max // channels * channels), start=1):
            connections.append(
                ConnectionPlan(f"{route.strip('/') or 'spot'}-{number}", f"{stream_url}{route}/stream", part)
            )
    return tuple(connections)


def encode_request(method: str, names: Sequence[str], routes: Routes, wire_id: int) -> str:
    """Encode a request; raise InvariantError where its streams belong to different routes.

    A stream on the wrong route would be confirmed and never send anything.
    """
    used_routes = {routes[_channel_of(name)] for name in names}
    if len(used_routes) > 1:
        raise InvariantError(f"one request for the routes {sorted(used_routes)}: {', '.join(names)}")
    return _encoder.encode(_Request(method, names, wire_id)).decode()


def to_wire_id(request_id: int, *, is_unsubscribe: bool) -> int:
    """Return the id sent to the venue.

    Its lowest bit marks an unsubscribe, because a reply carries nothing but the id.
    """
    return request_id * 2 + is_unsubscribe


def from_wire_id(wire_id: int | str | None) -> tuple[int | None, bool]:
    """Return the request id of a reply, and whether the request was an unsubscribe."""
    return (wire_id >> 1, wire_id % 2 == 1) if isinstance(wire_id, int) else (None, False)


def _channel_of(name: str) -> Channel:
    stream = name.partition("@")[2].partition("@")[0]
    if stream not in STREAM_CHANNELS:
        raise InvariantError(f"{name}: no stream of this adapter")
    return STREAM_CHANNELS[stream]


def _batches(topics: Sequence[Topic], size: int) -> Iterable[tuple[Topic, ...]]:
    return (tuple(topics[start : start + size]) for start in range(0, len(topics), size))
