"""Commands of execution: run the process, read its journal, query the venue."""

from typing import TYPE_CHECKING, Any

import click

from components.runtime.cli import json_option, print_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from components.contracts.orders import OrderMessage
    from components.execution.core.order import Order
    from components.execution.core.venue_messages import VenueSnapshot

FILLS_SHOWN_S = 3_600


@click.group(help="Submission and tracking of approved orders.")
def cli() -> None:
    """Group the commands."""


@cli.command()
def run() -> None:
    """Serve until SIGTERM."""
    from components.execution.wiring import execution
    from components.runtime.process.process import run_process

    with run_process("execution") as process:
        execution(process)


@cli.command()
@click.option(
    "--last", type=click.IntRange(min=1), default=20, show_default=True, help="Number of newest orders to show."
)
@click.option("--open", "only_open", is_flag=True, help="Show only orders that are not final.")
@json_option
def orders(last: int, *, only_open: bool, as_json: bool) -> None:
    """Show the orders in execution's journal; no process needs to run."""
    from components.contracts.values import format_decimal
    from components.execution.core.state import ExecutionState

    state = ExecutionState()
    for _, record in _journal():
        state.apply(record)
    selected = [order for order in state.orders.values() if not (only_open and order.state.is_final)]
    shown = [_order_facts(order) for order in selected[-last:]]
    facts = {
        "orders": shown,
        "total": len(selected),
        "positions": {symbol: format_decimal(quantity) for symbol, quantity in state.positions.items()},
        "trading_state": state.trading_state,
        "venue_connectivity": state.venue_connectivity,
        "last_sequence": state.sequence,
    }
    print_result(facts, as_json=as_json, text="\n".join([*map(_order_line, shown), _summary(facts)]))


@cli.command()
@click.argument("client_order_id")
@json_option
def order(client_order_id: str, *, as_json: bool) -> int:
    """Show every record of one order; exit code 1 if there is none.

    CLIENT_ORDER_ID may also be an intent id.
    """
    records: list[dict[str, Any]] = []
    for sequence, record in _journal():
        if client_order_id in _ids_in(record):
            records.append({"sequence": sequence, "kind": type(record).__name__, **_fields(record)})
    lines = [f"{one['sequence']:>8}  {one['kind']:<16} {_details(one)}" for one in records]
    print_result(
        {"order": client_order_id, "records": records}, as_json=as_json, text="\n".join(lines) or "no such order"
    )
    return 0 if records else 1


@cli.command()
@click.option("--from", "from_sequence", type=click.IntRange(min=1), help="Sequence of the first record to show.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many records.")
@json_option
def tail(from_sequence: int | None, count: int | None, *, as_json: bool) -> None:
    """Follow the order events of the running execution process."""
    from itertools import islice

    for sequence, body in islice(_order_messages(from_sequence), count):
        facts = {"sequence": sequence, "kind": type(body).__name__, **_fields(body)}
        name = facts.get("client_order_id") or facts.get("intent_id") or ""
        print_result(
            facts, as_json=as_json, text=f"{sequence:>8}  {facts['kind']:<16} {name:<36} {_details(facts)}".rstrip()
        )


@cli.command()
@json_option
def venue(*, as_json: bool) -> None:
    """Query the venue: account, positions, open orders, recent fills.

    Fills are those of the last hour. While `xtrader up` runs, the venue is the sandbox that it started; otherwise the
    configured one.
    """
    from components.contracts.values import format_decimal

    snapshot = _fetch_snapshot()
    facts = {
        "account": snapshot.account.account_number,
        "equity": snapshot.account.equity,
        "cash": snapshot.account.cash,
        "trading_blocked": snapshot.account.trading_blocked,
        "session_open": snapshot.session.is_open,
        "positions": {one.symbol: format_decimal(one.quantity) for one in snapshot.positions},
        "open_orders": [_venue_order_facts(one) for one in snapshot.orders],
        "fills": len(snapshot.fills),
    }
    print_result(facts, as_json=as_json)


def _order_messages(from_sequence: int | None) -> "Iterator[tuple[int, OrderMessage]]":
    from components.contracts.errors import PeerUnreachable
    from components.contracts.streams import ORDERS
    from components.contracts.values import StreamOffset
    from components.runtime.bus.bus import follow
    from components.runtime.config.settings import load_settings
    from components.runtime.process.manifest import read_manifest

    paths = load_settings().paths
    if read_manifest(paths, "execution") is None:
        raise PeerUnreachable(f"execution is not running ({paths.manifest('execution')})")
    since = None if from_sequence is None else StreamOffset(ORDERS.name, "", from_sequence - 1)
    for message in follow(paths.run, ORDERS, since):
        yield message.header.sequence, message.body


