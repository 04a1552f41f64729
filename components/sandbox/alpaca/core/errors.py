"""Error responses of Alpaca's API: status, code and text exactly as the real venue sends them."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from components.sandbox.numerics import format_decimal

INVALID = 40010001
UNPROCESSABLE = 42210000
FORBIDDEN = 40310000
NOT_FOUND = 40410000


class ApiError(Struct, frozen=True):
    """The error response to a request."""

    status: int
    code: int | None
    message: str
    extra: Mapping[str, str | list[str]] = {}

    def body(self) -> dict[str, object]:
        """Return the response body; some errors have no code."""
        coded: dict[str, object] = {} if self.code is None else {"code": self.code}
        return {**coded, "message": self.message, **self.extra}


UNAUTHORIZED = ApiError(401, None, "unauthorized.")
ENDPOINT_NOT_FOUND = ApiError(404, NOT_FOUND, "endpoint not found")
BODY_MALFORMED = ApiError(400, 40010000, "request body format is invalid")
RATE_LIMITED = ApiError(429, 42910000, "rate limit exceeded")
ORDER_ID_MALFORMED = ApiError(422, INVALID, "order_id is missing")
NO_POSITION = ApiError(404, NOT_FOUND, "position does not exist")
CLIENT_ORDER_ID_NOT_UNIQUE = ApiError(422, INVALID, "client_order_id must be unique")
CLIENT_ORDER_ID_TOO_LONG = ApiError(422, INVALID, "client_order_id must be no more than 128 characters")
TRADING_SUSPENDED = ApiError(403, FORBIDDEN, "new orders are rejected by user request")
NO_SHORTING = ApiError(403, FORBIDDEN, "account is not allowed to short")
NO_LONG_WHILE_SHORT = ApiError(403, FORBIDDEN, "cannot open a long buy while a short sell order is open")
NO_SHORT_WHILE_LONG = ApiError(403, FORBIDDEN, "cannot open a short sell while a long buy order is open")
ORDER_NOT_OPEN = ApiError(422, UNPROCESSABLE, "unable to replace order, order is not open")
ORDER_NOT_SENT = ApiError(422, UNPROCESSABLE, "unable to replace order, order isn't sent to exchange yet")
NOTHING_CHANGED = ApiError(403, FORBIDDEN, "order parameters are not changed")
COST_BASIS_TOO_SMALL = ApiError(403, FORBIDDEN, "cost basis must be >= minimal amount of order 1")


def invalid_request(message: str) -> ApiError:
    """Return the error for a body that is not a well-formed order."""
    return ApiError(422, INVALID, message)


def unprocessable(message: str) -> ApiError:
    """Return the error for a well-formed order that the market's rules forbid."""
    return ApiError(422, UNPROCESSABLE, message)


def order_not_found(order_id: str) -> ApiError:
    """Return the error for an unknown order id."""
    return ApiError(404, NOT_FOUND, f"order not found for {order_id}")


def already_in_status(status: str) -> ApiError:
    """Return the error for a cancel of an order that has ended."""
    return unprocessable(f'order is already in "{status}" state')


def symbol_not_found(symbol: str) -> ApiError:
    """Return the error for an asset that the venue does not list."""
    return ApiError(404, NOT_FOUND, f"symbol not found: {symbol}")


def insufficient_buying_power(available: Decimal, cost: Decimal) -> ApiError:
    """Return the error for an order that costs more than the buying power."""
    extra = {"buying_power": format_decimal(available), "cost_basis": format_decimal(cost)}
    return ApiError(403, FORBIDDEN, "insufficient buying power", extra)


def insufficient_quantity(
    symbol: str, *, requested: Decimal, existing: Decimal, held: Decimal, related: list[str]
) -> ApiError:
    """Return the error for closing more shares than are free."""
    available = format_decimal(max(Decimal(0), existing - held))
    message = f"insufficient qty available for order (requested: {format_decimal(requested)}, available: {available})"
    extra: dict[str, str | list[str]] = {
        "symbol": symbol,
        "existing_qty": format_decimal(existing),
        "held_for_orders": format_decimal(held),
        "available": available,
        "related_orders": related,
    }
    return ApiError(403, FORBIDDEN, message, extra)


def wash_trade(existing_order_id: str, reason: str) -> ApiError:
    """Return the error for an order that could trade with another order of the same account."""
    extra = {"existing_order_id": existing_order_id, "reject_reason": reason}
    return ApiError(403, FORBIDDEN, "potential wash trade detected. use complex orders", extra)


class ApiErrorRaised(Exception):
    """Raised to end a request with an error response."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error
