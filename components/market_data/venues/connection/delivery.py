"""Delivers what a venue's connections read: at once within a budget per turn, then in order from bounded queues."""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from components.contracts.market import Quote, Trade
from components.market_data.core.events import DecodedFrame, FeedMessage, MarketEvent
from components.market_data.core.queues import ChannelQueues, OverflowPolicy, QueueBounds
from components.market_data.venues.adapter import Channel
from components.market_data.venues.metrics import VenueMetrics

TURN_FRAMES_MAX: Final = 64
"""Messages of one venue delivered per turn of the event loop; then the other venues are served."""
TURN_READS_MAX: Final = 256
"""Frames read per turn. Reading costs less than handling a frame, and queued quotes conflate."""
CONTROL_QUEUE_MAX: Final = 1_000_000
"""Far above any use, because messages without data are few; beyond it reading stops, and nothing is dropped."""


class _QueueName(StrEnum):
    CONTROL = "control"
    DEPTH = "depth"
    QUOTES = "quotes"
    TRADES = "trades"


_QUEUE_OF_CHANNEL: Final = {
    Channel.DEPTH: _QueueName.DEPTH,
    Channel.QUOTES: _QueueName.QUOTES,
    Channel.TRADES: _QueueName.TRADES,
}


class Delivery:
    """The path from one venue's connections to the service."""

    def __init__(
        self, deliver: Callable[[FeedMessage], None], bounds: Mapping[Channel, QueueBounds], metrics: VenueMetrics
    ) -> None:
        """Deliver to `deliver`; each channel has a bounded queue."""
        self._deliver, self._bounds, self._metrics = deliver, bounds, metrics
        self._queues: ChannelQueues[_QueueName, FeedMessage] = ChannelQueues(
            {
                _QueueName.CONTROL: QueueBounds(CONTROL_QUEUE_MAX, OverflowPolicy.BLOCK),
                **{_QUEUE_OF_CHANNEL[channel]: one for channel, one in bounds.items()},
            }
        )
        self._frames_left, self._reads_left = TURN_FRAMES_MAX, TURN_READS_MAX
        self._is_drain_scheduled = False
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._counted_drops = dict.fromkeys(Channel, 0)

    def deliver_control(self, message: FeedMessage) -> None:
        """Deliver a message without data, in order behind queued data; it is never dropped."""
        if self._queues:
            self._queues.put(_QueueName.CONTROL, message)
        else:
            self._deliver(message)

    def deliver_frame(self, frame: DecodedFrame) -> None:
        """Deliver the content of a frame, now or in order from its queue."""
        self._schedule_drain()
        self._reads_left -= 1
        if self._frames_left > 0 and not self._queues:
            self._frames_left -= 1
            self._deliver(frame)
        else:
            self._enqueue(frame)

    async def pause(self) -> None:
        """Wait while a queue that must not drop is full; yield to the event loop after many reads in one turn."""
        if not self._has_room.is_set():
            await self._has_room.wait()
        elif self._reads_left <= 0:
            await asyncio.sleep(0)

    @property
    def needs_pause(self) -> bool:
        """Return whether a reader must call pause()."""
        return self._reads_left <= 0 or not self._has_room.is_set()

    def _schedule_drain(self) -> None:
        if not self._is_drain_scheduled:
            self._is_drain_scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        """Start a new turn with the queued messages."""
        self._is_drain_scheduled = False
        self._frames_left, self._reads_left = TURN_FRAMES_MAX, TURN_READS_MAX
        while self._queues and self._frames_left > 0:
            self._frames_left -= 1
            self._deliver(self._queues.pop())
        if self._queues:
            self._schedule_drain()
        if not self._queues.is_blocked:
            self._has_room.set()

    def _enqueue(self, frame: DecodedFrame) -> None:
        for channel, part in split_frame(frame, by_symbol=self._bounds[Channel.QUOTES].policy.conflates):
            self._queues.put(_QUEUE_OF_CHANNEL[channel], part, part.data[0].symbol)
        for channel, queue_name in _QUEUE_OF_CHANNEL.items():
            self._count_drops(channel, self._queues.queues[queue_name].dropped)
        if self._queues.is_blocked:
            self._has_room.clear()

    def _count_drops(self, channel: Channel, dropped: int) -> None:
        more = dropped - self._counted_drops[channel]
        if more:
            self._counted_drops[channel] = dropped
            self._metrics.queue_dropped(channel, self._bounds[channel].policy, more)


def split_frame(frame: DecodedFrame, *, by_symbol: bool) -> list[tuple[Channel, DecodedFrame]]:
    """Split a frame by channel, and quotes by symbol too.

    The first part carries the byte count and the decoding time.
    """
    parts: dict[tuple[Channel, object], list[MarketEvent]] = {}
    for datum in frame.data:
        channel = channel_of(datum)
        symbol = datum.symbol if by_symbol and channel is Channel.QUOTES else None
        parts.setdefault((channel, symbol), []).append(datum)
    frames = []
    parse_ns, bytes_count = frame.parse_ns, frame.bytes_count
    for (channel, _), data in parts.items():
        frames.append((channel, DecodedFrame(frame.venue, tuple(data), frame.received_at_ns, parse_ns, bytes_count)))
        parse_ns = bytes_count = 0
    return frames


def channel_of(event: MarketEvent) -> Channel:
    """Return the queue of an event. A DecodeIssue may concern a book, so it stays in order with the depth updates."""
    if isinstance(event, Quote):
        return Channel.QUOTES
    return Channel.TRADES if isinstance(event, Trade) else Channel.DEPTH
