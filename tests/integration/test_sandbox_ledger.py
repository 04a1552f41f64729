"""The venue's memory answers only from what is on disk, and a disk that fails is noticed."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from components.contracts.errors import DamagedData, IoFailed
from components.sandbox.server.ledger import Ledger
from components.sandbox.server.queries import OrderFilter, events_count, order_by, orders_like
from components.sandbox.server.store import SCHEMA_VERSION, Account, Change
from tests.support.sandbox import place, venue

pytestmark = pytest.mark.integration


def test_a_query_sees_what_was_appended_before_it() -> None:
    async def scenario() -> None:
        ledger = Ledger(None)
        ledger.start()
        _ = ledger.append(Change(events=place(venue(), client_order_id="one")))
        assert await ledger.ask(order_by("client_order_id", "one")) is not None
        ledger.close()

    asyncio.run(scenario())


def test_what_was_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    made = venue()
    events = place(made, qty=2, client_order_id="kept")

    async def first_life() -> None:
        ledger = Ledger(tmp_path)
        ledger.start()
        positions = tuple(made.books.positions.values())
        await ledger.append(Change(events=events, positions=positions, account=Account(made.books.cash, 1, 1)))
        assert await ledger.ask(events_count) == len(events)
        assert [one.client_order_id for one in await ledger.ask(orders_like(OrderFilter()))] == ["kept"]
        ledger.close()

    asyncio.run(first_life())
    ledger = Ledger(tmp_path)
    books = ledger.load().books
    ledger.close()
    assert books.used_ids == {"kept"}
    assert (books.cash, books.positions, books.orders) == (made.books.cash, made.books.positions, made.books.orders)


def test_a_failing_disk_ends_the_venue_and_answers_nobody() -> None:
    async def scenario() -> None:
        ledger = Ledger(None)
        ledger.start()
        await ledger.ask(lambda connection: connection.execute("DROP TABLE orders"))
        answer = ledger.append(Change(events=place(venue())))
        with pytest.raises(IoFailed, match="no such table"):
            await ledger.failed
        assert not answer.done()
        ledger.close()

    asyncio.run(scenario())


def test_books_of_another_version_are_refused(tmp_path: Path) -> None:
    async def mark() -> None:
        ledger = Ledger(tmp_path)
        ledger.start()
        await ledger.ask(lambda connection: connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}"))
        ledger.close()

    asyncio.run(mark())
    with pytest.raises(DamagedData, match="version"):
        Ledger(tmp_path)


def test_the_table_too_keeps_client_ids_unique() -> None:
    async def scenario() -> None:
        ledger = Ledger(None)
        ledger.start()
        (received, *_) = place(venue(), client_order_id="same")
        other = replace(received, order=replace(received.order, order_id="other", number=2))
        _ = ledger.append(Change(events=(received,)))
        _ = ledger.append(Change(events=(other,)))
        with pytest.raises(IoFailed, match="client_order_id"):
            await ledger.failed
        ledger.close()

    asyncio.run(scenario())
