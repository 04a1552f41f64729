"""The venue's database: schema, writes, the load at startup, and queries for ended orders, fills and histories."""

import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, msgpack

from components.contracts.errors import CorruptData, StorageError
from components.sandbox.alpaca.core.account import INITIAL_CASH, AccountConfiguration, AccountState, Position
from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.orders import Order, OrderEvent
from components.sandbox.alpaca.core.price_walk import PriceWalk
from components.sandbox.numerics import format_decimal_or_none
from components.sandbox.transport.auth import Credentials

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY, client_order_id TEXT NOT NULL UNIQUE, number INTEGER NOT NULL UNIQUE,
    symbol TEXT NOT NULL, side TEXT NOT NULL, open INTEGER NOT NULL,
    submitted_at_ns INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX orders_open ON orders (open) WHERE open;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY, order_id TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
    at_ns INTEGER NOT NULL, execution_id TEXT, price TEXT, qty TEXT, position_qty TEXT,
    cum_qty TEXT NOT NULL, leaves_qty TEXT NOT NULL
);
CREATE INDEX events_of_an_order ON events (order_id);
CREATE INDEX events_that_are_fills ON events (at_ns) WHERE price IS NOT NULL;
CREATE INDEX events_by_execution ON events (execution_id) WHERE execution_id IS NOT NULL;
CREATE TABLE positions (symbol TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
T = TypeVar("T")
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


class AccountTotals(Struct, frozen=True):
    """Cash and counters, which every order event may change."""

    cash: Decimal = INITIAL_CASH
    orders_count: int = 0
    executions_count: int = 0


class MarketState(Struct, frozen=True):
    """The walks, quotes and trade count of the simulated market."""

    walks: list[PriceWalk] = []
    quotes: list[Quote] = []
    trades_count: int = 0


class StateChange(Struct, frozen=True, kw_only=True):
    """All changes of one transition, written in one transaction."""

    events: tuple[OrderEvent, ...] = ()
    orders: tuple[Order, ...] = ()
    positions: tuple[Position, ...] = ()
    account: AccountTotals | None = None
    configuration: AccountConfiguration | None = None
    credentials: Credentials | None = None
    prices: MarketState | None = None


class StoredState(Struct, frozen=True):
    """The state that a start reads back."""

    account: AccountState
    credentials: Credentials | None
    market_state: MarketState


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open the database, creating its tables if there are none; without a path it is in memory only."""
    try:
        if path is not None:
            path.touch(mode=0o600)  # it contains the account's secret
        connection = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except (sqlite3.OperationalError, OSError) as error:
        raise StorageError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise CorruptData(f"{path}: {error}") from error
    if version not in {0, SCHEMA_VERSION}:
        raise CorruptData(f"{path}: written with schema version {version}, this release reads version {SCHEMA_VERSION}")
    return connection


def write_change(connection: sqlite3.Connection, change: StateChange) -> None:
    """Write one change inside the current transaction."""
    for event in change.events:
        _write_event(connection, event)
    _write_orders(connection, (*(event.order for event in change.events), *change.orders))
    connection.executemany(
        "INSERT OR REPLACE INTO positions VALUES (?, ?)",
        [(position.symbol, msgpack.encode(position)) for position in change.positions],
    )
    for name in ("account", "configuration", "credentials", "prices"):
        if (fact := getattr(change, name)) is not None:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, msgpack.encode(fact)))


def load_state(connection: sqlite3.Connection) -> StoredState:
    """Read back everything that the venue needs to continue."""
    try:
        return _load(connection)
    except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError) as error:
        raise CorruptData(f"the venue database: {error}") from error


def _load(connection: sqlite3.Connection) -> StoredState:
    totals = _load_fact(connection, "account", AccountTotals) or AccountTotals()
    market_state = _load_fact(connection, "prices", MarketState) or MarketState()
    account = AccountState(
        cash=totals.cash,
        positions={held.symbol: held for held in _load_all(connection, "SELECT body FROM positions", Position)},
        orders={
            order.order_id: order
            for order in _load_all(connection, "SELECT body FROM orders WHERE open ORDER BY number", Order)
        },
        used_client_order_ids={row[0] for row in connection.execute("SELECT client_order_id FROM orders")},
        configuration=_load_fact(connection, "configuration", AccountConfiguration) or AccountConfiguration(),
        quotes={quote.symbol: quote for quote in market_state.quotes},
        orders_count=totals.orders_count,
        executions_count=totals.executions_count,
    )
    return StoredState(account, _load_fact(connection, "credentials", Credentials), market_state)


def _write_event(connection: sqlite3.Connection, event: OrderEvent) -> None:
    order = event.order
    connection.execute(
        "INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order.order_id,
            event.kind,
            order.status,
            event.at_ns,
            event.execution_id,
            format_decimal_or_none(event.price),
            format_decimal_or_none(event.qty),
            format_decimal_or_none(event.position_qty),
            format_decimal_or_none(order.filled_qty),
            format_decimal_or_none(order.remaining),
        ),
    )


def _write_orders(connection: sqlite3.Connection, orders: Iterable[Order]) -> None:
    # The client order id is unique in the table too: a duplicate would raise here.
    for order in orders:
        connection.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (order_id) DO UPDATE SET open = excluded.open, body = excluded.body",
            (
                order.order_id,
                order.client_order_id,
                order.number,
                order.terms.symbol,
                order.terms.side,
                order.is_open,
                order.submitted_at_ns,
                msgpack.encode(order),
            ),
        )


def _load_fact(connection: sqlite3.Connection, name: str, kind: type[T]) -> T | None:
    row = connection.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else msgpack.decode(row[0], type=kind)


def _load_all(connection: sqlite3.Connection, statement: str, kind: type[T]) -> list[T]:
    return [msgpack.decode(row[0], type=kind) for row in connection.execute(statement)]


class OrderFilter(Struct, frozen=True, kw_only=True):
    """Criteria of a list of orders."""

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
    """Criteria of a page of fills; both time bounds are exclusive."""

    after_ns: int | None = None
    until_ns: int | None = None
    after_execution_id: str | None = None
    ascending: bool = False
    limit: int = 100


def find_order(column: str, value: str) -> Callable[[sqlite3.Connection], Order | None]:
    """Return a query for one order by its id or its client order id."""
    statement = {
        "order_id": "SELECT body FROM orders WHERE order_id = ?",
        "client_order_id": "SELECT body FROM orders WHERE client_order_id = ?",
    }[column]

    def query(connection: sqlite3.Connection) -> Order | None:
        row = connection.execute(statement, (value,)).fetchone()
        return None if row is None else msgpack.decode(row[0], type=Order)

    return query


def select_orders(criteria: OrderFilter) -> Callable[[sqlite3.Connection], list[Order]]:
    """Return a query for a page of orders."""
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
    """Return a query for a page of fills."""
    sign = ">" if criteria.ascending else "<"
    after_execution = f"events.sequence {sign} (SELECT sequence FROM events WHERE execution_id = ?)"  # noqa: S608 - a constant
    clauses = [
        ("events.at_ns > ?", criteria.after_ns),
        ("events.at_ns < ?", criteria.until_ns),
        (after_execution, criteria.after_execution_id),
    ]
    kept = [(text, value) for text, value in clauses if value is not None]
    direction = "ASC" if criteria.ascending else "DESC"
    statement = " AND ".join((_FILL, *(text for text, _ in kept))) + f" ORDER BY events.sequence {direction} LIMIT ?"
    values = (*(value for _, value in kept), criteria.limit)

    def query(connection: sqlite3.Connection) -> list[Row]:
        return [dict(zip(_FILL_FIELDS, row, strict=True)) for row in connection.execute(statement, values)]

    return query


def order_histories(connection: sqlite3.Connection) -> dict[str, list[Row]]:
    """Return all events of every order."""
    statement = f"SELECT order_id, {', '.join(_EVENT_FIELDS)} FROM events ORDER BY sequence"  # noqa: S608 - constants only
    histories: dict[str, list[Row]] = {}
    for order_id, *facts in connection.execute(statement):
        histories.setdefault(order_id, []).append(dict(zip(_EVENT_FIELDS, facts, strict=True)))
    return histories


def count_events(connection: sqlite3.Connection) -> int:
    """Return the number of order events since the database was created."""
    count: int = connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0]
    return count
