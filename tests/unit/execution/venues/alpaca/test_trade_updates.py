"""Every frame of the stream is delivered: as an event, or as unreadable."""

import pytest

from components.execution.core.venue_messages import (
    UnreadableEvent,
)
from components.execution.venues.alpaca.trade_updates import deliver_frame


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xfe",
        b"[1]",
        b'{"stream":"trade_updates"}',
        b'{"stream":"trade_updates","data":{"event":"new"}}',
        b'{"stream":"trade_updates","data":{"event":"new","order":{"id":"x","client_order_id":"y","symbol":"A","side":"?","status":"new"}}}',
    ],
)
def test_an_unreadable_frame_is_delivered_as_such_never_dropped(frame: bytes) -> None:
    delivered: list[object] = []
    deliver_frame(frame, delivered.append)
    assert isinstance(delivered[0], UnreadableEvent)


def test_another_stream_is_not_an_event() -> None:
    delivered: list[object] = []
    deliver_frame(b'{"stream":"listening","data":{"streams":["trade_updates"]}}', delivered.append)
    assert not delivered
