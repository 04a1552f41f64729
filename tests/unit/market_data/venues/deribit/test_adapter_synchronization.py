"""Deribit's books in sync: an exact chain from the snapshot on the stream, and a new subscription after a gap."""

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
    """A dialect and one book that is kept by what it reads."""

    def __init__(self) -> None:
        self.dialect = DeribitAdapter("wss://venue", "https://venue", DeribitSettings())
        self.dialect.set_instruments(
            InstrumentRegistry(self.dialect.decode_instruments([json.dumps({"result": [ROW]}).encode()]))
        )
        self.book = BookSynchronizer(BTC, self.dialect.sequence_rule, SyncLimits(), 0, lambda: 0.5)
        self.book.on_subscribed(0, pushes_snapshot=self.dialect.pushes_snapshot)

    def hear(self, kind: str, change_id: int, *bids: list[object], previous: int | None = None) -> SyncResult:
        """Take one frame of the book's channel."""
        data = {"type": kind, "timestamp": 1, "instrument_name": "BTC-PERPETUAL", "change_id": change_id}
        more = {} if previous is None else {"prev_change_id": previous}
        params = {"channel": "book.BTC-PERPETUAL.100ms", "data": {**data, **more, "bids": bids, "asks": []}}
        frame = {"jsonrpc": "2.0", "method": "subscription", "params": params}
        (found,) = self.dialect.decode(json.dumps(frame, separators=(",", ":")).encode(), 1).data
        if isinstance(found, DepthSnapshot):
            return self.book.apply_snapshot(found)
        assert isinstance(found, DepthUpdate)
        return self.book.apply_update(found)

    def bids(self) -> list[tuple[str, ...]]:
        """Show one side."""
        return self.book.book.top(10)[0]


def test_the_book_follows_its_snapshot_change_by_change() -> None:
    venue = Venue()
    assert venue.hear("snapshot", 100, ["new", 5.5, 10.0], ["new", 5.0, 20.0]) is SyncResult.SYNCED
    assert venue.hear("change", 105, ["delete", 5.5, 0.0], ["change", 5.0, 30.0], previous=100) is SyncResult.APPLIED
    assert venue.bids() == [("5", "30")]


def test_a_delete_of_what_is_not_there_is_no_fault() -> None:
    venue = Venue()
    venue.hear("snapshot", 100, ["new", 5.5, 10.0])
    assert venue.hear("change", 101, ["delete", 4.5, 0.0], ["change", 4.0, 1.0], previous=100) is SyncResult.APPLIED
    assert venue.bids() == [("5.5", "10"), ("4", "1")]


def test_a_change_that_reaches_over_the_book_is_a_gap_here() -> None:
    venue = Venue()
    venue.hear("snapshot", 100, ["new", 5.5, 10.0])
    assert venue.hear("change", 105, previous=99) is SyncResult.DESYNCED
    assert venue.book.state is BookState.GAP


def test_after_a_gap_the_stream_is_asked_for_anew_and_nothing_is_fetched() -> None:
    venue = Venue()
    venue.hear("snapshot", 100, ["new", 5.5, 10.0])
    assert venue.hear("change", 110, previous=108) is SyncResult.DESYNCED
    assert venue.book.next_resync(5_000 * MS_NS) is ResyncMethod.RESUBSCRIBE
    assert venue.hear("change", 112, previous=110) is SyncResult.BUFFERED
    assert venue.book.next_resync(60_000 * MS_NS) is ResyncMethod.RESUBSCRIBE
    assert venue.hear("snapshot", 120, ["new", 6.0, 1.0]) is SyncResult.SYNCED
    assert venue.hear("change", 112, previous=110) is SyncResult.STALE
    assert venue.hear("change", 121, ["new", 6.5, 2.0], previous=120) is SyncResult.APPLIED
    assert venue.bids() == [("6.5", "2"), ("6", "1")]


def test_a_snapshot_that_never_comes_is_asked_for_by_a_new_subscription() -> None:
    assert Venue().book.next_resync(3_000 * MS_NS) is ResyncMethod.RESUBSCRIBE


def image(**facts: object) -> bytes:
    usual = {"timestamp": 7, "instrument_name": "BTC-PERPETUAL", "change_id": 9, "bids": [[5.5, 10.0]], "asks": []}
    return json.dumps({"jsonrpc": "2.0", "result": {**usual, **facts}}).encode()


def test_a_book_can_be_fetched_for_comparison() -> None:
    dialect = Venue().dialect
    assert (
        dialect.snapshot_request(BTC).path == "/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=10000"
    )
    found = dialect.decode_snapshot(BTC, image(), 1)
    assert (found.last_id, found.bids, found.asks, found.is_pushed) == (9, [("5.5", "10")], [], False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        image(instrument_name="ETH-PERPETUAL"),
        image(change_id=None),
        image(bids=[[1]]),
        image(bids=[[1, -1]]),
    ],
)
def test_what_is_no_book_of_this_symbol_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"DERIBIT:BTC-USD-PERP"):
        Venue().dialect.decode_snapshot(BTC, body, 1)