def _journal() -> "Iterator[tuple[int, OrderMessage]]":
    from components.contracts.errors import CorruptData, UsageError
    from components.contracts.streams import ORDERS
    from components.runtime.bus.codec import InvalidFrame, message_decoder
    from components.runtime.config.settings import load_settings
    from components.runtime.journal.reader import read_records

    folder = load_settings().paths.journal("execution")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no journal yet; execution has not run")
    decode = message_decoder(ORDERS)
    for record in read_records(folder):
        try:
            yield record.sequence, decode(record.payload)
        except InvalidFrame as error:
            raise CorruptData(f"record {record.sequence}: {error.detail}") from error


def _order_facts(order: "Order") -> dict[str, Any]:
    names = ("client_order_id", "intent_id", "venue_order_id", "symbol", "side", "quantity", "filled", "state")
    return {name: getattr(order, name) for name in names} | {"average_price": order.average_price}


def _order_line(facts: dict[str, Any]) -> str:
    owner = "" if facts["intent_id"] else "  (not ours)"
    what = f"{facts['side']:<4} {facts['filled']}/{facts['quantity']} {facts['symbol']}"
    return f"{facts['client_order_id']:<40} {facts['state']:<17} {what} at {facts['average_price']}{owner}"


def _summary(facts: dict[str, Any]) -> str:
    held = ", ".join(f"{symbol} {quantity}" for symbol, quantity in facts["positions"].items()) or "flat"
    return f"{facts['total']} orders, {held}, trading {facts['trading_state']}, venue {facts['venue_connectivity']}"


def _ids_in(record: "OrderMessage") -> set[str]:
    from components.contracts.orders import ControlReceived, IntentReceived

    about = record.control if isinstance(record, ControlReceived) else record
    names = {getattr(about, "client_order_id", None), getattr(about, "intent_id", None)}
    if isinstance(record, IntentReceived):
        names.add(record.intent.intent_id)
    return {name for name in names if name}


def _fields(value: Any) -> Any:  # noqa: ANN401  # any field of a record
    """Return a record's fields by name, without the sealed frame."""
    from msgspec import Struct

    if isinstance(value, Struct):
        return {name: _fields(getattr(value, name)) for name in value.__struct_fields__ if name != "frame"}
    return [_fields(one) for one in value] if isinstance(value, tuple) else value


def _details(facts: dict[str, Any]) -> str:
    shown = ("state", "source", "quantity", "price", "cumulative_quantity", "filled_quantity", "reason", "fence")
    return " ".join(f"{name}={facts[name]}" for name in shown if facts.get(name) is not None)


def _venue_order_facts(order: Any) -> dict[str, Any]:  # noqa: ANN401  # VenueOrder; its module is imported on demand
    names = ("client_order_id", "venue_order_id", "symbol", "side", "quantity", "filled_quantity", "venue_status")
    return {name: getattr(order, name) for name in names}


def _fetch_snapshot() -> "VenueSnapshot":
    import asyncio

    from components.contracts.errors import VenueUnavailable
    from components.execution.config import ExecutionConfig
    from components.execution.core.venue_messages import FetchVenueSnapshot, VenueSnapshot
    from components.execution.venues.alpaca.http_client import ApiKeys, HttpClient
    from components.execution.venues.alpaca.rest import AccountReader
    from components.runtime.clock import NS_PER_S, SystemClock
    from components.runtime.config.secrets import resolve
    from components.runtime.config.settings import read_layers_with_overlay

    layers, clock = read_layers_with_overlay(), SystemClock()
    settings = layers.validate({"execution": ExecutionConfig})
    config = settings.table("execution", ExecutionConfig).alpaca
    key, secret = (
        resolve(one, root=settings.paths.root, environ=layers.environ) for one in (config.key, config.secret)
    )

    async def fetch() -> object:
        http = HttpClient(config, ApiKeys(key, secret))
        try:
            return await AccountReader(http, clock).fetch_snapshot(
                FetchVenueSnapshot(0, (), clock.now_ns() - FILLS_SHOWN_S * NS_PER_S)
            )
        finally:
            await http.close()

    snapshot = asyncio.run(fetch())
    if not isinstance(snapshot, VenueSnapshot):
        raise VenueUnavailable(f"{config.trading_url}: {snapshot}")
    return snapshot
