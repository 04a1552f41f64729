"""What Deribit allows, and which of its errors may pass."""

from typing import Final

from components.market_data.venues.dialect import Limits

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
    10040: "the venue has it tried again",
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
    13004: "key and secret are refused",
    13009: "not logged in, or not allowed",
    13021: "forbidden to this key",
    13778: "raw channels need a login",
    -32601: "no such method",
    -32602: "invalid parameters",
}


def explain(code: int, message: str) -> str:
    """Say an error in the venue's words and ours."""
    meaning = PERMANENT_CODES.get(code) or RETRYABLE_CODES.get(code) or "unknown code"
    return f"{code} {message}: {meaning}"


def is_permanent_code(code: int) -> bool:
    """Say whether trying again cannot help; a code nobody documented may pass."""
    return code in PERMANENT_CODES


def is_permanent_status(status: int) -> bool:
    """Say the same of an HTTP status; 429 is the 33rd connection of one address."""
    return 300 <= status < 500 and status not in {408, 418, 429}
