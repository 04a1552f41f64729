"""Alpaca's stock frames are decoded exactly; a broken part is counted and does not affect its neighbours."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import VenueRejected, VenueUnavailable
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.venues.alpaca.messages import (
    PERMANENT_CODES,
    RETRYABLE_CODES,
    Authenticate,
    ErrorMessage,
    StockQuote,
    StockSubscription,
    StockTrade,
    SubscribeStocks,
    Success,
    decode_stock_frame,
    encode_request,
    error_from_code,
    error_from_status,
)
from components.market_data.venues.alpaca.stock_feed import ALPACA_STOCKS, decode_frame

TRADE = (
    b'{"T":"t","S":"FAKEPACA","i":96921,"x":"V","p":126.55,"s":100,"c":["@"],"z":"C",'
    b'"t":"2026-11-20T14:31:24.700123456Z"}'
)


QUOTE = (
    b'{"T":"q","S":"FAKEPACA","bx":"V","bp":126.54,"bs":200,"ax":"V","ap":126.56,"as":300,"c":["R"],"z":"C",'
    b'"t":"2026-11-20T14:31:24.700123456Z"}'
)


BAR = b'{"T":"b","S":"FAKEPACA","o":126.5,"h":126.6,"l":126.4,"c":126.55,"v":49378,"t":"2026-11-20T14:30:00Z"}'


FAKEPACA = Symbol("FAKEPACA")


AT_NS = 1_795_185_084_700_123_456


NOW_NS = AT_NS + 5_000_000


DOCUMENTED = {400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 500}


def array(*parts: bytes) -> bytes:
    return b"[" + b",".join(parts) + b"]"


def test_a_quote_and_a_trade_of_one_frame_become_exact_words_in_order() -> None:
    batch = decode_frame(array(TRADE, QUOTE), NOW_NS)
    trade = Trade(ALPACA_STOCKS, FAKEPACA, Decimal("126.55"), Decimal(100), AT_NS, NOW_NS)
    quote = Quote(
        ALPACA_STOCKS, FAKEPACA, Decimal("126.54"), Decimal(200), Decimal("126.56"), Decimal(300), AT_NS, NOW_NS
    )
    assert batch.messages == (trade, quote)
    assert (batch.unknown, batch.malformed) == (0, 0)


def test_a_bar_in_the_same_frame_is_counted_and_harms_nothing() -> None:
    batch = decode_frame(array(TRADE, QUOTE, BAR), NOW_NS)
    assert [type(message) for message in batch.messages] == [Trade, Quote]
    assert (batch.unknown, batch.malformed) == (1, 0)


def test_unknown_fields_are_passed_over() -> None:
    frame = array(QUOTE[:-1] + b',"new":{"deep":[1,null]}}')
    assert [type(message) for message in decode_stock_frame(frame).messages] == [StockQuote]


@pytest.mark.parametrize(
    "part",
    [
        b'{"T":"q","S":"FAKEPACA"}',
        QUOTE.replace(b"126.54", b"null"),
        QUOTE.replace(b"126.54", b'"much"'),
        QUOTE.replace(b"14:31:24", b"14:31:61"),
        QUOTE.replace(b"FAKEPACA", b"\xff\xfe"),
        b'{"T":7}',
        b'{"S":"FAKEPACA"}',
        b"17",
        b"null",
    ],
)
def test_a_malformed_part_is_counted_and_its_neighbour_is_decoded(part: bytes) -> None:
    batch = decode_frame(array(part, TRADE), NOW_NS)
    assert [type(message) for message in batch.messages] == [Trade]
    assert batch.unknown + batch.malformed == 1


@pytest.mark.parametrize("frame", [b"", b"{", b"{}", b"[{]", b"\x91\x80", b"nonsense", b"[" * 100_000])
def test_a_frame_that_is_no_array_is_one_malformed_part(frame: bytes) -> None:
    batch = decode_frame(frame, NOW_NS)
    assert (batch.messages, batch.malformed) == ((), 1)


@given(st.binary(max_size=80))
def test_no_bytes_at_all_break_the_reader(frame: bytes) -> None:
    decode_frame(frame, NOW_NS)


@given(st.integers(0, len(QUOTE) - 1), st.integers(1, 255))
def test_no_flipped_byte_breaks_the_reader_or_the_neighbour(place: int, flip: int) -> None:
    altered = bytearray(QUOTE)
    altered[place] ^= flip
    decode_frame(array(bytes(altered), TRADE), NOW_NS)


@given(st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False))
def test_a_price_keeps_every_digit_of_the_wire(price: Decimal) -> None:
    frame = array(TRADE.replace(b"126.55", format(price, "f").encode()))
    (trade,) = decode_stock_frame(frame).messages
    assert isinstance(trade, StockTrade)
    assert trade.p == price


def test_control_frames_are_understood() -> None:
    reply = {"T": "subscription", "trades": ["AAPL"], "quotes": ["AAPL", "MSFT"], "bars": ["*"], "lulds": []}
    frames = array(b'{"T":"success","msg":"connected"}', json.dumps(reply).encode())
    assert decode_stock_frame(frames).messages == [Success("connected"), StockSubscription(("AAPL",), ("AAPL", "MSFT"))]
    (failure,) = decode_stock_frame(b'[{"T":"error","code":406,"msg":"connection limit exceeded"}]').messages
    assert failure == ErrorMessage(406, "connection limit exceeded")


def test_requests_are_encoded_as_the_venue_expects() -> None:
    assert json.loads(encode_request(Authenticate("KEY", "SECRET"))) == {
        "action": "auth",
        "key": "KEY",
        "secret": "SECRET",
    }
    request = json.loads(encode_request(SubscribeStocks(("AAPL",), ("AAPL",))))
    assert request == {"action": "subscribe", "trades": ["AAPL"], "quotes": ["AAPL"]}


def test_every_documented_code_is_sorted_once() -> None:
    assert set(RETRYABLE_CODES) | set(PERMANENT_CODES) == DOCUMENTED
    assert not set(RETRYABLE_CODES) & set(PERMANENT_CODES)


@pytest.mark.parametrize("code", sorted(PERMANENT_CODES))
def test_a_final_code_in_the_stream_ends_the_trying(code: int) -> None:
    with pytest.raises(VenueRejected, match=str(code)):
        decode_frame(f'[{{"T":"error","code":{code},"msg":"no"}}]'.encode(), NOW_NS)


@pytest.mark.parametrize("code", [*sorted(RETRYABLE_CODES), 999])
def test_any_other_code_is_tried_again(code: int) -> None:
    assert isinstance(error_from_code(code, "hm"), VenueUnavailable)


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(302, True), (400, True), (401, True), (403, True), (404, True), (429, False), (500, False), (503, False)],
)
def test_an_http_reply_is_sorted_by_whether_it_is_about_us(status: int, is_final: bool) -> None:
    assert isinstance(error_from_status(status), VenueRejected) is is_final
