"""The sandbox serves recordings like the recorded venues, frame by frame as received."""

import json
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.crypto_sandbox import crypto_sandbox
from tests.support.eventually import eventually

pytestmark = pytest.mark.integration

START_NS = 1_795_000_000_000_000_000
DEPTH = "https://api.binance.com/api/v3/depth?symbol=ABCUSDT&limit=1000"
STREAM = "wss://stream.binance.com:9443/stream"


def _frame(number: int, channel: str = "depth@100ms") -> str:
    return f'{{"stream": "abcusdt@{channel}",  "data": {{"s": "ABCUSDT", "u": {number}}}}}'


def _recording(file: Path) -> list[str]:
    texts = [_frame(number) for number in range(5)]
    lines = [(0, "http", DEPTH, '{"lastUpdateId": 2}')]
    lines += [(number * 100, "ws", STREAM, text) for number, text in enumerate(texts)]
    lines += [(250, "ws", STREAM, _frame(9, "bookTicker")), (300, "ws", STREAM, '{"result":null,"id":1}')]
    rows = [
        {"at_ns": START_NS + ms * 1_000_000, "via": via, "url": url, "text": text}
        for ms, via, url, text in sorted(lines, key=lambda line: line[0])
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return texts


def test_a_recording_is_served_unaltered_and_restarts_without_subscribers(tmp_path: Path) -> None:
    texts = _recording(tmp_path / "abc.jsonl")
    with crypto_sandbox("--recording", str(tmp_path / "abc.jsonl"), "--speed", "10") as sandbox:
        assert sandbox.rest("binance", "/api/v3/depth", symbol="ABCUSDT").text == '{"lastUpdateId": 2}'
        assert sandbox.rest("binance", "/api/v3/exchangeInfo").status_code == httpx.codes.NOT_FOUND
        for _ in range(2):
            with connect(sandbox.stream_url("binance", "/stream"), proxy=None) as socket:
                socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["abcusdt@depth"], "id": 1}))
                received = [str(socket.recv(5)) for _ in range(6)]
            assert received == ['{"result":null,"id":1}', *texts]
            eventually(lambda: sandbox.venues()["binance"]["played"] == 0)


def test_faults_apply_to_a_recording_too(tmp_path: Path) -> None:
    texts = _recording(tmp_path / "abc.jsonl")
    with crypto_sandbox("--recording", str(tmp_path / "abc.jsonl"), "--speed", "10") as sandbox:
        sandbox.arm("drop", venue="binance", symbol="ABCUSDT", topic="book", skip=1)
        with connect(sandbox.stream_url("binance", "/stream?streams=abcusdt@depth@100ms"), proxy=None) as socket:
            assert [str(socket.recv(5)) for _ in range(4)] == [texts[0], *texts[2:]]
