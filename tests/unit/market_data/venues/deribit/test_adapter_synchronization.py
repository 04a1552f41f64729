"""Deribit's books in sync: an exact chain from the pushed snapshot, and a new subscription after a gap."""

import json

import pytest

from components.contracts.errors import ProtocolError
from components.contracts.market import BookState
from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits, SyncResult
from components.market_data.core.events import DepthSnapshot, DepthUpdate
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.deribit.adapter import DeribitAdapter
from components.market_data.venues.deribit.requests import DeribitSettings

BTC = Symbol("DERIBIT:BTC-USD-PERP")


MS_NS = 1_000_000


ROW = {
    "instrument_name": "BTC-PERPETUAL",
    "kind": "future",
    "instrument_type": "reversed",
    "settlement_period": "perpetual",
    "base_currency": "BTC",
    "quote_currency": "USD",
}


class Venue:
    """An adapter, and one order book fed with what it decodes."""

    def __init__(self) -> None:
        self.adapter = DeribitAdapter("wss://venue", "https://venue", DeribitSettings())
        self.adapter.set_instruments(
            InstrumentRegistry(self.adapter.decode_instruments([json.dumps({"result": [ROW]}).encode()]))
        )
        self.book = BookSynchronizer(BTC, self.adapter.sequence_rule, SyncLimits(), 0, lambda: 0.5)
        self.book.on_subscribed(0, pushes_snapshot=self.adapter.pushes_snapshot)

    def receive(self, kind: str, change_id: int, *bids: list[object], previous: int | None = None) -> SyncResult:
        """Decode one frame of the book channel and apply it."""
        data = {"type": kind, "timestamp": 1, "instrument_name": "BTC-PERPETUAL", "change_id": change_id}
        more = {} if previous is None else {"prev_change_id": previous}
        params = {"channel": "book.BTC-PERPETUAL.100ms", "data": {**data, **more, "bids": bids, "asks": []}}
        frame = {"jsonrpc": "2.0", "method": "subscription", "params": params}
        (found,) = self.adapter.decode(json.dumps(frame, separators=(",", ":")).encode(), 1).data
        if isinstance(found, DepthSnapshot):
            return self.book.apply_snapshot(found)
        assert isinstance(found, DepthUpdate)
        return self.book.apply_update(found)

    def bids(self) -> list[tuple[str, ...]]:
        """Return the bids."""
        return self.book.book.top(10)[0]


def test_the_book_follows_its_snapshot_change_by_change() -> None:
    venue = Venue()
    assert venue.receive("snapshot", 100, ["new", 5.5, 10.0], ["new", 5.0, 20.0]) is SyncResult.SYNCED
    assert venue.receive("change", 105, ["delete", 5.5, 0.0], ["change", 5.0, 30.0], previous=100) is SyncResult.APPLIED
    assert venue.bids() == [("5", "30")]


def test_deleting_an_absent_level_is_allowed() -> None:
    venue = Venue()
    venue.receive("snapshot", 100, ["new", 5.5, 10.0])
    assert venue.receive("change", 101, ["delete", 4.5, 0.0], ["change", 4.0, 1.0], previous=100) is SyncResult.APPLIED
    assert venue.bids() == [("5.5", "10"), ("4", "1")]


def test_a_change_that_reaches_over_the_book_is_a_gap_here() -> None:
    venue = Venue()
    venue.receive("snapshot", 100, ["new", 5.5, 10.0])
    assert venue.receive("change", 105, previous=99) is SyncResult.DESYNCED
    assert venue.book.state is BookState.GAP


def test_after_a_gap_the_channel_is_resubscribed_and_nothing_fetched() -> None:
    venue = Venue()
    venue.receive("snapshot", 100, ["new", 5.5, 10.0])
    assert venue.receive("change", 110, previous=108) is SyncResult.DESYNCED
    assert venue.book.next_resync(5_000 * MS_NS) is ResyncMethod.RESUBSCRIBE
    assert venue.receive("change", 112, previous=110) is SyncResult.BUFFERED
    assert venue.book.next_resync(60_000 * MS_NS) is ResyncMethod.RESUBSCRIBE
    assert venue.receive("snapshot", 120, ["new", 6.0, 1.0]) is SyncResult.SYNCED
    assert venue.receive("change", 112, previous=110) is SyncResult.STALE
    assert venue.receive("change", 121, ["new", 6.5, 2.0], previous=120) is SyncResult.APPLIED
    assert venue.bids() == [("6.5", "2"), ("6", "1")]


def test_a_missing_snapshot_is_requested_by_a_new_subscription() -> None:
    assert Venue().book.next_resync(3_000 * MS_NS) is ResyncMethod.RESUBSCRIBE


def snapshot_body(**facts: object) -> bytes:
    usual = {"timestamp": 7, "instrument_name": "BTC-PERPETUAL", "change_id": 9, "bids": [[5.5, 10.0]], "asks": []}
    return json.dumps({"jsonrpc": "2.0", "result": {**usual, **facts}}).encode()


def test_a_book_can_be_fetched_for_comparison() -> None:
    adapter = Venue().adapter
    assert (
        adapter.snapshot_request(BTC).path == "/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=10000"
    )
    found = adapter.decode_snapshot(BTC, snapshot_body(), 1)
    assert (found.last_id, found.bids, found.asks, found.is_pushed) == (9, [("5.5", "10")], [], False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        snapshot_body(instrument_name="ETH-PERPETUAL"),
        snapshot_body(change_id=None),
        snapshot_body(bids=[[1]]),
        snapshot_body(bids=[[1, -1]]),
    ],
)
def test_a_body_without_a_book_of_this_symbol_is_rejected(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"DERIBIT:BTC-USD-PERP"):
        Venue().adapter.decode_snapshot(BTC, body, 1)
