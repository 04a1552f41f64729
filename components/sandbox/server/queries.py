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
    past_execution_id: str | None = None
    ascending: bool = False
    limit: int = 100


def order_by(column: str, value: str) -> Callable[[sqlite3.Connection], Order | None]:
    """Ask for one order by its id or its client's id."""
    statement = {
        "order_id": "SELECT body FROM orders WHERE order_id = ?",
        "client_order_id": "SELECT body FROM orders WHERE client_order_id = ?",
    }[column]

    def query(connection: sqlite3.Connection) -> Order | None:
        row = connection.execute(statement, (value,)).fetchone()
        return None if row is None else msgpack.decode(row[0], type=Order)

    return query


def orders_like(wanted: OrderFilter) -> Callable[[sqlite3.Connection], list[Order]]:
    """Ask for a page of orders."""
    clauses: list[tuple[str, tuple[object, ...]]] = [
        ("open = ?", (wanted.open,)),
        ("submitted_at_ns > ?", (wanted.after_ns,)),
        ("submitted_at_ns < ?", (wanted.until_ns,)),
        ("side = ?", (wanted.side,)),
        ("number < (SELECT number FROM orders WHERE order_id = ?)", (wanted.before_order_id,)),
        ("number > (SELECT number FROM orders WHERE order_id = ?)", (wanted.after_order_id,)),
    ]
    if wanted.symbols:
        marks = ", ".join("?" for _ in wanted.symbols)
        clauses.append((f"symbol IN ({marks})", wanted.symbols))
    kept = [(text, values) for text, values in clauses if values != (None,)]
    where = " AND ".join(("1", *(text for text, _ in kept)))
    direction = "ASC" if wanted.ascending else "DESC"
    statement = f"SELECT body FROM orders WHERE {where} ORDER BY number {direction} LIMIT ?"  # noqa: S608 - constants only
    values = (*(value for _, group in kept for value in group), wanted.limit)

    def query(connection: sqlite3.Connection) -> list[Order]:
        return [msgpack.decode(row[0], type=Order) for row in connection.execute(statement, values)]

    return query


def fills_like(wanted: FillFilter) -> Callable[[sqlite3.Connection], list[Row]]:
    """Ask for a page of fills."""
    sign = ">" if wanted.ascending else "<"
    past = f"events.sequence {sign} (SELECT sequence FROM events WHERE execution_id = ?)"  # noqa: S608 - a constant
    clauses = [
        ("events.at_ns > ?", wanted.after_ns),
        ("events.at_ns < ?", wanted.until_ns),
        (past, wanted.past_execution_id),
    ]
    kept = [(text, value) for text, value in clauses if value is not None]
    direction = "ASC" if wanted.ascending else "DESC"
    statement = " AND ".join((_FILL, *(text for text, _ in kept))) + f" ORDER BY events.sequence {direction} LIMIT ?"
    values = (*(value for _, value in kept), wanted.limit)

    def query(connection: sqlite3.Connection) -> list[Row]:
        return [dict(zip(_FILL_FIELDS, row, strict=True)) for row in connection.execute(statement, values)]

    return query


def histories(connection: sqlite3.Connection) -> dict[str, list[Row]]:
    """Tell of every order everything that happened to it."""
    statement = f"SELECT order_id, {', '.join(_EVENT_FIELDS)} FROM events ORDER BY sequence"  # noqa: S608 - constants only
    told: dict[str, list[Row]] = {}
    for order_id, *facts in connection.execute(statement):
        told.setdefault(order_id, []).append(dict(zip(_EVENT_FIELDS, facts, strict=True)))
    return told


def events_count(connection: sqlite3.Connection) -> int:
    """Ask how many order events there ever were."""
    count: int = connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0]
    return count
