"""Where REST books come from: two servers with caches of their own, one always behind the other."""

import asyncio
from collections import deque
from itertools import cycle

from components.sandbox.flow.orders import OrderFlow

REFRESH_NS = 50_000_000
# The second server is so many refreshes behind the first.
REFRESHES_BEHIND = 3


class RestCaches:
    """What each server holds: the id of the flow its book of a symbol stands at."""

    def __init__(self, flow: OrderFlow) -> None:
        self._flow = flow
        self._ids = {symbol: deque([flow.last_id(symbol)], REFRESHES_BEHIND + 1) for symbol in flow.instruments}
        self._server = cycle((-1, 0))
        self._period = 0
        self._refreshed = asyncio.Event()

    def tick(self, now_ns: int) -> None:
        """Refresh what is due, and let those go who wait for it."""
        if now_ns // REFRESH_NS == self._period:
            return
        self._period = now_ns // REFRESH_NS
        for symbol, ids in self._ids.items():
            ids.append(self._flow.last_id(symbol))
        self._refreshed.set()
        self._refreshed = asyncio.Event()

    async def next_server_id(self, symbol: str) -> int:
        """Wait for the next refresh, then give the id of whichever server's turn it is."""
        await self._refreshed.wait()
        return self._ids[symbol][next(self._server)]
