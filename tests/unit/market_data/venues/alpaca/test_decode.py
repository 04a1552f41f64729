"""Alpaca's crypto frames: books, quotes and trades are decoded; broken parts become decode issues."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import ProtocolError
from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits, SyncResult
from components.market_data.core.events import NO_ID, DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind, MarketEvent
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import ApiCredentials
from components.market_data.venues.alpaca.adapter import AlpacaCryptoAdapter
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.runtime.config.secrets import Secret

BTC, ETH = Symbol("ALPACA:BTC-USD"), Symbol("ALPACA:ETH-USD")


AT_NS = 1_767_225_600_456_000_000


VENUE_AT_NS = 1_767_225_600_123_456_789


TIME = '"t":"2026-01-01T00:00:00.123456789Z"'


BOOK = (
    '{"T":"o","S":"BTC/USD",'
    + TIME
    + ',"b":[{"p":90000.5,"s":1.50},{"p":89999,"s":5e-05}],"a":[{"p":90001,"s":2}],"r":true}'
)


CHANGE = '{"T":"o","S":"BTC/USD",' + TIME + ',"b":[{"p":90000.5,"s":0}],"a":[]}'


QUOTE = '{"T":"q","S":"BTC/USD","bp":90000.5,"bs":1.5,"ap":90001,"as":2,' + TIME + "}"


TRADE = '{"T":"t","S":"ETH/USD","p":3100.25,"s":0.000000001,"i":7,"tks":"B",' + TIME + "}"


def make_adapter() -> AlpacaCryptoAdapter:
    credentials = ApiCredentials(Secret(b"KEY"), Secret(b"SECRET"))
    adapter = AlpacaCryptoAdapter("ws://venue/v1beta3/crypto/us", "http://venue", CryptoSettings(), credentials)
    body = json.dumps({"orderbooks": {"BTC/USD": {}, "ETH/USD": {}}}).encode()
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([body])))
    return adapter


def read(*messages: str) -> list[MarketEvent]:
    found = make_adapter().decode(f"[{','.join(messages)}]".encode(), AT_NS)
    assert not found.control
    return list(found.data)


def issues(text: str) -> list[tuple[IssueKind, Symbol | None]]:
    found = make_adapter().decode(text.encode(), AT_NS).data
    return [(one.kind, one.symbol) for one in found if isinstance(one, DecodeIssue)]


def test_a_full_book_is_a_pushed_snapshot() -> None:
    bids, asks = [("90000.5", "1.5"), ("89999", "0.00005")], [("90001", "2")]
    assert read(BOOK) == [DepthSnapshot(BTC, 1, bids, asks, VENUE_AT_NS, AT_NS, is_pushed=True)]


def test_a_change_sets_levels_and_removes_them_by_zero() -> None:
    assert read(CHANGE) == [DepthUpdate(BTC, 0, 1, [("90000.5", "0")], [], VENUE_AT_NS, AT_NS)]


def test_books_get_ids_by_counting_because_the_venue_sends_none() -> None:
    adapter, numbers = make_adapter(), list[int]()
    for message in (BOOK, QUOTE, CHANGE, TRADE, BOOK):
        found = adapter.decode(f"[{message}]".encode(), AT_NS).data
        numbers += [one.last_id for one in found if isinstance(one, DepthSnapshot | DepthUpdate)]
    assert numbers == [1, 2, 3]


def test_a_frame_holds_many_messages_in_their_order() -> None:
    book, quote, trade, change = read(BOOK, QUOTE, TRADE, CHANGE)
    assert isinstance(book, DepthSnapshot)
    assert isinstance(change, DepthUpdate)
    venue, price = make_adapter().venue, Decimal("90000.5")
    assert quote == Quote(venue, BTC, price, Decimal("1.5"), Decimal(90001), Decimal(2), VENUE_AT_NS, AT_NS)
    assert trade == Trade(venue, ETH, Decimal("3100.25"), Decimal("0.000000001"), VENUE_AT_NS, AT_NS)


def test_unknown_fields_change_nothing() -> None:
    assert read(BOOK.replace('"r"', '"news":{"x":[1.5]},"r"')) == read(BOOK)


def test_a_pair_that_was_not_subscribed_is_unlisted() -> None:
    assert issues(f"[{BOOK.replace('BTC', 'DOGE')},{QUOTE.replace('BTC', 'DOGE')}]") == [(IssueKind.UNLISTED, None)] * 2


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("1.50", "-1.5"),
        ("1.50", "1e999"),
        ("1.50", '"1.5.5"'),
        ("1.50", "null"),
        ("1.50", "[]"),
        ('"s":1.50', '"size":1.5'),
        ("2026-01-01", "2026-13-01"),
        ('"b":[', '"b":[7,'),
        ('"r":true', '"r":"yes"'),
    ],
)
def test_a_broken_book_message_is_reported_for_its_book_only(good: str, bad: str) -> None:
    assert good in BOOK
    found = make_adapter().decode(f"[{TRADE},{BOOK.replace(good, bad)}]".encode(), AT_NS).data
    assert isinstance(found[0], Trade)
    assert isinstance(found[1], DecodeIssue)
    assert (found[1].kind, found[1].symbol) == (IssueKind.MALFORMED, BTC)


def test_a_broken_frame_is_reported_for_every_book_named_in_it() -> None:
    broken = f"[{BOOK},{CHANGE.replace('BTC', 'ETH')},{{]"
    assert issues(broken) == [(IssueKind.MALFORMED, BTC), (IssueKind.MALFORMED, ETH)]


def test_a_broken_quote_is_reported_for_no_book() -> None:
    assert issues(f"[{QUOTE.replace('90001', '-1')}]") == [(IssueKind.MALFORMED, None)]
    assert issues(f"[{QUOTE}") == [(IssueKind.MALFORMED, None)]


@pytest.mark.parametrize("text", ["", "{}", "7", "null", "[7]", '[{"S":"BTC/USD"}]', "[" * 100_000])
def test_a_frame_without_messages_is_malformed(text: str) -> None:
    assert issues(text) == [(IssueKind.MALFORMED, None)]


def test_an_unknown_message_type_is_reported_as_unknown() -> None:
    assert issues('[{"T":"b","S":"BTC/USD","o":1.5}]') == [(IssueKind.UNKNOWN, None)]


ADAPTER = make_adapter()


@given(st.sampled_from((BOOK, CHANGE, QUOTE, TRADE)), st.data())
def test_mutated_frames_never_raise(message: str, data: st.DataObject) -> None:
    mutated = bytearray(f"[{message}]".encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        mutated[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    ADAPTER.decode(bytes(mutated), AT_NS)


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(noise: bytes) -> None:
    ADAPTER.decode(noise, AT_NS)


def test_a_book_follows_arrival_order_and_is_resubscribed_after_a_broken_frame() -> None:
    book = BookSynchronizer(BTC, ADAPTER.sequence_rule, SyncLimits(), 0, lambda: 0.5)
    book.on_subscribed(0, pushes_snapshot=ADAPTER.pushes_snapshot)
    snapshot, change = read(BOOK, CHANGE)
    assert isinstance(snapshot, DepthSnapshot)
    assert isinstance(change, DepthUpdate)
    assert book.apply_update(change) is SyncResult.BUFFERED
    assert book.apply_snapshot(snapshot) is SyncResult.SYNCED
    assert book.apply_update(change) is SyncResult.APPLIED
    assert (book.state, book.book.top(1)[0]) == (BookState.SYNCED, [("89999", "0.00005")])
    book.resync(BookState.GAP, "a frame was broken", AT_NS)
    assert book.next_resync(AT_NS + 5_000_000_000) is ResyncMethod.RESUBSCRIBE
    assert book.apply_snapshot(snapshot) is SyncResult.SYNCED
    assert book.book.top(1)[0] == [("90000.5", "1.5")]


def test_a_book_can_be_fetched_for_comparison() -> None:
    assert ADAPTER.snapshot_request(BTC).path == "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD"
    body = '{"orderbooks":{"BTC/USD":{' + TIME + ',"b":[{"p":90000.5,"s":1.5}],"a":[]}}}'
    found = ADAPTER.decode_snapshot(BTC, body.encode(), AT_NS)
    assert found == DepthSnapshot(BTC, NO_ID, [("90000.5", "1.5")], [], VENUE_AT_NS, AT_NS, is_pushed=False)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"orderbooks":{}}', b'{"orderbooks":{"ETH/USD":{"t":"2026-01-01T00:00:00Z"}}}']
)
def test_a_body_without_a_book_of_this_pair_is_rejected(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"ALPACA:BTC-USD"):
        ADAPTER.decode_snapshot(BTC, body, AT_NS)
