"""What happens around the processes: prices move, connections drop, clocks are set, operators ask for things."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from components.contracts.decisions import Action, Operate
from components.contracts.topics import JUDGE
from components.contracts.values import CommandId
from components.market_data.core.feed import Batch, Dropped, Subscribed
from components.runtime.codec import encode
from components.runtime.endpoints import service as service_at
from components.runtime.speaking import Voice
from components.xtrader.simulation.books import Books
from components.xtrader.simulation.host import Host, World
from components.xtrader.simulation.network import Network, SimulatedTransport
from components.xtrader.simulation.order_stream import OrderStream
from components.xtrader.simulation.process import PLACES
from components.xtrader.simulation.schedule import SimulatedClock

MARKET_MS: Final = (2, 16)
CALM_MARKET_MS: Final = (100, 200)
OUTAGE_MS_MAX: Final = 1_500


class Operator:
    """Somebody with a command line; nobody waits for the answers."""

    def __init__(self, network: Network, clock: SimulatedClock) -> None:
        transport = SimulatedTransport(network, lambda: None, lambda _: None, lambda _: None)
        self._desk = transport.ask_at(service_at(PLACES.run, JUDGE), JUDGE.high_water_mark)
        self._voice = Voice("verb", "operator", clock)
        self._asked = 0

    def ask(self, action: Action) -> None:
        """Ask risk for something; it may not be there."""
        self._asked += 1
        request = Operate(CommandId(f"operator-{self._asked}"), action, "simulated")
        self._desk.send((), (JUDGE.name.encode(), self._voice.header(self._asked), encode(request)))


class Weather:
    """Everything outside the four processes that nobody asked for."""

    def __init__(
        self, world: World, books: Books, stream: OrderStream, hosts: Mapping[str, Host], operator: Operator
    ) -> None:
        self._world, self._books, self._stream = world, books, stream
        self._hosts, self._operator = hosts, operator
        self._tell_feed: Callable[[Any], None] | None = None
        self.is_calm = False

    def begin(self) -> None:
        """Let the market move, and whatever may go wrong meanwhile."""
        self._move()

    def _move(self) -> None:
        quote = self._books.move()
        if self._tell_feed is not None:
            self._tell_feed(Batch((quote,)))
        self._mischief()
        span = CALM_MARKET_MS if self.is_calm else MARKET_MS
        self._world.schedule.after(self._world.chance.between_ms(*span), self._move)

    def _mischief(self) -> None:
        chance, odds = self._world.chance, self._world.chance.odds
        if chance.happens(odds.stream_drop):
            self._stream.drop()
        if chance.happens(odds.outage):
            self._world.line.go_out(chance.between_ms(50, OUTAGE_MS_MAX))
            self._stream.drop()
        if chance.happens(odds.feed_drop) and self._tell_feed is not None:
            self._tell_feed(Dropped("connection reset", final=False))
            self._tell_feed(Subscribed())
        if chance.happens(odds.clock_jump):
            self._world.clock.shift_ns += chance.between_ms(-1_500, 1_500)
        if chance.happens(odds.operator):
            self._operator.ask(chance.dice.choices((Action.RESUME, Action.HALT, Action.CANCEL_ALL), (6, 1, 1))[0])
        if chance.happens(odds.stop):
            self._hosts[chance.dice.choice(tuple(self._hosts))].is_stopping = True

    def attach(self, deliver: Callable[[Any], None]) -> None:
        """Connect a new life of market_data to its feed."""
        self._tell_feed = deliver
        self._world.schedule.after(self._world.chance.between_ms(1, 20), lambda: deliver(Subscribed()))
