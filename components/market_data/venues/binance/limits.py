"""What Binance allows on its sockets and over HTTP, and which of its complaints are final."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from components.contracts.errors import InvariantError
from components.market_data.venues.dialect import Limits

SnapshotWeights: TypeAlias = Sequence[tuple[int, int]]
"""An image of up to so many levels weighs so much."""

SPOT_SNAPSHOT_WEIGHTS: Final[SnapshotWeights] = ((100, 5), (500, 25), (1000, 50), (5000, 250))
FUTURES_SNAPSHOT_WEIGHTS: Final[SnapshotWeights] = ((50, 2), (100, 5), (500, 10), (1000, 20))
SPOT_METADATA_WEIGHT: Final = 20
FUTURES_METADATA_WEIGHT: Final = 1

# Pongs count as messages too, hence one less than the 5 and 10 a second that are allowed. A minute's weight is the
# burst and 60 seconds of the pace: 5,800 of 6,000 on spot; 2,200 of the 2,400 that USD-M shares with COIN-M.
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
"""The socket's own: unknown property, wrong type, invalid request, invalid JSON."""
PERMANENT_CODES: Final = frozenset({-1002, -1014, -1020, -1022, -2014, -2015}) | REQUEST_CODES
"""Not authorised, not supported, a bad key: the same question gets the same answer."""
PERMANENT_STATUSES: Final = frozenset({400, 401, 404, 405, 451})
"""A bad request, and a country that is not served; 403, 418 and 429 pass, and so does what is 5xx."""


def snapshot_weight(weights: SnapshotWeights, depth: int) -> int:
    """Give the weight of asking for an image of so many levels."""
    for levels, weight in weights:
        if depth <= levels:
            return weight
    raise InvariantError(f"an image of {depth} levels has no weight")


def is_permanent_code(code: int) -> bool:
    """Say whether asking again cannot help; -1100 to -1199 are faults of the request, such as an unknown symbol."""
    return code in PERMANENT_CODES or -1199 <= code <= -1100


def is_permanent_status(status: int) -> bool:
    """Say whether an HTTP status means the same."""
    return status in PERMANENT_STATUSES
