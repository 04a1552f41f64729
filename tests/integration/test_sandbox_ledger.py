"""The ledger answers from durable data only, and reports a failing disk."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from components.contracts.errors import CorruptData, StorageError
from components.sandbox.alpaca.server.ledger import Ledger
from components.sandbox.alpaca.server.storage import (
    SCHEMA_VERSION,
    AccountTotals,
    OrderFilter,
    StateChange,
    count_events,
    find_order,
    select_orders,
)
from tests.support.sandbox_venue import make_venue, place_order

pytestmark = pytest.mark.integration


def test_a_query_sees_what_was_appended_before_it() -> None:
    async def scenario() -> None:
        ledger = Ledger(None)
        ledger.start()
        _ = ledger.append(StateChange(events=place_order(make_venue(), client_order_id="one")))
        assert await ledger.query(find_order("client_order_id", "one")) is not None
        ledger.close()

    asyncio.run(scenario())


def test_written_changes_are_loaded_at_the_next_start(tmp_path: Path) -> None:
    made = make_venue()
    events = place_order(made, qty=2, client_order_id="kept")

    async def first_life() -> None:
        ledger = Ledger(tmp_path)
        ledger.start()
        positions = tuple(made.account.positions.values())
        await ledger.append(
            StateChange(events=events, positions=positions, account=AccountTotals(made.account.cash, 1, 1))
        )
        assert await ledger.query(count_events) == len(events)
        assert [one.client_order_id for one in await ledger.query(select_orders(OrderFilter()))] == ["kept"]
        ledger.close()

    asyncio.run(first_life())
    ledger = Ledger(tmp_path)
    books = ledger.load().account
    ledger.close()
    assert books.used_client_order_ids == {"kept"}
    assert (books.cash, books.positions, books.orders) == (
        made.account.cash,
        made.account.positions,
        made.account.orders,
    )


def test_a_failing_disk_stops_the_venue_without_answers() -> None:
    async def scenario() -> None:
        ledger = Ledger(None)
        ledger.start()
        await ledger.query(lambda connection: connection.execute("DROP TABLE orders"))
        answer = ledger.append(StateChange(events=place_order(make_venue())))
        with pytest.raises(StorageError, match="no such table"):
            await ledger.failed
        assert not answer.done()
        ledger.close()

    asyncio.run(scenario())


def test_a_database_of_another_version_is_rejected(tmp_path: Path) -> None:
    async def mark() -> None:
        ledger = Ledger(tmp_path)
        ledger.start()
        await ledger.query(lambda connection: connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}"))
        ledger.close()

    asyncio.run(mark())
    with pytest.raises(CorruptData, match="version"):
        Ledger(tmp_path)


def test_the_table_enforces_unique_client_order_ids() -> None:
    async def scenario() -> None:
        ledger = Ledger(None)
        ledger.start()
        (received, *_) = place_order(make_venue(), client_order_id="same")
        other = replace(received, order=replace(received.order, order_id="other", number=2))
        _ = ledger.append(StateChange(events=(received,)))
        _ = ledger.append(StateChange(events=(other,)))
        with pytest.raises(StorageError, match="client_order_id"):
            await ledger.failed
        ledger.close()

    asyncio.run(scenario())
