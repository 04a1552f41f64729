"""What happens around the processes: prices move, connections drop, clocks are set, operators ask for things."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from components.contracts.decisions import OperatorAction, OperatorCommand
from components.contracts.topics import RISK_REQUESTS
from components.contracts.values import CommandId
from components.market_data.core.feed import StockFeedDown, StockFeedUp, StockFrame
from components.runtime.codec import encode
from components.runtime.endpoints import request_path as service_at
from components.runtime.speaking import Producer
from components.xtrader.simulation.books import SimulatedExchange
from components.xtrader.simulation.host import Node, World
from components.xtrader.simulation.network import Network, SimulatedTransport
from components.xtrader.simulation.order_stream import SimulatedOrderStream
from components.xtrader.simulation.process import PATHS
from components.xtrader.simulation.schedule import SimulatedClock

PRICE_MOVE_MS: Final = (2, 16)
FAULT_FREE_PRICE_MOVE_MS: Final = (100, 200)
OUTAGE_MS_MAX: Final = 1_500


class Operator:
    """Somebody with a command line; nobody waits for the answers."""

    def __init__(self, network: Network, clock: SimulatedClock) -> None:
        transport = SimulatedTransport(network, lambda: None, lambda _: None, lambda _: None)
        self._socket = transport.connect_client(service_at(PATHS.run, RISK_REQUESTS), RISK_REQUESTS.high_water_mark)
        self._producer = Producer("verb", "operator", clock)
        self._sent = 0

    def send(self, action: OperatorAction) -> None:
        """Ask risk for something; it may not be there."""
        self._sent += 1
        request = OperatorCommand(CommandId(f"operator-{self._sent}"), action, "simulated")
        self._socket.send((), (RISK_REQUESTS.name.encode(), self._producer.header(self._sent), encode(request)))


class Environment:
    """Everything outside the four processes that nobody asked for."""

    def __init__(
        self,
        world: World,
        exchange: SimulatedExchange,
        order_stream: SimulatedOrderStream,
        nodes: Mapping[str, Node],
        operator: Operator,
    ) -> None:
        self._world, self._exchange, self._order_stream = world, exchange, order_stream
        self._nodes, self._operator = nodes, operator
        self._deliver: Callable[[Any], None] | None = None
        self.is_fault_free = False

    def start(self) -> None:
        """Let the market move, and whatever may go wrong meanwhile."""
        self._move_price()

    def _move_price(self) -> None:
        quote = self._exchange.move_price()
        if self._deliver is not None:
            self._deliver(StockFrame((quote,)))
        self._inject_faults()
        span = FAULT_FREE_PRICE_MOVE_MS if self.is_fault_free else PRICE_MOVE_MS
        self._world.scheduler.after(self._world.randomness.duration_ns(*span), self._move_price)

    def _inject_faults(self) -> None:
        chance, odds = self._world.randomness, self._world.randomness.rates
        if chance.happens(odds.stream_disconnect):
            self._order_stream.disconnect()
        if chance.happens(odds.venue_outage):
            self._world.venue_api.start_outage(chance.duration_ns(50, OUTAGE_MS_MAX))
            self._order_stream.disconnect()
        if chance.happens(odds.feed_disconnect) and self._deliver is not None:
            self._deliver(StockFeedDown("connection reset", is_permanent=False))
            self._deliver(StockFeedUp())
        if chance.happens(odds.clock_jump):
            self._world.clock.wall_offset_ns += chance.duration_ns(-1_500, 1_500)
        if chance.happens(odds.operator_command):
            self._operator.send(
                chance.random.choices(
                    (OperatorAction.RESUME, OperatorAction.HALT, OperatorAction.CANCEL_ALL), (6, 1, 1)
                )[0]
            )
        if chance.happens(odds.process_stop):
            self._nodes[chance.random.choice(tuple(self._nodes))].is_stopping = True

    def attach_feed(self, deliver: Callable[[Any], None]) -> None:
        """Connect a new life of market_data to its feed."""
        self._deliver = deliver
        self._world.scheduler.after(self._world.randomness.duration_ns(1, 20), lambda: deliver(StockFeedUp()))
