"""What OKX allows, and which of its refusals are for good."""

from typing import Final

from components.market_data.venues.dialect import Limits

LIMITS: Final = Limits(
    topics_per_request=100,  # a request's list of channels may take 64 KB: some 600 of them
    topics_per_connection=90,
    sends_per_second=3.0,
    connects_per_second=3.0,
    ping_after_idle_ms=20_000,  # the venue closes a connection on which nothing was said for 30 s
    reply_timeout_ms=8_000,
    requests_per_second=20.0,  # books: 40 in 2 s
    requests_burst=20,
)

PERMANENT_CODES: Final = frozenset(
    {
        "60011",  # please log in
        "60012",  # no such request
        "60013",  # no such arguments
        "60017",  # wrong address
        "60018",  # no such channel or instrument
        "60019",  # no such operation
        "60029",  # only for higher fee tiers
        "64003",  # only for higher fee tiers
    }
)
RETRYABLE_CODES: Final = frozenset(
    {
        "50001",  # service unavailable
        "50004",  # timed out
        "50011",  # too many requests
        "50013",  # too busy
        "50026",  # the venue's own error
        "50113",  # too many requests
        "60014",  # too many requests on this connection
        "63999",  # the venue's own error
    }
)
"""An unknown code is tried again too: trying is paced, and giving up a symbol is not undone by itself."""

SHUTDOWN_NOTICE_CODE: Final = "64008"
RETRYABLE_STATUSES: Final = frozenset({403, 408, 425, 429})
"""A guard before the venue answers 403 to who asks too fast."""


def is_permanent_code(code: str) -> bool:
    """Say whether asking again can never help."""
    return code in PERMANENT_CODES


def is_permanent_status(status: int) -> bool:
    """Say whether an HTTP status means that asking again can never help."""
    return 400 <= status < 500 and status not in RETRYABLE_STATUSES
