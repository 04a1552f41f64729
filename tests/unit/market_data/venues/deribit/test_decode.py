"""Deribit's notifications become snapshots, updates, quotes and trades; broken frames become decode issues."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.market import Quote, Trade
from components.contracts.values import ZERO, Symbol
from components.market_data.core.events import DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.deribit.adapter import DeribitAdapter
from components.market_data.venues.deribit.requests import DeribitSettings

PERPETUAL = Symbol("DERIBIT:BTC-USD-PERP")


AT_NS = 1_767_225_600_456_000_000


VENUE_AT_NS = 1_767_225_600_123_000_000


ROWS = b"""{"jsonrpc":"2.0","result":[
{"instrument_name":"BTC-PERPETUAL","kind":"future","instrument_type":"reversed","settlement_period":"perpetual",
 "base_currency":"BTC","quote_currency":"USD","settlement_currency":"BTC","tick_size":0.5,"contract_size":10,
 "min_trade_amount":10,"expiration_timestamp":32503708800000},
{"instrument_name":"ETH-PERPETUAL","kind":"future","instrument_type":"reversed","settlement_period":"perpetual",
 "base_currency":"ETH","quote_currency":"USD","settlement_currency":"ETH","tick_size":0.05,"contract_size":1,
 "min_trade_amount":1,"expiration_timestamp":32503708800000}]}"""


SNAPSHOT = (
    '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":'
    '{"type":"snapshot","timestamp":1767225600123,"instrument_name":"BTC-PERPETUAL","change_id":100,'
    '"bids":[["new",90000.5,1000.0],["new",5e-05,30]],"asks":[["new",90001,20]]}}}'
)


CHANGE = (
    '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":'
    '{"type":"change","timestamp":1767225600123,"prev_change_id":100,"instrument_name":"BTC-PERPETUAL",'
    '"change_id":107,"bids":[["delete",90000.5,0.0],["change",90000.0,4714.0]],"asks":[["new",90000.5,10.0]]}}}'
)


QUOTE = (
    '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"quote.BTC-PERPETUAL","data":'
    '{"timestamp":1767225600123,"instrument_name":"BTC-PERPETUAL","best_bid_price":90000.5,'
    '"best_bid_amount":1000.0,"best_ask_price":90001,"best_ask_amount":20}}}'
)


TRADES = (
    '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.100ms","data":['
    '{"trade_seq":8,"trade_id":"43","timestamp":1767225600123,"price":90001.0,"amount":20.0,"direction":"buy",'
    '"tick_direction":0,"index_price":90000.1,"mark_price":90000.4,"instrument_name":"BTC-PERPETUAL"},'
    '{"trade_seq":7,"trade_id":"42","timestamp":1767225600123,"price":90000.5,"amount":10.0,"direction":"sell",'
    '"instrument_name":"BTC-PERPETUAL","liquidation":"T"}]}}'
)


TICKER = (
    '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.BTC-PERPETUAL.100ms","data":'
    '{"timestamp":1767225600123,"instrument_name":"BTC-PERPETUAL","stats":{"volume":null},"greeks":{"vega":1.5}}}}'
)


def make_adapter() -> DeribitAdapter:
    adapter = DeribitAdapter("wss://venue/ws/api/v2", "https://venue", DeribitSettings())
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([ROWS])))
    return adapter


def only(text: str, adapter: DeribitAdapter | None = None) -> object:
    decoded = (adapter or make_adapter()).decode(text.encode(), AT_NS)
    assert not decoded.control
    (found,) = decoded.data
    return found


def issue_of(text: str) -> DecodeIssue:
    found = only(text)
    assert isinstance(found, DecodeIssue)
    return found


def test_a_snapshot_is_pushed_and_in_plain_texts() -> None:
    assert only(SNAPSHOT) == DepthSnapshot(
        PERPETUAL,
        100,
        [("90000.5", "1000"), ("0.00005", "30")],
        [("90001", "20")],
        VENUE_AT_NS,
        AT_NS,
        is_pushed=True,
    )


def test_a_snapshot_may_carry_a_null_previous_id() -> None:
    found = only(SNAPSHOT.replace('"change_id":100', '"change_id":100,"prev_change_id":null'))
    assert isinstance(found, DepthSnapshot)


def test_a_change_chains_to_the_one_before_and_deletes_by_zero() -> None:
    assert only(CHANGE) == DepthUpdate(
        PERPETUAL,
        100,
        107,
        [("90000.5", "0"), ("90000", "4714")],
        [("90000.5", "10")],
        VENUE_AT_NS,
        AT_NS,
    )


def test_a_delete_that_carries_an_amount_deletes_all_the_same() -> None:
    found = only(CHANGE.replace('["delete",90000.5,0.0]', '["delete",90000.5,3.0]'))
    assert isinstance(found, DepthUpdate)
    assert found.bids[0] == ("90000.5", "0")


def test_a_change_without_a_previous_id_is_reported_for_its_book() -> None:
    found = issue_of(CHANGE.replace('"prev_change_id":100,', ""))
    assert (found.kind, found.symbol) == (IssueKind.MALFORMED, PERPETUAL)


def test_a_quote_is_the_best_bid_and_ask() -> None:
    assert only(QUOTE) == Quote(
        make_adapter().venue,
        PERPETUAL,
        Decimal("90000.5"),
        Decimal(1000),
        Decimal(90001),
        Decimal(20),
        VENUE_AT_NS,
        AT_NS,
    )


@pytest.mark.parametrize("absent", ["null", "0", "0.0"])
def test_an_absent_side_of_a_quote_is_zero(absent: str) -> None:
    found = only(QUOTE.replace("90000.5", absent).replace("1000.0", absent))
    assert isinstance(found, Quote)
    assert (found.bid_price, found.bid_size) == (ZERO, ZERO)
    assert not found.is_two_sided


def test_trades_come_in_the_order_the_venue_counts_them() -> None:
    decoded = make_adapter().decode(TRADES.encode(), AT_NS)
    trades = [one for one in decoded.data if isinstance(one, Trade)]
    assert [(one.price, one.size) for one in trades] == [
        (Decimal("90000.5"), Decimal(10)),
        (Decimal(90001), Decimal(20)),
    ]


def test_a_ticker_has_no_events() -> None:
    decoded = make_adapter().decode(TICKER.encode(), AT_NS)
    assert not decoded.data
    assert not decoded.control


def test_a_frame_that_is_spaced_otherwise_is_read_the_same() -> None:
    spaced = msgspec.json.format(SNAPSHOT, indent=1)
    assert only(spaced) == only(SNAPSHOT)


@pytest.mark.parametrize("frame", [SNAPSHOT, CHANGE, QUOTE, TRADES])
def test_unknown_fields_change_nothing(frame: str) -> None:
    more = frame.replace('"timestamp"', '"news":{"a":[1,2.5,null]},"timestamp"')
    assert make_adapter().decode(more.encode(), AT_NS) == make_adapter().decode(frame.encode(), AT_NS)


@pytest.mark.parametrize("frame", [SNAPSHOT, CHANGE, QUOTE, TRADES])
def test_an_instrument_that_was_not_subscribed_is_unlisted(frame: str) -> None:
    for found in make_adapter().decode(frame.replace("BTC-PERPETUAL", "BTC-1JAN99").encode(), AT_NS).data:
        assert isinstance(found, DecodeIssue)
        assert (found.kind, found.symbol) == (IssueKind.UNLISTED, None)


@pytest.mark.parametrize("frame", [SNAPSHOT, CHANGE, QUOTE])
def test_a_channel_with_data_of_another_instrument_changes_no_book(frame: str) -> None:
    found = issue_of(frame.replace('instrument_name":"BTC', 'instrument_name":"ETH'))
    assert (found.kind, found.symbol) == (IssueKind.UNLISTED, None)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"change_id":107', '"change_id":-1'),
        ('"change_id":107', '"change_id":"107"'),
        ('"change_id":107,', ""),
        ("4714.0", "-4714.0"),
        ("4714.0", "-0.0"),
        ("4714.0", "1e999999"),
        ("4714.0", "NaN"),
        ("4714.0", "null"),
        ("4714.0", "true"),
        ("4714.0", "[]"),
        ("4714.0", '{"a":1}'),
        ("4714.0", '"much"'),
        ('"change",90000.0', '"grow",90000.0'),
        ('["new",90000.5,10.0]', '["new",90000.5]'),
        ('"type":"change"', '"type":"diff"'),
        ("}}}", "}}"),
        ("}}}", "[" * 5_000),
    ],
)
def test_a_malformed_change_is_reported_for_its_book(good: str, bad: str) -> None:
    assert good in CHANGE
    found = issue_of(CHANGE.replace(good, bad))
    assert (found.kind, found.symbol) == (IssueKind.MALFORMED, PERPETUAL)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', '{"id":"one","result":[]}', "[" * 100_000])
def test_a_frame_without_a_message_is_malformed_and_reported_for_no_book(text: str) -> None:
    found = issue_of(text)
    assert (found.kind, found.symbol) == (IssueKind.MALFORMED, None)


@pytest.mark.parametrize("text", ["{}", '{"method":"subscription","params":{"channel":"chart.trades.BTC"}}'])
def test_unknown_messages_are_reported_as_unknown(text: str) -> None:
    assert issue_of(text).kind is IssueKind.UNKNOWN


def test_broken_utf8_in_a_quote_is_reported_for_no_book() -> None:
    (found,) = (
        make_adapter().decode(QUOTE.replace("quote.B", "quote.\udcff").encode(errors="surrogateescape"), AT_NS).data
    )
    assert isinstance(found, DecodeIssue)
    assert found.symbol is None


ADAPTER = make_adapter()


@given(st.sampled_from((SNAPSHOT, CHANGE, QUOTE, TRADES, TICKER)), st.data())
def test_mutated_frames_never_raise(frame: str, data: st.DataObject) -> None:
    mutated = bytearray(frame.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        mutated[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    ADAPTER.decode(bytes(mutated), AT_NS)


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(noise: bytes) -> None:
    ADAPTER.decode(noise, AT_NS)
