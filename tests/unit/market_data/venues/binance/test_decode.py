"""Binance's frames become updates, quotes and trades, bare or wrapped; broken frames become decode issues."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import ProtocolError
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.events import DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import (
    Decoded,
    Heartbeat,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.instruments import BINANCE, BINANCE_FUTURES
from components.market_data.venues.binance.requests import BinanceSettings
from components.market_data.venues.deduplication import REPEATS_MAX

AT_NS = 1_767_225_600_130_000_000


EVENT_NS = 1_767_225_600_123_000_000


BNBBTC, BTCUSDT = Symbol("BINANCE:BNB-BTC"), Symbol("BINANCEUM:BTC-USDT-PERP")


SPOT_DEPTH = (
    '{"e":"depthUpdate","E":1767225600123,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","0"]]}'
)


UM_DEPTH = (
    '{"e":"depthUpdate","E":1767225600123,"T":1767225600120,"s":"BTCUSDT","ps":"BTCUSDT","st":1,'
    '"U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}'
)


SPOT_QUOTE = '{"u":400900217,"s":"BNBBTC","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}'


UM_QUOTE = (
    '{"e":"bookTicker","u":400900217,"s":"BTCUSDT","b":"25.3519","B":"31.21","a":"25.3652","A":"40.66",'
    '"T":1767225600120,"E":1767225600123,"st":1,"ps":"BTCUSDT"}'
)


SPOT_TRADE = (
    '{"e":"aggTrade","E":1767225600123,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,'
    '"T":1767225600120,"m":true,"M":true}'
)


UM_TRADE = (
    '{"e":"aggTrade","E":1767225600123,"a":5933014,"s":"BTCUSDT","p":"0.001","q":"100","nq":"90","f":100,"l":105,'
    '"T":1767225600120,"m":true}'
)


ROW = {"status": "TRADING", "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000, "filters": []}


GOLDEN = {BINANCE: (SPOT_DEPTH, SPOT_QUOTE, SPOT_TRADE), BINANCE_FUTURES: (UM_DEPTH, UM_QUOTE, UM_TRADE)}


def listing(*natives: tuple[str, str]) -> bytes:
    rows = [ROW | {"symbol": base + quote, "baseAsset": base, "quoteAsset": quote} for base, quote in natives]
    return json.dumps({"symbols": rows}).encode()


def spot() -> BinanceSpotAdapter:
    adapter = BinanceSpotAdapter("wss://stream", "https://rest", BinanceSettings())
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([listing(("BNB", "BTC"))])))
    return adapter


def um() -> BinanceFuturesAdapter:
    adapter = BinanceFuturesAdapter("wss://stream", "https://rest", BinanceSettings(snapshot_depth=500))
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([listing(("BTC", "USDT"))])))
    return adapter


def wrapped(payload: str, stream: str = "bnbbtc@stream") -> str:
    return f'{{"stream":"{stream}","data":{payload}}}'


def spaced(text: str) -> str:
    return json.dumps(json.loads(text), indent=1)


def turned(payload: str) -> str:
    return json.dumps(dict(reversed(json.loads(payload).items())))


def data_of(read: Decoded) -> list[object]:
    assert not read.control
    return list(read.data)


def issue_of(read: Decoded) -> DecodeIssue:
    (issue,) = read.data
    assert isinstance(issue, DecodeIssue)
    return issue


@pytest.mark.parametrize("form", [str, wrapped, spaced, turned, lambda text: spaced(wrapped(turned(text)))])
def test_a_payload_is_read_alone_or_wrapped_and_however_it_is_spaced_or_ordered(form: Callable[[str], str]) -> None:
    levels = [("0.0024", "10")], [("0.0026", "0")]
    frames = [form(text).encode() for text in GOLDEN[BINANCE]]
    adapter = spot()
    assert [data_of(adapter.decode(frame, AT_NS)) for frame in frames] == [
        [DepthUpdate(BNBBTC, 156, 160, *levels, EVENT_NS, AT_NS)],
        [
            Quote(
                BINANCE,
                BNBBTC,
                Decimal("25.3519"),
                Decimal("31.21"),
                Decimal("25.3652"),
                Decimal("40.66"),
                AT_NS,
                AT_NS,
            )
        ],
        [Trade(BINANCE, BNBBTC, Decimal("0.001"), Decimal(100), EVENT_NS - 3_000_000, AT_NS)],
    ]


@pytest.mark.parametrize("form", [str, wrapped, spaced, turned])
def test_a_usdm_update_chains_by_pu_and_carries_the_event_time(form: Callable[[str], str]) -> None:
    levels = [("0.0024", "10")], [("0.0026", "100")]
    frames = [form(text).encode() for text in GOLDEN[BINANCE_FUTURES]]
    adapter = um()
    change, quote, trade = [data_of(adapter.decode(frame, AT_NS))[0] for frame in frames]
    assert change == DepthUpdate(BTCUSDT, 149, 160, *levels, EVENT_NS, AT_NS)
    assert isinstance(quote, Quote)
    assert (quote.venue, quote.bid_price, quote.venue_at_ns) == (BINANCE_FUTURES, Decimal("25.3519"), EVENT_NS)
    assert trade == Trade(BINANCE_FUTURES, BTCUSDT, Decimal("0.001"), Decimal(100), EVENT_NS - 3_000_000, AT_NS)


def test_a_stream_that_counts_microseconds_gives_the_same_time() -> None:
    frame = SPOT_DEPTH.replace("1767225600123", "1767225600123456").encode()
    (change,) = spot().decode(frame, AT_NS).data
    assert isinstance(change, DepthUpdate)
    assert change.venue_at_ns == EVENT_NS + 456_000


def test_only_newer_quotes_pass() -> None:
    adapter = spot()
    frames = [SPOT_QUOTE.replace("400900217", str(number)).encode() for number in (10, 10, 9, 11)]
    assert [len(adapter.decode(frame, AT_NS).data) for frame in frames] == [1, 0, 0, 1]


def test_a_repeated_trade_is_dropped() -> None:
    adapter = um()
    assert [len(adapter.decode(UM_TRADE.encode(), AT_NS).data) for _ in range(3)] == [1, 0, 0]


def test_quotes_resume_after_the_ids_were_reset() -> None:
    adapter = spot()
    adapter.decode(SPOT_QUOTE.encode(), AT_NS)
    old = [SPOT_QUOTE.replace("400900217", str(number)).encode() for number in range(1, REPEATS_MAX + 2)]
    assert [len(adapter.decode(frame, AT_NS).data) for frame in old] == [0] * (REPEATS_MAX - 1) + [1, 1]


def test_a_frame_of_another_symbol_is_unlisted() -> None:
    adapter = spot()
    for text in GOLDEN[BINANCE_FUTURES]:
        assert issue_of(um().decode(text.replace('"BTCUSDT"', '"ETHUSDT"').encode(), AT_NS)).kind is IssueKind.UNLISTED
    for text in GOLDEN[BINANCE]:
        issue = issue_of(adapter.decode(text.replace("BNBBTC", "ETHBTC").encode(), AT_NS))
        assert (issue.kind, issue.detail, issue.symbol) == (IssueKind.UNLISTED, "ETHBTC", None)


@pytest.mark.parametrize(
    "text",
    [
        wrapped('{"e":"kline","E":1767225600123,"s":"BNBBTC","k":{"B":"0","i":"1m"}}', "bnbbtc@kline_1m"),
        '{"e":"kline","s":"BNBBTC","k":{"B":"0"}}',
        wrapped('{"lastUpdateId":160,"bids":[],"asks":[]}', "bnbbtc@depth5"),
        "{}",
    ],
)
def test_a_stream_that_was_not_subscribed_is_unknown(text: str) -> None:
    assert issue_of(spot().decode(text.encode(), AT_NS)).kind is IssueKind.UNKNOWN


@pytest.mark.parametrize(
    "broken",
    [
        SPOT_DEPTH[:-1],
        SPOT_DEPTH.replace('"U":157,', ""),
        SPOT_DEPTH.replace('"U":157', '"U":"157"'),
        SPOT_DEPTH.replace('"U":157', '"U":-157'),
        SPOT_DEPTH.replace('"u":160', '"u":1e400'),
        SPOT_DEPTH.replace('"u":160', '"u":99999999999999999999'),
        SPOT_DEPTH.replace('"E":1767225600123', '"E":99999999999999999'),
        SPOT_DEPTH.replace('["0.0024","10"]', '["0.0024"]'),
        SPOT_DEPTH.replace('["0.0024","10"]', "[0.0024,10]"),
        SPOT_DEPTH.replace('["0.0024","10"]', "null"),
    ],
)
def test_a_malformed_update_is_reported_for_its_book(broken: str) -> None:
    for frame in (broken, wrapped(broken)):
        issue = issue_of(spot().decode(frame.encode(), AT_NS))
        assert (issue.kind, issue.symbol) == (IssueKind.MALFORMED, BNBBTC)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"pong",
        b"[1]",
        b"null",
        b'{"stream":1}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
        SPOT_QUOTE.replace("25.35190000", "NaN").encode(),
        SPOT_QUOTE.replace("25.35190000", "-1").encode(),
        SPOT_QUOTE.replace("31.21000000", "Infinity").encode(),
        SPOT_TRADE.replace('"0.001"', '"0"').encode(),
        SPOT_TRADE.replace('"100"', '"1_0"').encode(),
        SPOT_TRADE.replace("BNBBTC", "BNB\xff").encode("latin-1"),
    ],
)
def test_a_malformed_frame_without_depth_is_reported_for_no_book(frame: bytes) -> None:
    issue = issue_of(spot().decode(frame, AT_NS))
    assert (issue.kind, issue.symbol) == (IssueKind.MALFORMED, None)
    assert len(issue.detail) < 200


def test_exponents_are_read_exactly() -> None:
    (trade,) = spot().decode(SPOT_TRADE.replace('"0.001"', '"1e-3"').encode(), AT_NS).data
    assert isinstance(trade, Trade)
    assert trade.price == Decimal("0.001")


def test_a_reply_confirms_a_subscribe_or_an_unsubscribe() -> None:
    adapter = um()
    for encode, ack in ((adapter.subscribe_message, SubscribeAck), (adapter.unsubscribe_message, UnsubscribeAck)):
        number = json.loads(encode(["btcusdt@aggTrade"], 7))["id"]
        assert adapter.decode(f'{{"result":null,"id":{number}}}'.encode(), AT_NS) == Decoded(control=(ack((), 7),))
    assert adapter.decode(b'{"result":["a@depth"],"id":null}', AT_NS) == Decoded(control=(Heartbeat(),))


@pytest.mark.parametrize("code", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "form", ['{{"code":{0},"msg":"why","id":14}}', '{{"error":{{"code":{0},"msg":"why"}},"id":14}}']
)
def test_an_error_is_a_rejection_in_both_of_its_forms(form: str, code: int) -> None:
    frame = form.format(code).encode()
    assert spot().decode(frame, AT_NS) == Decoded(
        control=(SubscribeRejected((), f"{code}: why", is_permanent=True, request_id=7),)
    )


def test_an_error_may_name_no_request_and_be_temporary() -> None:
    frame = b'{"code":-1003,"msg":"Too many requests \\"depthUpdate\\""}'
    (refused,) = spot().decode(frame, AT_NS).control
    assert isinstance(refused, SubscribeRejected)
    assert (refused.request_id, refused.is_permanent) == (None, False)


@pytest.mark.parametrize(
    "text", ['{"e":"serverShutdown","E":1767225600123}', wrapped('{"e":"serverShutdown","E":1}', "!serverShutdown")]
)
def test_a_server_shutdown_is_a_shutdown_notice(text: str) -> None:
    (leaving,) = spot().decode(text.encode(), AT_NS).control
    assert isinstance(leaving, ShutdownNotice)


def test_a_snapshot_is_as_deep_as_requested() -> None:
    body = b'{"lastUpdateId":1027024,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}'
    levels = [("0.0024", "10")], [("0.0026", "100")]
    snapshot = spot().decode_snapshot(BNBBTC, body, AT_NS)
    assert snapshot == DepthSnapshot(BNBBTC, 1_027_024, *levels, AT_NS, AT_NS, is_pushed=False, depth_max=1000)
    dated = body.replace(b"{", b'{"E":1767225600123,"T":1767225600120,', 1)
    snapshot = um().decode_snapshot(BTCUSDT, dated, AT_NS)
    assert snapshot == DepthSnapshot(BTCUSDT, 1_027_024, *levels, EVENT_NS, AT_NS, is_pushed=False, depth_max=500)


@pytest.mark.parametrize("body", [b'{"code":-1121,"msg":"Invalid symbol."}', b"<html>", b"", b'{"lastUpdateId":1}'])
def test_a_body_that_is_no_snapshot_is_quoted_in_the_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="no snapshot"):
        spot().decode_snapshot(BNBBTC, body, AT_NS)


@given(
    text=st.sampled_from([form(text) for texts in GOLDEN.values() for text in texts for form in (str, wrapped)]),
    cuts=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 12), st.binary(max_size=6)), max_size=4),
)
def test_mutated_frames_never_raise(text: str, cuts: list[tuple[int, int, bytes]]) -> None:
    frame = text.encode()
    for start, length, patch in cuts:
        frame = frame[:start] + patch + frame[start + length :]
    for adapter in (spot(), um()):
        assert isinstance(adapter.decode(frame, AT_NS), Decoded)


@given(frame=st.binary(max_size=200))
def test_random_bytes_never_raise(frame: bytes) -> None:
    assert isinstance(spot().decode(frame, AT_NS), Decoded)
