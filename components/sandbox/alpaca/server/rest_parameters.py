"""Parsing of the trading API's query strings: booleans, times to the nanosecond, comma-separated lists."""

from collections.abc import Mapping
from uuid import UUID

from components.sandbox.alpaca.core.errors import ORDER_ID_MALFORMED, ApiErrorRaised, invalid_request
from components.sandbox.alpaca.core.session import parse_timestamp
from components.sandbox.alpaca.server.storage import FillFilter, OrderFilter
from components.sandbox.numerics import DAY_NS

Query = Mapping[str, str]
ORDERS_MAX, FILLS_MAX = 500, 100


def parse_order_filter(query: Query) -> OrderFilter:
    """Return the filter of a list of orders."""
    _check_one_paging_mode(query)
    status = _one_of(query, "status", ("open", "closed", "all"))
    return OrderFilter(
        open={"open": True, "closed": False, "all": None}[status],
        after_ns=_time(query, "after"),
        until_ns=_time(query, "until"),
        side=query.get("side"),
        symbols=tuple(part for part in query.get("symbols", "").upper().split(",") if part),
        before_order_id=query.get("before_order_id"),
        after_order_id=query.get("after_order_id"),
        ascending=_one_of(query, "direction", ("desc", "asc")) == "asc",
        limit=_count(query, "limit", 50, ORDERS_MAX),
    )


def includes_equities(query: Query) -> bool:
    """Return whether a list may contain US equities, the only asset class of this venue."""
    return "us_equity" in query.get("asset_class", "us_equity").split(",")


def parse_fill_filter(query: Query) -> FillFilter:
    """Return the filter of a page of fills."""
    day_ns = _time(query, "date")
    return FillFilter(
        # A day starts after the last nanosecond of the day before; both bounds are exclusive.
        after_ns=_time(query, "after") if day_ns is None else day_ns - 1,
        until_ns=_time(query, "until") if day_ns is None else day_ns + DAY_NS,
        after_execution_id=query["page_token"].split("::")[-1] if "page_token" in query else None,
        ascending=_one_of(query, "direction", ("desc", "asc")) == "asc",
        limit=_count(query, "page_size", FILLS_MAX, FILLS_MAX),
    )


def parse_flag(query: Query, name: str) -> bool:
    """Return a boolean as Python, JavaScript or a person writes it."""
    return query.get(name, "").lower() in {"true", "1", "yes"}


def parse_order_id(text: str) -> str:
    """Return an order id; the real venue reports a malformed id as missing."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise ApiErrorRaised(ORDER_ID_MALFORMED) from error


def _check_one_paging_mode(query: Query) -> None:
    by_id = {"before_order_id", "after_order_id"} & set(query)
    if len(by_id) > 1 or (by_id and {"after", "until"} & set(query)):
        raise ApiErrorRaised(
            invalid_request("after_order_id and before_order_id exclude each other, and after and until")
        )


def _one_of(query: Query, name: str, choices: tuple[str, ...]) -> str:
    value = query.get(name, choices[0]).lower()
    if value not in choices:
        raise ApiErrorRaised(invalid_request(f"invalid {name}"))
    return value


def _time(query: Query, name: str) -> int | None:
    if name not in query:
        return None
    at_ns = parse_timestamp(query[name])
    if at_ns is None:
        raise ApiErrorRaised(invalid_request(f"invalid {name}"))
    return at_ns


def _count(query: Query, name: str, default: int, largest: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise ApiErrorRaised(invalid_request(f"invalid {name}: must be between 1 and {largest}"))
    return int(text)
