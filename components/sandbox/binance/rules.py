"""The differences between the two Binance venues: paths, timers, weights, and the channels of each route."""

from enum import StrEnum

from msgspec import Struct

from components.sandbox.simulation.order_flow import IdSpace
from components.sandbox.transport.websocket import ConnectionLimits

DAY_S = 86_400.0


class Channel(StrEnum):
    """The channels of a symbol."""

    DEPTH = "depth"
    PARTIAL = "partial"
    BOOK_TICKER = "bookTicker"
    AGG_TRADE = "aggTrade"
    TRADE = "trade"
    MARK_PRICE = "markPrice"


class VenueRules(Struct, frozen=True, kw_only=True):
    """The rules of one venue."""

    name: str
    is_futures: bool
    id_space: IdSpace
    rest_prefix: str  # the prefix of its REST paths
    routes: dict[str, frozenset[Channel]]  # websocket path prefix, and the channels that are really served there
    depth_speed_ms_default: int  # the interval of a depth stream that names none
    depth_speeds_ms: frozenset[int]
    limits: ConnectionLimits
    weight_max: int  # per minute
    info_weight: int
    depth_weights: tuple[tuple[int, int], ...]  # pairs of a number of levels and the weight up to it
    depth_limits: frozenset[int] | None  # None: any number up to the largest

    def depth_weight(self, limit: int) -> int:
        """Return the weight of a depth request."""
        return next(weight for levels, weight in self.depth_weights if limit <= levels)

    def allows_depth(self, limit: int) -> bool:
        """Return whether a depth request may ask for this many levels."""
        return 1 <= limit <= self.depth_weights[-1][0] if self.depth_limits is None else limit in self.depth_limits


SPOT_RULES = VenueRules(
    name="binance",
    is_futures=False,
    id_space=IdSpace.PER_SYMBOL,
    rest_prefix="/api/v3",
    routes={"": frozenset(Channel) - {Channel.MARK_PRICE}},
    depth_speed_ms_default=1000,
    depth_speeds_ms=frozenset({100, 1000}),
    limits=ConnectionLimits(messages_per_s=5, ping_interval_s=20, pong_timeout_s=60, lifetime_s=DAY_S),
    weight_max=6000,
    info_weight=20,
    depth_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),
    depth_limits=None,
)
_PUBLIC = frozenset({Channel.DEPTH, Channel.PARTIAL, Channel.BOOK_TICKER, Channel.TRADE})
USD_M_RULES = VenueRules(
    name="binanceum",
    is_futures=True,
    id_space=IdSpace.VENUE_WIDE,
    rest_prefix="/fapi/v1",
    # The path without a route confirms every stream but serves the public channels only.
    routes={"": _PUBLIC, "/public": _PUBLIC, "/market": frozenset({Channel.AGG_TRADE, Channel.MARK_PRICE})},
    depth_speed_ms_default=250,
    depth_speeds_ms=frozenset({100, 250, 500}),
    limits=ConnectionLimits(messages_per_s=10, ping_interval_s=180, pong_timeout_s=600, lifetime_s=DAY_S),
    weight_max=2400,
    info_weight=1,
    depth_weights=((50, 2), (100, 5), (500, 10), (1000, 20)),
    depth_limits=frozenset({5, 10, 20, 50, 100, 500, 1000}),
)
