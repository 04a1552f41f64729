"""The questions that only the ledger can answer: orders that ended, pages of them, fills and histories."""

import sqlite3
from collections.abc import Callable

from msgspec import Struct, msgpack

from components.sandbox.core.orders import Order

Row = dict[str, object]
_EVENT_FIELDS = ("kind", "status", "at_ns", "execution_id", "price", "qty", "position_qty", "cum_qty", "leaves_qty")
_FILL = (
    "SELECT events.kind, events.status, events.at_ns, events.execution_id, events.price, events.qty, events.cum_qty,"
    " events.leaves_qty, orders.side, orders.symbol, orders.order_id FROM events JOIN orders USING (order_id)"
    " WHERE events.price IS NOT NULL"
)
_FILL_FIELDS = (
    "kind", "status", "at_ns", "execution_id", "price", "qty", "cum_qty", "leaves_qty", "side", "symbol", "order_id",
)  # fmt: skip


class OrderFilter(Struct, frozen=True, kw_only=True):
    """Which orders a list is asked for."""

    open: bool | None = None
    after_ns: int | None = None
    until_ns: int | None = None
    side: str | None = None
    symbols: tuple[str, ...] = ()
    before_order_id: str | None = None
    after_order_id: str | None = None
    ascending: bool = False
    limit: int = 50


class FillFilter(Struct, frozen=True, kw_only=True):
    """Which fills a page is asked for; both bounds are strict."""

    after_ns: int | None = None
    until_ns: int | None = None
    after_execution_id: str | None = None
    ascending: bool = False
    limit: int = 100


def find_order(column: str, value: str) -> Callable[[sqlite3.Connection], Order | None]:
    """Ask for one order by its id or its client's id."""
    statement = {
        "order_id": "SELECT body FROM orders WHERE order_id = ?",
        "client_order_id": "SELECT body FROM orders WHERE client_order_id = ?",
    }[column]

    def query(connection: sqlite3.Connection) -> Order | None:
        row = connection.execute(statement, (value,)).fetchone()
        return None if row is None else msgpack.decode(row[0], type=Order)

    return query


def select_orders(criteria: OrderFilter) -> Callable[[sqlite3.Connection], list[Order]]:
    """Ask for a page of orders."""
    clauses: list[tuple[str, tuple[object, ...]]] = [
        ("open = ?", (criteria.open,)),
        ("submitted_at_ns > ?", (criteria.after_ns,)),
        ("submitted_at_ns < ?", (criteria.until_ns,)),
        ("side = ?", (criteria.side,)),
        ("number < (SELECT number FROM orders WHERE order_id = ?)", (criteria.before_order_id,)),
        ("number > (SELECT number FROM orders WHERE order_id = ?)", (criteria.after_order_id,)),
    ]
    if criteria.symbols:
        marks = ", ".join("?" for _ in criteria.symbols)
        clauses.append((f"symbol IN ({marks})", criteria.symbols))
    kept = [(text, values) for text, values in clauses if values != (None,)]
    where = " AND ".join(("1", *(text for text, _ in kept)))
    direction = "ASC" if criteria.ascending else "DESC"
    statement = f"SELECT body FROM orders WHERE {where} ORDER BY number {direction} LIMIT ?"  # noqa: S608 - constants only
    values = (*(value for _, group in kept for value in group), criteria.limit)

    def query(connection: sqlite3.Connection) -> list[Order]:
        return [msgpack.decode(row[0], type=Order) for row in connection.execute(statement, values)]

    return query


def select_fills(criteria: FillFilter) -> Callable[[sqlite3.Connection], list[Row]]:
    """Ask for a page of fills."""
    sign = ">" if criteria.ascending else "<"
    past = f"events.sequence {sign} (SELECT sequence FROM events WHERE execution_id = ?)"  # noqa: S608 - a constant
    clauses = [
        ("events.at_ns > ?", criteria.after_ns),
        ("events.at_ns < ?", criteria.until_ns),
        (past, criteria.after_execution_id),
    ]
    kept = [(text, value) for text, value in clauses if value is not None]
    direction = "ASC" if criteria.ascending else "DESC"
    statement = " AND ".join((_FILL, *(text for text, _ in kept))) + f" ORDER BY events.sequence {direction} LIMIT ?"
    values = (*(value for _, value in kept), criteria.limit)

    def query(connection: sqlite3.Connection) -> list[Row]:
        return [dict(zip(_FILL_FIELDS, row, strict=True)) for row in connection.execute(statement, values)]

    return query


def order_histories(connection: sqlite3.Connection) -> dict[str, list[Row]]:
    """Tell of every order everything that happened to it."""
    statement = f"SELECT order_id, {', '.join(_EVENT_FIELDS)} FROM events ORDER BY sequence"  # noqa: S608 - constants only
    told: dict[str, list[Row]] = {}
    for order_id, *facts in connection.execute(statement):
        told.setdefault(order_id, []).append(dict(zip(_EVENT_FIELDS, facts, strict=True)))
    return told


def count_events(connection: sqlite3.Connection) -> int:
    """Ask how many order events there ever were."""
    count: int = connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0]
    return count
