"""What Alpaca allows on its crypto stream."""

from typing import Final

from components.contracts.errors import VenueRejected
from components.market_data.venues.alpaca.failures import error_from_status
from components.market_data.venues.dialect import Limits

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


def is_permanent_status(status: int) -> bool:
    """Say whether an HTTP status means that trying again cannot help."""
    return isinstance(error_from_status(status), VenueRejected)
