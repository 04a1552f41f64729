"""How a verb writes what it heard."""

from typing import Any

from msgspec.structs import asdict

from components.contracts.market import BookLevels
from components.contracts.values import canonical
from components.market_data.verbs.following import Followed


def facts_of(body: Any) -> dict[str, Any]:  # noqa: ANN401  # any message of the stream
    """Give a message's type and fields."""
    return {"type": type(body).__name__, **fields(body)}


def fields(struct: Any) -> dict[str, Any]:  # noqa: ANN401  # any of our values
    """Give a value's fields."""
    return asdict(struct)


def words(facts: dict[str, Any]) -> str:
    """Write facts in one line."""
    return " ".join(f"{key}={_word(value)}" for key, value in facts.items())


def ladder(book: Followed, levels: int) -> str:
    """Write a book as a person reads it: asks above, bids below, the best in the middle."""
    asks = [_row("ask", one) for one in reversed(book.asks[:levels])]
    bids = [_row("bid", one) for one in book.bids[:levels]]
    head = f"{book.symbol} at {book.book_id}  {book.state}: {book.reason}"
    return "\n".join([head, *asks, *bids])


def book_facts(book: Followed, levels: int) -> dict[str, Any]:
    """Give a book's facts, best levels first."""
    return {
        "symbol": book.symbol,
        "book_id": book.book_id,
        "state": book.state,
        "reason": book.reason,
        "venue_at_ns": book.venue_at_ns,
        "received_at_ns": book.received_at_ns,
        "bids": _plain(book.bids[:levels]),
        "asks": _plain(book.asks[:levels]),
    }


def _plain(levels: BookLevels) -> list[list[str]]:
    return [[canonical(price), canonical(quantity)] for price, quantity in levels]


def _row(side: str, level: tuple[Any, Any]) -> str:
    return f"  {side} {canonical(level[0]):>18} {canonical(level[1]):>18}"


def _word(value: Any) -> str:  # noqa: ANN401  # any fact
    if not isinstance(value, tuple | list):
        return str(value)
    return ",".join("x".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value)
