"""Hands on what a venue's lines read: at once while a turn's budget lasts, then in order from bounded queues."""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from components.contracts.market import Quote, Trade
from components.market_data.core.feed import Data, FeedMessage, Framed
from components.market_data.core.queues import Bounds, Lanes, Policy
from components.market_data.venues.counts import VenueCounts
from components.market_data.venues.dialect import Channel

TURN_FRAMES_MAX: Final = 64
"""So many messages of a venue, then the others have their turn."""
TURN_READS_MAX: Final = 256
"""So many frames are read in one turn: reading costs less than what is done with a frame, and what waits conflates."""
NEWS_MAX: Final = 1_000_000


class _Lane(StrEnum):
    NEWS = "news"
    DEPTH = "depth"
    QUOTES = "quotes"
    TRADES = "trades"


_LANES: Final = {Channel.DEPTH: _Lane.DEPTH, Channel.QUOTES: _Lane.QUOTES, Channel.TRADES: _Lane.TRADES}


class Delivery:
    """One venue's way to the service."""

    def __init__(
        self, deliver: Callable[[FeedMessage], None], bounds: Mapping[Channel, Bounds], counts: VenueCounts
    ) -> None:
        """Deliver to whom; every channel has its bounds."""
        self._deliver, self._bounds, self._counts = deliver, bounds, counts
        self._lanes: Lanes[_Lane, FeedMessage] = Lanes(
            {
                _Lane.NEWS: Bounds(NEWS_MAX, Policy.BLOCK),
                **{_LANES[channel]: one for channel, one in bounds.items()},
            }
        )
        self._left, self._reads_left = TURN_FRAMES_MAX, TURN_READS_MAX
        self._is_turn_begun = False
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._counted = dict.fromkeys(Channel, 0)

    def tell(self, message: FeedMessage) -> None:
        """Hand on what is no data; it waits its turn behind the data before it and is never dropped."""
        if self._lanes:
            self._lanes.put(_Lane.NEWS, message)
        else:
            self._deliver(message)

    def take(self, framed: Framed) -> None:
        """Hand on what a frame held, now or in order."""
        self._begin_turn()
        self._reads_left -= 1
        if self._left > 0 and not self._lanes:
            self._left -= 1
            self._deliver(framed)
        else:
            self._wait(framed)

    async def pause(self) -> None:
        """Wait while a queue that must lose nothing is full, and give way when much was read in this turn."""
        if not self._has_room.is_set():
            await self._has_room.wait()
        elif self._reads_left <= 0:
            await asyncio.sleep(0)

    @property
    def is_pressed(self) -> bool:
        """Say whether a reader should pause."""
        return self._reads_left <= 0 or not self._has_room.is_set()

    def _begin_turn(self) -> None:
        if not self._is_turn_begun:
            self._is_turn_begun = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Begin anew, with what waits."""
        self._is_turn_begun = False
        self._left, self._reads_left = TURN_FRAMES_MAX, TURN_READS_MAX
        while self._lanes and self._left > 0:
            self._left -= 1
            self._deliver(self._lanes.pop())
        if self._lanes:
            self._begin_turn()
        if not self._lanes.is_blocked:
            self._has_room.set()

    def _wait(self, framed: Framed) -> None:
        for channel, part in split(framed, by_symbol=self._bounds[Channel.QUOTES].policy.conflates):
            self._lanes.put(_LANES[channel], part, part.data[0].symbol)
        for channel, lane in _LANES.items():
            self._count(channel, self._lanes.queues[lane].dropped)
        if self._lanes.is_blocked:
            self._has_room.clear()

    def _count(self, channel: Channel, dropped: int) -> None:
        more = dropped - self._counted[channel]
        if more:
            self._counted[channel] = dropped
            self._counts.lost(channel, self._bounds[channel].policy, more)


def split(framed: Framed, *, by_symbol: bool) -> list[tuple[Channel, Framed]]:
    """Part a frame by channel, and quotes by symbol too; the first part carries what is counted of the frame."""
    parts: dict[tuple[Channel, object], list[Data]] = {}
    for datum in framed.data:
        channel = channel_of(datum)
        symbol = datum.symbol if by_symbol and channel is Channel.QUOTES else None
        parts.setdefault((channel, symbol), []).append(datum)
    said = []
    parse_ns, bytes_count = framed.parse_ns, framed.bytes_count
    for (channel, _), data in parts.items():
        said.append((channel, Framed(framed.venue, tuple(data), framed.received_at_ns, parse_ns, bytes_count)))
        parse_ns = bytes_count = 0
    return said


def channel_of(datum: Data) -> Channel:
    """Say in which queue a datum waits; what is odd may concern a book, so it stays in order with its changes."""
    if isinstance(datum, Quote):
        return Channel.QUOTES
    return Channel.TRADES if isinstance(datum, Trade) else Channel.DEPTH
