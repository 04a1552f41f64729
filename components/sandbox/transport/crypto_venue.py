"""Interface between the sandbox and its crypto venues, and the driver that advances their order flow.

A venue is constructed with `(instruments, flow, faults, credentials, now_ns, scale)`.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from aiohttp import web

from components.sandbox.numerics import SECOND_NS
from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.faults import CryptoFault

TICK_INTERVAL_S = 0.01
"""Interval at which a venue checks what is due: the resolution of its batches and heartbeats."""
LAG_NS_MAX = SECOND_NS // 4


class CryptoVenue(Protocol):
    """A venue that serves clients; a `FlowDriver` advances its order flow."""

    @property
    def name(self) -> str:
        """Return its name on the command line: binance, binanceum, okx, deribit."""
        ...

    @property
    def flow(self) -> OrderFlow:
        """Return the order flow that it publishes."""
        ...

    def routes(self) -> list[web.RouteDef]:
        """Return its websocket and REST endpoints under the paths of the real venue."""
        ...

    async def run(self) -> None:
        """Send what is due to every client until cancelled: batches, heartbeats, closes."""
        ...

    def disconnect_all(self) -> None:
        """Abort the connections of all clients."""
        ...

    def announce_shutdown(self, fault: CryptoFault) -> None:
        """Send every client the venue's shutdown notice, and close its connection `fault.ms` later."""
        ...

    def stats(self) -> dict[str, object]:
        """Return the number of clients, their subscriptions, and other counts."""
        ...


@runtime_checkable
class SupportsModes(Protocol):
    """A venue whose behavior can be changed while it runs, or that can do something on demand."""

    def set_mode(self, name: str, value: str) -> None:
        """Change one mode; raise if there is no such mode or value."""
        ...


@runtime_checkable
class MapsSequenceIds(Protocol):
    """A venue whose ids on the wire can differ from those of its order flow."""

    def flow_id(self, symbol: str, sequence: int) -> int:
        """Return the order flow's id for an id that was sent."""
        ...


class FlowDriver:
    """Advances order flows at a fixed rate: `updates_per_s` for each symbol, spread evenly over the second."""

    def __init__(self, flows: Iterable[OrderFlow], updates_per_s: float, now_ns: Callable[[], int]) -> None:
        self._flows = tuple(flows)
        self._interval_ns = int(SECOND_NS / updates_per_s)
        self._now_ns = now_ns
        self._due_ns = now_ns()

    async def run(self) -> None:
        """Advance the flows until cancelled."""
        while True:
            self.catch_up()
            await asyncio.sleep(TICK_INTERVAL_S)

    def catch_up(self) -> None:
        """Apply the updates that are due; after a stall at most `LAG_NS_MAX` of updates is made up."""
        now_ns = self._now_ns()
        self._due_ns = max(self._due_ns, now_ns - LAG_NS_MAX)
        while self._due_ns <= now_ns:
            self._due_ns += self._interval_ns
            for flow in self._flows:
                for symbol in flow.instruments:
                    flow.step(symbol, now_ns)
