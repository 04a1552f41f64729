"""The venue's order stream, which loses its tail, repeats itself, and forgets without a word."""

from collections.abc import Callable

from components.execution.core.venue import OrderEvent, StreamBody, StreamDown, StreamUp
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.schedule import NS_PER_MS, NS_PER_US, Schedule


class OrderStream:
    """The venue's one connection that says by itself what happened to orders, while it stands."""

    def __init__(self, schedule: Schedule, chance: Chance) -> None:
        self._schedule, self._chance = schedule, chance
        self._deliver: Callable[[StreamBody], None] | None = None
        self._connection = 0
        self._is_up = False
        self._last_at_ns = 0

    def attach(self, deliver: Callable[[StreamBody], None]) -> None:
        """Connect for a new process; the one before is gone."""
        self._connection += 1
        self._is_up, self._deliver = False, deliver
        self._connect()

    def drop(self) -> None:
        """Break the connection: what is on its way is lost, and it is made anew."""
        if not self._is_up or self._deliver is None:
            return
        self._connection += 1
        self._is_up = False
        self._deliver(StreamDown("connection reset"))
        self._connect()

    def say(self, event: OrderEvent) -> None:
        """Say what happened, to whoever listens now; some of it gets lost without a word."""
        if not self._is_up or self._chance.happens(self._chance.odds.event_lost):
            return
        self._send(event)
        if self._chance.happens(self._chance.odds.event_repeat):
            self._send(event)

    def _connect(self) -> None:
        connection = self._connection
        self._schedule.after(self._chance.between_ms(2, 80), lambda: self._up(connection))

    def _up(self, connection: int) -> None:
        if connection == self._connection:
            self._is_up = True
            self._send(StreamUp())

    def _send(self, body: StreamBody) -> None:
        connection = self._connection
        at_ns = self._schedule.now_ns + self._chance.dice.randint(100 * NS_PER_US, 6 * NS_PER_MS)
        self._last_at_ns = max(self._last_at_ns, at_ns)
        self._schedule.after(self._last_at_ns - self._schedule.now_ns, lambda: self._arrive(connection, body))

    def _arrive(self, connection: int, body: StreamBody) -> None:
        if connection == self._connection and self._deliver is not None:
            self._deliver(body)
