"""The venue of a recording is detected from its URLs alone."""

import pytest

from components.market_data.venues.registry import detect_venues, is_metadata, snapshot_symbol

HTTP, WS = "http", "ws"


@pytest.mark.parametrize(
    ("venue", "address"),
    [
        ("BINANCE", "wss://stream.binance.com:9443/stream?streams=nknusdt@depth@100ms/nknusdt@aggTrade"),
        ("BINANCE", "wss://stream.binance.com:443/ws/btcusdt@depth"),
        ("BINANCE", "wss://data-stream.binance.vision/ws"),
        ("BINANCE", "https://api.binance.com/api/v3/exchangeInfo"),
        ("BINANCE", "http://127.0.0.1:8101/api/v3/depth?symbol=BTCUSDT&limit=1000"),
        ("BINANCE", "ws://127.0.0.1:8101/stream"),
        ("BINANCEUM", "wss://fstream.binance.com/stream?streams=sushiusdt@depth@100ms"),
        ("BINANCEUM", "wss://fstream.binance.com/ws"),
        ("BINANCEUM", "wss://demo-fstream.binance.com/stream"),
        ("BINANCEUM", "wss://fstream.binance.com/public/stream?streams=btcusdt@depth"),
        ("BINANCEUM", "ws://127.0.0.1:8102/market/ws/btcusdt@aggTrade"),
        ("BINANCEUM", "http://127.0.0.1:8102/fapi/v1/exchangeInfo"),
        ("OKX", "wss://ws.okx.com:8443/ws/v5/public"),
        ("OKX", "wss://ws.okx.com:8443/ws/v5/business"),
        ("OKX", "https://www.okx.com/api/v5/public/instruments?instType=SPOT"),
        ("DERIBIT", "wss://www.deribit.com/ws/api/v2"),
        ("DERIBIT", "wss://streams.deribit.com/ws/api/v2"),
        ("DERIBIT", "http://127.0.0.1:8104/api/v2/public/get_instruments?currency=any&expired=false"),
        ("ALPACA", "wss://stream.data.alpaca.markets/v1beta3/crypto/us"),
        ("ALPACA", "https://data.alpaca.markets/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD"),
    ],
)
def test_a_url_identifies_its_venue(venue: str, address: str) -> None:
    assert detect_venues([address]) == [venue]


def test_an_unrouted_stream_belongs_to_the_market_of_its_requests() -> None:
    stream = "ws://127.0.0.1:8102/stream"
    assert detect_venues([stream, "http://127.0.0.1:8102/fapi/v1/exchangeInfo"]) == ["BINANCEUM"]
    assert detect_venues(["http://127.0.0.1:8101/api/v3/exchangeInfo", stream]) == ["BINANCE"]


def test_two_venues_in_one_recording_are_both_named() -> None:
    assert detect_venues(["wss://ws.okx.com/ws/v5/public", "wss://fstream.binance.com/ws"]) == ["OKX", "BINANCEUM"]
    assert detect_venues(["wss://ws.okx.com/ws/v5/public", "ws://127.0.0.1/stream"]) == ["OKX", "BINANCE"]


@pytest.mark.parametrize(
    "address", ["", "nonsense", "https://example.com/", "ws://[::1", "wss://dstream.binance.com/stream"]
)
def test_any_other_url_belongs_to_no_venue(address: str) -> None:
    assert detect_venues([address]) == []
    assert not is_metadata(HTTP, address)
    assert snapshot_symbol(HTTP, address) is None


@pytest.mark.parametrize(
    ("address", "native"),
    [
        ("https://api.binance.com/api/v3/depth?symbol=NKNUSDT&limit=1000", "NKNUSDT"),
        ("https://fapi.binance.com/fapi/v1/depth?limit=1000&symbol=SUSHIUSDT", "SUSHIUSDT"),
        ("https://www.okx.com/api/v5/market/books?instId=BTC-USDT&sz=400&source=0", "BTC-USDT"),
        ("https://www.deribit.com/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL", "BTC-PERPETUAL"),
        ("https://api.binance.com/api/v3/depth", None),
        ("https://api.binance.com/api/v3/depth5?symbol=NKNUSDT", None),
        ("https://www.okx.com/api/v5/market/books-full?instId=BTC-USDT", None),
    ],
)
def test_a_url_identifies_the_book_that_was_requested(address: str, native: str | None) -> None:
    assert snapshot_symbol(HTTP, address) == native
    assert snapshot_symbol(WS, address) is None


def test_metadata_is_an_http_response_only() -> None:
    assert is_metadata(HTTP, "https://api.binance.com/api/v3/exchangeInfo?symbol=BTCUSDT")
    assert not is_metadata(WS, "wss://stream.binance.com/exchangeInfo")
    assert not is_metadata(HTTP, "https://api.binance.com/api/v3/depth?symbol=BTCUSDT")
