"""Formats messages and books for the terminal."""

from typing import Any

from msgspec.structs import asdict

from components.contracts.market import BookLevels
from components.contracts.values import format_decimal
from components.market_data.commands.live import BookReplica


def message_fields(body: Any) -> dict[str, Any]:  # noqa: ANN401  # any message of the stream
    """Return a message's type and fields."""
    return {"type": type(body).__name__, **struct_fields(body)}


def struct_fields(struct: Any) -> dict[str, Any]:  # noqa: ANN401  # any message or report
    """Return the fields of a struct."""
    return asdict(struct)


def format_fields(fields: dict[str, Any]) -> str:
    """Return fields as one line."""
    return " ".join(f"{key}={_format_value(value)}" for key, value in fields.items())


def format_ladder(book: BookReplica, levels: int) -> str:
    """Return a book as a price ladder: asks above, bids below, the best in the middle."""
    asks = [_format_level("ask", one) for one in reversed(book.asks[:levels])]
    bids = [_format_level("bid", one) for one in book.bids[:levels]]
    head = f"{book.symbol} at {book.book_id}  {book.state}: {book.reason}"
    return "\n".join([head, *asks, *bids])


def book_fields(book: BookReplica, levels: int) -> dict[str, Any]:
    """Return the fields of a book, best levels first."""
    return {
        "symbol": book.symbol,
        "book_id": book.book_id,
        "state": book.state,
        "reason": book.reason,
        "venue_at_ns": book.venue_at_ns,
        "received_at_ns": book.received_at_ns,
        "bids": _canonical_levels(book.bids[:levels]),
        "asks": _canonical_levels(book.asks[:levels]),
    }


def _canonical_levels(levels: BookLevels) -> list[list[str]]:
    return [[format_decimal(price), format_decimal(quantity)] for price, quantity in levels]


def _format_level(side: str, level: tuple[Any, Any]) -> str:
    return f"  {side} {format_decimal(level[0]):>18} {format_decimal(level[1]):>18}"


def _format_value(value: Any) -> str:  # noqa: ANN401  # any field value
    if not isinstance(value, tuple | list):
        return str(value)
    return ",".join("x".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value)
