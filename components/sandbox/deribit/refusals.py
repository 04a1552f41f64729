"""The errors of Deribit that this venue gives, by their numbers."""

from msgspec import Struct


class RpcError(Struct, frozen=True):
    """An error as JSON-RPC carries it."""

    code: int
    message: str
    data: dict[str, str] | None = None


TOO_MANY_REQUESTS = RpcError(10028, "too_many_requests")
BAD_INSTRUMENT = RpcError(10020, "bad_instrument")
BAD_REQUEST = RpcError(11050, "bad_request")
INVALID_CREDENTIALS = RpcError(13004, "invalid_credentials")
UNAUTHORIZED = RpcError(13009, "unauthorized")
RAW_NEEDS_LOGIN = RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
METHOD_NOT_FOUND = RpcError(-32601, "Method not found")
PARSE_ERROR = RpcError(-32700, "Parse error")
UNAVAILABLE = RpcError(11051, "system_maintenance")


def invalid_params(parameter: str, reason: str) -> RpcError:
    """Refuse a parameter, by its name."""
    return RpcError(-32602, "Invalid params", {"param": parameter, "reason": reason})
