"""OKX's frames become snapshots, updates, quotes and trades; broken frames become decode issues."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import ProtocolError
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.events import NO_ID, DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind, MarketEvent
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.okx.adapter import OkxAdapter
from components.market_data.venues.okx.requests import ChecksumMode, DepthChannel
from tests.support.okx_frames import (
    AT_MS,
    AT_NS,
    ROWS,
    data_frame,
    depth_row,
    event_frame,
    okx_adapter,
    rest_response,
    snapshot,
    trade_row,
    update,
)

BITCOIN = Symbol("OKX:BTC-USDT")


BIDS, ASKS = [("90000", "1.5")], [("90000.1", "0.25"), ("90000.2", "0")]


OKX = okx_adapter()


def one(frame: bytes, okx: OkxAdapter = OKX, at_ns: int = AT_NS) -> Any:
    decoded = okx.decode(frame, at_ns)
    assert not decoded.control
    [datum] = decoded.data
    return datum


def issue_of(frame: bytes, okx: OkxAdapter = OKX) -> DecodeIssue:
    found = one(frame, okx)
    assert isinstance(found, DecodeIssue)
    return found


def test_a_snapshot_frame_is_a_pushed_snapshot() -> None:
    depth = one(snapshot(depth_row((-1, 123456), BIDS, ASKS)))
    assert isinstance(depth, DepthSnapshot)
    assert (depth.symbol, depth.last_id, depth.is_pushed, depth.depth_max) == (BITCOIN, 123456, True, 0)
    assert (depth.venue_at_ns, depth.received_at_ns) == (AT_NS, AT_NS)
    assert depth.bids == [("90000", "1.5", "0", "1")]


def test_an_update_is_a_change_between_two_ids() -> None:
    change = one(update(depth_row((10, 15), BIDS, ASKS, checksum=-7)))
    assert isinstance(change, DepthUpdate)
    assert (change.symbol, change.prev_id, change.last_id, change.checksum) == (BITCOIN, 10, 15, -7)
    assert change.asks == [("90000.1", "0.25", "0", "1"), ("90000.2", "0", "0", "1")]


@pytest.mark.parametrize("level", [("1", "2"), ("1", "2", "3"), ("1", "2", "0", "4"), ("1", "2", "0", "4", "5")])
def test_a_level_has_its_price_and_size_and_any_more(level: tuple[str, ...]) -> None:
    change = one(update({"asks": [], "bids": [level], "ts": str(AT_MS), "prevSeqId": 1, "seqId": 2}))
    assert change.bids == [level]


def test_frames_of_old_captures_have_no_ids() -> None:
    depth, change = one(snapshot(depth_row())), one(update(depth_row()))
    assert (depth.last_id, change.prev_id, change.last_id) == (NO_ID, NO_ID, NO_ID)


def test_a_keep_alive_and_a_reset_are_changes() -> None:
    assert [
        (change.prev_id, change.last_id)
        for change in (one(update(depth_row((15, 15)))), one(update(depth_row((15, 3)))))
    ] == [
        (15, 15),
        (15, 3),
    ]


@pytest.mark.parametrize(
    ("mode", "sent", "believed"),
    [
        (ChecksumMode.NON_ZERO, {"checksum": 5}, 5),
        (ChecksumMode.NON_ZERO, {"checksum": 0}, 0),
        (ChecksumMode.NON_ZERO, {"checksum": None}, 0),
        (ChecksumMode.NEVER, {"checksum": 5}, 0),
    ],
)
def test_checksums_are_used_as_configured(mode: ChecksumMode, sent: Any, believed: int) -> None:
    okx = okx_adapter(checksum=mode)
    assert one(update(depth_row((1, 2), **sent)), okx).checksum == believed
    assert one(snapshot(depth_row((-1, 2), **sent)), okx).checksum == believed


def test_a_frame_without_a_checksum_has_none() -> None:
    assert one(update({"asks": [], "bids": [], "ts": str(AT_MS), "prevSeqId": 1, "seqId": 2})).checksum == 0


@pytest.mark.parametrize("channel", [DepthChannel.BOOKS5, DepthChannel.BBO_TBT])
def test_a_shallow_channel_pushes_the_whole_book_each_time(channel: DepthChannel) -> None:
    okx = okx_adapter(depth_channel=channel, quotes=False)
    depth = one(data_frame(channel, depth_row(None, BIDS, ASKS, seqId=9)), okx)
    assert (type(depth), depth.last_id, depth.is_pushed) == (DepthSnapshot, 9, True)


def test_where_the_book_is_the_best_prices_a_frame_is_book_and_quote() -> None:
    decoded = okx_adapter(depth_channel=DepthChannel.BBO_TBT).decode(
        data_frame("bbo-tbt", depth_row(None, BIDS, ASKS, seqId=9)), AT_NS
    )
    assert [type(datum) for datum in decoded.data] == [DepthSnapshot, Quote]


@pytest.mark.parametrize("channel", [DepthChannel.BOOKS_L2_TBT, DepthChannel.BOOKS50_L2_TBT])
def test_the_fast_channels_are_read_like_the_common_one(channel: DepthChannel) -> None:
    okx = okx_adapter(depth_channel=channel)
    assert one(update(depth_row((1, 2)), channel=channel), okx).last_id == 2
    assert issue_of(update(depth_row((1, 2))), okx).kind is IssueKind.UNKNOWN


def test_all_rows_of_a_frame_are_read() -> None:
    assert [change.last_id for change in OKX.decode(update(depth_row((1, 2)), depth_row((2, 3))), AT_NS).data] == [2, 3]  # type: ignore[union-attr]


def test_the_order_of_keys_and_spaces_does_not_matter() -> None:
    parts = msgspec.json.decode(update(depth_row((1, 2), BIDS)))
    text = str({name: parts[name] for name in ("data", "action", "arg")}).replace("'", '"').encode()
    assert one(text) == one(update(depth_row((1, 2), BIDS)))


def test_quotes_are_in_coins_or_dollars_not_in_contracts() -> None:
    frame = data_frame("bbo-tbt", depth_row(None, BIDS, ASKS[:1], seqId=9), native="BTC-USD-SWAP")
    bid, ask = (Decimal(90_000), Decimal(150)), (Decimal("90000.1"), Decimal(25))
    assert one(frame) == Quote("OKX", "OKX:BTC-USD-PERP", *bid, *ask, AT_NS, AT_NS)  # type: ignore[arg-type]


def test_a_side_that_is_empty_has_a_price_of_zero() -> None:
    quote = one(data_frame("bbo-tbt", depth_row(None, (), ASKS, seqId=9)))
    assert (quote.bid_price, quote.bid_size, quote.ask_price) == (0, 0, Decimal("90000.1"))


@pytest.mark.parametrize("bad", [("0", "1"), ("NaN", "1"), ("-5", "1"), ("5", "-1"), ("5", "Infinity"), ("5", "")])
def test_a_quote_that_is_no_price_is_counted(bad: tuple[str, str]) -> None:
    found = issue_of(data_frame("bbo-tbt", depth_row(None, [bad], ASKS)))
    assert (found.kind, found.symbol) == (IssueKind.OUT_OF_RANGE, None)


def trade(okx: OkxAdapter, trade_id: int, received_at_ms: int = AT_MS, **more: Any) -> list[MarketEvent]:
    return list(okx.decode(data_frame("trades", trade_row(trade_id, **more)), received_at_ms * 1_000_000).data)


def subscribed(okx: OkxAdapter) -> None:
    okx.decode(event_frame("subscribe", arg={"channel": "trades", "instId": "BTC-USDT"}), AT_NS)


def test_a_trade_is_read_in_the_instruments_own_unit() -> None:
    frame = data_frame("trades", trade_row(7, size="2.5"), native="BTC-USDT-SWAP")
    expected = Trade("OKX", "OKX:BTC-USDT-PERP", Decimal(90_000), Decimal("0.025"), AT_NS, AT_NS)  # type: ignore[arg-type]
    assert one(frame, okx_adapter()) == expected


def test_the_cached_trade_that_a_subscription_begins_with_is_not_new() -> None:
    okx = okx_adapter()
    subscribed(okx)
    assert trade(okx, 7, at_ms=AT_MS - 25_000) == []
    assert len(trade(okx, 8)) == 1


def test_a_recent_cached_trade_is_emitted() -> None:
    okx = okx_adapter()
    subscribed(okx)
    assert len(trade(okx, 7, at_ms=AT_MS - 200)) == 1


def test_a_new_subscription_does_not_repeat_what_was_seen() -> None:
    okx = okx_adapter()
    subscribed(okx)
    trade(okx, 7)
    subscribed(okx)
    assert trade(okx, 7) == []
    assert len(trade(okx, 8)) == 1


def test_a_merged_trade_covers_the_ids_below_it() -> None:
    okx = okx_adapter()
    assert len(trade(okx, 7)) == 1
    assert len(trade(okx, 10, count=3)) == 1
    for covered in (8, 9, 10):
        [again] = trade(okx, covered)
        assert isinstance(again, DecodeIssue)
        assert again.symbol is None
    assert len(trade(okx, 11)) == 1


def test_ids_that_went_back_are_followed_from_the_next_subscription_on() -> None:
    okx = okx_adapter()
    trade(okx, 1_000)
    subscribed(okx)
    assert trade(okx, 3) == []
    assert len(trade(okx, 4)) == 1


def test_trades_of_one_symbol_do_not_hide_those_of_another() -> None:
    okx = okx_adapter()
    trade(okx, 1_000)
    assert type(one(data_frame("trades", trade_row(5), native="BTC-USDT-SWAP"), okx)) is Trade


def test_what_was_seen_outlives_a_new_list_of_instruments() -> None:
    okx = okx_adapter()
    trade(okx, 7)
    okx.set_instruments(InstrumentRegistry(okx.decode_instruments([rest_response(ROWS)])))
    assert isinstance(trade(okx, 7)[0], DecodeIssue)


@pytest.mark.parametrize("bad", [trade_row(7, price="0"), trade_row(7, price="x"), trade_row(7, size="-1")])
def test_a_trade_at_no_price_is_counted(bad: object) -> None:
    assert issue_of(data_frame("trades", bad), okx_adapter()).kind is IssueKind.OUT_OF_RANGE


@pytest.mark.parametrize("channel", ["tickers", "funding-rate", "books5", "books-elp"])
def test_a_channel_that_was_not_chosen_is_unknown(channel: str) -> None:
    found = issue_of(data_frame(channel, {"instId": "BTC-USDT", "last": "1"}))
    assert (found.kind, found.symbol) == (IssueKind.UNKNOWN, None)


def test_what_is_switched_off_is_unknown() -> None:
    okx = okx_adapter(quotes=False, trades=False)
    assert issue_of(data_frame("trades", trade_row(1)), okx).kind is IssueKind.UNKNOWN
    assert issue_of(data_frame("bbo-tbt", depth_row(None)), okx).kind is IssueKind.UNKNOWN


@pytest.mark.parametrize(
    "frame",
    [
        update(depth_row((1, 2)), native="DOGE-USDT"),
        data_frame("bbo-tbt", depth_row(None), native="DOGE-USDT"),
        data_frame("trades", trade_row(1), native="DOGE-USDT"),
        update(depth_row((1, 2)), native=""),
    ],
)
def test_an_unlisted_symbol_is_counted(frame: bytes) -> None:
    found = issue_of(frame)
    assert (found.kind, found.symbol) == (IssueKind.UNLISTED, None)


BROKEN_ROWS = {
    "half a pair of ids": {"asks": [], "bids": [], "ts": "1", "seqId": 2},
    "no side": {"bids": [], "ts": "1", "prevSeqId": 1, "seqId": 2},
    "no time": {"asks": [], "bids": [], "prevSeqId": 1, "seqId": 2},
    "time zero": depth_row((1, 2), ts="0"),
    "time beyond all calendars": depth_row((1, 2), ts="9" * 20),
    "a level of one": depth_row((1, 2), [("1",)]),
    "a level of numbers": {"asks": [[1, 2]], "bids": [], "ts": "1", "prevSeqId": 1, "seqId": 2},
    "an id that is no number": depth_row(None, prevSeqId="a", seqId=2),
    "an id below zero": depth_row((1, -5)),
    "an id beyond 64 bits": depth_row((1, 1 << 64)),
    "a fraction of an id": depth_row(None, prevSeqId=1.5, seqId=2),
    "a checksum that is none": depth_row((1, 2), checksum="x"),
}


@pytest.mark.parametrize("broken", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
def test_a_change_that_cannot_be_read_is_missed_by_its_own_book_only(broken: object) -> None:
    assert issue_of(update(broken)).symbol == BITCOIN


@pytest.mark.parametrize("action", ["", "partial"])
def test_an_unknown_action_is_reported_for_its_book(action: str) -> None:
    found = issue_of(data_frame("books", depth_row((1, 2)), action=action))
    assert (found.kind, found.symbol) == (IssueKind.UNKNOWN, BITCOIN)


def test_half_a_frame_is_missed_by_its_book() -> None:
    found = issue_of(update(depth_row((1, 2), BIDS))[:-10])
    assert (found.kind, found.symbol) == (IssueKind.MALFORMED, BITCOIN)


def test_unknown_fields_are_ignored() -> None:
    assert one(update(depth_row((1, 2), surprise={"deep": [1]}))).last_id == 2


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"ping",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"7",
        b"{",
        b"{}",
        b'{"data":' + b"[" * 100_000,
        b'{"arg":{"channel":"books","instId":"BTC-USDT"},"x":' + b"[" * 100_000,
        b'{"arg":{"channel":"books","instId":"\xff"},"action":"update","data":[]}',
        b'{"arg":{"channel":"books"',
        b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":7}',
        b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[7]}',
        b'{"arg":7,"channel":"books"}',
        b'{"event":' + b"{" * 100_000,
    ],
    ids=lambda frame: repr(frame[:40]),
)
def test_invalid_frames_are_counted_and_never_raise(frame: bytes) -> None:
    assert issue_of(frame).kind is IssueKind.MALFORMED


def test_a_frame_without_rows_has_no_events() -> None:
    assert not OKX.decode(update(), AT_NS).data


GOOD = (
    snapshot(depth_row((-1, 10), BIDS, ASKS)),
    update(depth_row((10, 15), BIDS, ASKS, checksum=-1881014294)),
    data_frame("bbo-tbt", depth_row(None, BIDS, ASKS, seqId=9)),
    data_frame("trades", trade_row(7)),
    event_frame("subscribe", arg={"channel": "books", "instId": "BTC-USDT"}),
    event_frame("error", code="60018", msg="channel:books,instId:X doesn't exist", id="1"),
)


@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_no_mutation_of_a_frame_raises(good: bytes, edits: list[tuple[int, bytes]], end: int) -> None:
    frame = good[: max(end, 20)]
    for position, piece in edits:
        frame = frame[:position] + piece + frame[position + 1 :]
    decoded = OKX.decode(frame, AT_NS)
    for datum in decoded.data:
        # Every decoded event can be encoded into a message: its numbers fit.
        msgspec.msgpack.encode(datum)


@given(st.binary(max_size=60))
def test_no_bytes_raise(frame: bytes) -> None:
    OKX.decode(frame, AT_NS)


def test_a_fetched_snapshot_carries_its_id() -> None:
    depth = OKX.decode_snapshot(BITCOIN, rest_response([depth_row(None, BIDS, ASKS, seqId=77)]), AT_NS + 5)
    assert (depth.symbol, depth.last_id, depth.is_pushed, depth.depth_max) == (BITCOIN, 77, False, 0)
    assert (depth.venue_at_ns, depth.received_at_ns) == (AT_NS, AT_NS + 5)


def test_a_snapshot_without_an_id_cannot_be_joined() -> None:
    with pytest.raises(ProtocolError, match="cannot be joined"):
        OKX.decode_snapshot(BITCOIN, rest_response([depth_row(None, BIDS)]), AT_NS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        rest_response([], "50011", "Too Many Requests"),
        rest_response([], "51001", "Instrument ID does not exist"),
        rest_response([]),
        rest_response([depth_row((1, 2)), depth_row((1, 2))]),
        rest_response([depth_row((1, 2), [("1",)])]),
        rest_response([depth_row((1, 2))], "1"),
        b"<html>upstream</html>",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_response_without_a_book_is_rejected(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="OKX:BTC-USDT"):
        OKX.decode_snapshot(BITCOIN, body, AT_NS)
