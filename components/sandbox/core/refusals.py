"""Every way the venue says no: status, code and text as its clients have learned them."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from components.sandbox.core.decimals import plain

INVALID = 40010001
UNPROCESSABLE = 42210000
FORBIDDEN = 40310000
NOT_FOUND = 40410000


class Refusal(Struct, frozen=True):
    """The answer to a request the venue does not grant."""

    status: int
    code: int | None
    message: str
    extra: Mapping[str, str | list[str]] = {}

    def body(self) -> dict[str, object]:
        """Return the body a client reads; some refusals have no code."""
        coded: dict[str, object] = {} if self.code is None else {"code": self.code}
        return {**coded, "message": self.message, **self.extra}


UNAUTHORIZED = Refusal(401, None, "unauthorized.")
ENDPOINT_NOT_FOUND = Refusal(404, NOT_FOUND, "endpoint not found")
BODY_MALFORMED = Refusal(400, 40010000, "request body format is invalid")
RATE_LIMITED = Refusal(429, 42910000, "rate limit exceeded")
ORDER_ID_MALFORMED = Refusal(422, INVALID, "order_id is missing")
NO_POSITION = Refusal(404, NOT_FOUND, "position does not exist")
NOT_UNIQUE = Refusal(422, INVALID, "client_order_id must be unique")
ID_TOO_LONG = Refusal(422, INVALID, "client_order_id must be no more than 128 characters")
SUSPENDED = Refusal(403, FORBIDDEN, "new orders are rejected by user request")
NO_SHORTING = Refusal(403, FORBIDDEN, "account is not allowed to short")
NO_LONG_WHILE_SHORT = Refusal(403, FORBIDDEN, "cannot open a long buy while a short sell order is open")
NO_SHORT_WHILE_LONG = Refusal(403, FORBIDDEN, "cannot open a short sell while a long buy order is open")
NOT_OPEN = Refusal(422, UNPROCESSABLE, "unable to replace order, order is not open")
NOT_SENT_YET = Refusal(422, UNPROCESSABLE, "unable to replace order, order isn't sent to exchange yet")
NOTHING_CHANGED = Refusal(403, FORBIDDEN, "order parameters are not changed")
COST_BASIS_TOO_SMALL = Refusal(403, FORBIDDEN, "cost basis must be >= minimal amount of order 1")


def invalid(message: str) -> Refusal:
    """Refuse a body that is not a well-formed order."""
    return Refusal(422, INVALID, message)


def unprocessable(message: str) -> Refusal:
    """Refuse a well-formed order that the market's rules forbid."""
    return Refusal(422, UNPROCESSABLE, message)


def order_not_found(order_id: str) -> Refusal:
    """Say that no order has this id."""
    return Refusal(404, NOT_FOUND, f"order not found for {order_id}")


def already(status: str) -> Refusal:
    """Refuse to cancel what has ended."""
    return unprocessable(f'order is already in "{status}" state')


def symbol_not_found(symbol: str) -> Refusal:
    """Say that the venue lists no such asset."""
    return Refusal(404, NOT_FOUND, f"symbol not found: {symbol}")


def buying_power(available: Decimal, cost: Decimal) -> Refusal:
    """Refuse an order the account cannot pay for."""
    extra = {"buying_power": plain(available), "cost_basis": plain(cost)}
    return Refusal(403, FORBIDDEN, "insufficient buying power", extra)


def insufficient_quantity(  # the venue names five facts here
    symbol: str, *, requested: Decimal, existing: Decimal, held: Decimal, related: list[str]
) -> Refusal:
    """Refuse to close more than is free to be closed."""
    available = plain(max(Decimal(0), existing - held))
    message = f"insufficient qty available for order (requested: {plain(requested)}, available: {available})"
    extra: dict[str, str | list[str]] = {
        "symbol": symbol,
        "existing_qty": plain(existing),
        "held_for_orders": plain(held),
        "available": available,
        "related_orders": related,
    }
    return Refusal(403, FORBIDDEN, message, extra)


def wash_trade(existing_order_id: str, reason: str) -> Refusal:
    """Refuse an order that could trade with another of the same account."""
    extra = {"existing_order_id": existing_order_id, "reject_reason": reason}
    return Refusal(403, FORBIDDEN, "potential wash trade detected. use complex orders", extra)
