"""The errors of Deribit that this venue gives, by their numbers."""

from msgspec import Struct


class Refusal(Struct, frozen=True):
    """An error as JSON-RPC carries it."""

    code: int
    message: str
    data: dict[str, str] | None = None


TOO_MANY_REQUESTS = Refusal(10028, "too_many_requests")
BAD_INSTRUMENT = Refusal(10020, "bad_instrument")
BAD_REQUEST = Refusal(11050, "bad_request")
INVALID_CREDENTIALS = Refusal(13004, "invalid_credentials")
UNAUTHORIZED = Refusal(13009, "unauthorized")
RAW_NEEDS_LOGIN = Refusal(13778, "raw_subscriptions_not_available_for_unauthorized")
METHOD_NOT_FOUND = Refusal(-32601, "Method not found")
PARSE_ERROR = Refusal(-32700, "Parse error")
UNAVAILABLE = Refusal(11051, "system_maintenance")


def invalid(parameter: str, reason: str) -> Refusal:
    """Refuse a parameter, by its name."""
    return Refusal(-32602, "Invalid params", {"param": parameter, "reason": reason})
