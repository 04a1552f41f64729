"""Stream names of the simulated Binance venues."""

import pytest

from components.sandbox.binance.rules import SPOT_RULES, Channel
from components.sandbox.binance.streams import parse_stream_name

LISTED = frozenset({"BTCUSDT"})


@pytest.mark.parametrize(
    ("name", "channel", "period_ms"),
    [
        ("btcusdt@depth", Channel.DEPTH, 1000),
        ("btcusdt@depth@100ms", Channel.DEPTH, 100),
        ("btcusdt@depth20@100ms", Channel.PARTIAL, 100),
        ("btcusdt@bookTicker", Channel.BOOK_TICKER, 0),
        ("btcusdt@aggTrade", Channel.AGG_TRADE, 0),
    ],
)
def test_a_stream_is_known_by_its_name(name: str, channel: Channel, period_ms: int) -> None:
    stream = parse_stream_name(name, SPOT_RULES, LISTED)
    assert stream is not None
    assert (stream.symbol, stream.channel, stream.period_ns) == ("BTCUSDT", channel, period_ms * 1_000_000)
