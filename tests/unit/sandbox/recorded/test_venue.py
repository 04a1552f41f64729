"""Replies of a recorded venue to its clients."""

import pytest

from components.sandbox.recorded.venue import handle_message


@pytest.mark.parametrize(
    ("venue", "text", "channel"),
    [
        ("binance", '{"method":"SUBSCRIBE","params":["btcusdt@depth"],"id":1}', "btcusdt@depth"),
        ("okx", '{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}', "books:BTC-USDT"),
        (
            "deribit",
            '{"id":1,"method":"public/subscribe","params":{"channels":["book.BTC-PERPETUAL.100ms"]}}',
            "book.BTC-PERPETUAL",
        ),
    ],
)
def test_a_subscription_is_confirmed_and_recorded(venue: str, text: str, channel: str) -> None:
    channels: dict[str, None] = {}
    assert len(handle_message(venue, text, channels, 0)) == 1
    assert list(channels) == [channel]
    handle_message(venue, text.replace("SUBSCRIBE", "UNSUBSCRIBE").replace('subscribe"', 'unsubscribe"'), channels, 0)
    assert channels == {}
