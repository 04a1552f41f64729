"""What a crypto venue is to the sandbox that runs it: the one seam between wiring and the venues' folders.

A venue is constructed with `(listings, flow, faults, credentials, now_ns, scale)`.

How fast the seeded order flow runs: so many changes a second for each symbol, spread over the second.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from aiohttp import web

from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.faults import CryptoFault

TICK_INTERVAL_S = 0.01
"""How often a venue looks for what it has to say; also the grain of its batches and heartbeats."""


class CryptoVenue(Protocol):
    """A venue that serves clients; its order flow is moved by others."""

    @property
    def name(self) -> str:
        """Name it as the command line does: binance, binanceum, okx, deribit."""
        ...

    @property
    def flow(self) -> OrderFlow:
        """Give the books it is the truth about."""
        ...

    def routes(self) -> list[web.RouteDef]:
        """List its endpoints, websockets and REST, by the real venue's paths."""
        ...

    async def run(self) -> None:
        """Say what is due to every client, for ever: batches, heartbeats, goodbyes."""
        ...

    def disconnect_all(self) -> None:
        """Cut every client off without a word."""
        ...

    def announce_shutdown(self, fault: CryptoFault) -> None:
        """Tell every client that this server goes, and close them `fault.ms` later."""
        ...

    def stats(self) -> dict[str, object]:
        """State how many clients there are, what they hear, and what was counted."""
        ...


@runtime_checkable
class SupportsModes(Protocol):
    """A venue some of whose manners can be changed while it runs, or that can be made to do something now."""

    def set_mode(self, name: str, value: str) -> None:
        """Change a manner; Refused where there is no such manner or value."""
        ...


@runtime_checkable
class MapsSequenceIds(Protocol):
    """A venue whose ids on the wire are not always those of its flow."""

    def flow_id(self, symbol: str, sequence: int) -> int:
        """Turn an id that was sent into the flow's."""
        ...


SECOND_NS = 1_000_000_000


LAG_NS_MAX = SECOND_NS // 4


class FlowDriver:
    """Moves some flows, one change of each symbol in turn."""

    def __init__(self, flows: Iterable[OrderFlow], updates_per_s: float, now_ns: Callable[[], int]) -> None:
        self._flows = tuple(flows)
        self._interval_ns = int(SECOND_NS / updates_per_s)
        self._now_ns = now_ns
        self._due_ns = now_ns()

    async def run(self) -> None:
        """Move them for ever."""
        while True:
            self.catch_up()
            await asyncio.sleep(TICK_INTERVAL_S)

    def catch_up(self) -> None:
        """Make the changes that are due; after a stall the flow goes on from now."""
        now_ns = self._now_ns()
        self._due_ns = max(self._due_ns, now_ns - LAG_NS_MAX)
        while self._due_ns <= now_ns:
            self._due_ns += self._interval_ns
            for flow in self._flows:
                for symbol in flow.instruments:
                    flow.step(symbol, now_ns)
