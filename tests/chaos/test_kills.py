"""Each process killed while trading comes back by itself; nothing is doubled, nothing is lost."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.contracts.orders import Filled, OrderSending, OrderState, OrderUpdated
from components.contracts.topics import ORDERS
from components.runtime import journal
from components.runtime.codec import decoder_of
from tests.support.eventually import eventually
from tests.support.running import Up, started

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]

KILLED = ("market_data", "signals", "risk", "execution", "sandbox")
BACK_S_MAX = 40


def order_records(up: Up) -> list[Any]:
    decode = decoder_of(ORDERS)
    return [decode(record.payload) for record in journal.read(up.account / "execution")]


def fills(up: Up) -> int:
    if not list((up.account / "execution").glob("*.log")):
        return 0
    return sum(isinstance(record, Filled) for record in order_records(up))


def venue_orders(up: Up) -> list[dict[str, Any]]:
    venue = up.venue()
    headers = {"APCA-API-KEY-ID": venue["key"], "APCA-API-SECRET-KEY": venue["secret"]}
    found: list[dict[str, Any]] = []
    while True:
        until = {"until": found[-1]["submitted_at"]} if found else {}
        query = {"status": "all", "limit": "500", "direction": "desc", **until}
        page = httpx.get(f"{venue['trading_url']}/v2/orders", params=query, headers=headers, timeout=5).json()
        fresh = [order for order in page if order["id"] not in {one["id"] for one in found}]
        if not fresh:
            return found
        found += fresh


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_process_comes_back_and_no_order_is_doubled_or_lost(name: str, tmp_path: Path) -> None:
    with started(tmp_path) as up:
        eventually(lambda: fills(up) >= 3, within_s=60)
        killed = up.kill(name)
        eventually(lambda: up.is_back(name, killed), within_s=BACK_S_MAX)
        before = fills(up)
        eventually(lambda: fills(up) > before, within_s=BACK_S_MAX)
        sent_before = sent_orders(order_records(up))
        listed = venue_orders(up)
        result = up.stop()
        assert result["positions"] == result["venue_positions"], f"{result}\n{up.said()}"
        assert result["orders"]["unknown"] == 0, f"{result}\n{up.said()}"
        assert result["restarts"].get(name) == 1, result
        records = order_records(up)
    assert_nothing_doubled_or_lost(records, sent_before, listed)


def sent_orders(records: list[Any]) -> set[str]:
    return {str(record.client_order_id) for record in records if isinstance(record, OrderSending)}


def assert_nothing_doubled_or_lost(records: list[Any], sent_before: set[str], listed: list[dict[str, Any]]) -> None:
    last = {str(record.client_order_id): record.state for record in records if isinstance(record, OrderUpdated)}
    at_venue = Counter(order["client_order_id"] for order in listed)
    absent = {OrderState.NEVER_LANDED, OrderState.NEVER_SENT, OrderState.REJECTED}
    assert max(at_venue.values()) == 1, "the venue holds an order twice"
    assert set(at_venue) <= sent_orders(records), "the venue holds an order that was never written down"
    intents = Counter(name.rpartition("-")[0] for name in at_venue)
    assert max(intents.values()) == 1, "one intent became two orders"
    filled = {record.client_order_id: record.cumulative_quantity for record in records if isinstance(record, Filled)}
    for order in listed:
        known = filled.get(order["client_order_id"], 0)
        assert float(order["filled_qty"]) <= float(known), f"a fill was lost: {order}"
    for name in sent_before - set(at_venue):
        assert last[name] in absent, f"{name} was lost"
