"""Recordings: the venue, the channel of a frame, and the selection of REST responses."""

from pathlib import Path

import pytest

from components.contracts.errors import UsageError
from components.sandbox.recorded.recording import RecordedFrame, RecordedResponses, channel_of, read_recording, venue_of


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("wss://stream.binance.com:9443/stream?streams=a@depth", "binance"),
        ("https://fapi.binance.com/fapi/v1/depth?symbol=A", "binanceum"),
        ("wss://fstream.binance.com/public/ws", "binanceum"),
        ("wss://ws.okx.com:8443/ws/v5/public", "okx"),
        ("https://www.deribit.com/api/v2/public/get_instruments", "deribit"),
        ("http://127.0.0.1:9/api/v3/depth", "binance"),
    ],
)
def test_the_url_identifies_the_venue(url: str, name: str) -> None:
    assert (
        venue_of([RecordedFrame(1, "ws", "ws://127.0.0.1:9/", ""), RecordedFrame(2, "ws", url, "")], Path("x")) == name
    )


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ('{"stream":"btcusdt@depth@100ms","data":{}}', "btcusdt@depth"),
        ('{"e":"depthUpdate","s":"BTCUSDT"}', "btcusdt@depth"),
        ('{"u":1,"s":"BTCUSDT"}', "btcusdt@bookTicker"),
        ('{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}', "books:BTC-USDT"),
        ('{"method":"subscription","params":{"channel":"book.BTC-PERPETUAL.raw"}}', "book.BTC-PERPETUAL"),
        ('{"result":null,"id":1}', None),
        ("pong", None),
    ],
)
def test_a_frame_identifies_its_channel(text: str, channel: str | None) -> None:
    assert channel_of(text) == channel


def test_the_newest_response_up_to_a_time_is_returned_or_the_first() -> None:
    url = "https://api.binance.com/api/v3/depth?symbol={}&limit=1000"
    lines = [(10, "A", "first"), (20, "A", "second"), (15, "B", "other")]
    responses = RecordedResponses(
        [RecordedFrame(at_ns, "http", url.format(symbol), text) for at_ns, symbol, text in lines]
    )
    query = {"symbol": "A", "limit": "50"}
    found = [responses.find("/api/v3/depth", query, at_ns) for at_ns in (5, 10, 19, 20)]
    assert found == ["first", "first", "first", "second"]
    assert responses.find("/api/v3/depth", {"symbol": "C"}, 99) is None


def test_a_file_that_is_not_a_recording_is_rejected_by_name(tmp_path: Path) -> None:
    file = tmp_path / "invalid.jsonl"
    file.write_text('{"at_ns":1}\n')
    with pytest.raises(UsageError, match=r"invalid\.jsonl: not a recording"):
        read_recording(file)
