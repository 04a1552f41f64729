"""The venue's order stream, which loses its tail, repeats itself, and forgets without a word."""

from collections.abc import Callable

from components.execution.core.venue import OrderStreamDown, OrderStreamMessage, OrderStreamUp, VenueOrderEvent
from components.xtrader.simulation.chance import Randomness
from components.xtrader.simulation.schedule import NS_PER_MS, NS_PER_US, Scheduler


class SimulatedOrderStream:
    """The venue's one connection that says by itself what happened to orders, while it stands."""

    def __init__(self, scheduler: Scheduler, randomness: Randomness) -> None:
        self._scheduler, self._randomness = scheduler, randomness
        self._deliver: Callable[[OrderStreamMessage], None] | None = None
        self._connection = 0
        self._is_up = False
        self._last_at_ns = 0

    def attach(self, deliver: Callable[[OrderStreamMessage], None]) -> None:
        """Connect for a new process; the one before is gone."""
        self._connection += 1
        self._is_up, self._deliver = False, deliver
        self._connect()

    def disconnect(self) -> None:
        """Break the connection: what is on its way is lost, and it is made anew."""
        if not self._is_up or self._deliver is None:
            return
        self._connection += 1
        self._is_up = False
        self._deliver(OrderStreamDown("connection reset"))
        self._connect()

    def publish(self, event: VenueOrderEvent) -> None:
        """Say what happened, to whoever listens now; some of it gets lost without a word."""
        if not self._is_up or self._randomness.happens(self._randomness.rates.event_loss):
            return
        self._send(event)
        if self._randomness.happens(self._randomness.rates.event_duplicate):
            self._send(event)

    def _connect(self) -> None:
        connection = self._connection
        self._scheduler.after(self._randomness.duration_ns(2, 80), lambda: self._on_connected(connection))

    def _on_connected(self, connection: int) -> None:
        if connection == self._connection:
            self._is_up = True
            self._send(OrderStreamUp())

    def _send(self, body: OrderStreamMessage) -> None:
        connection = self._connection
        at_ns = self._scheduler.now_ns + self._randomness.random.randint(100 * NS_PER_US, 6 * NS_PER_MS)
        self._last_at_ns = max(self._last_at_ns, at_ns)
        self._scheduler.after(self._last_at_ns - self._scheduler.now_ns, lambda: self._arrive(connection, body))

    def _arrive(self, connection: int, body: OrderStreamMessage) -> None:
        if connection == self._connection and self._deliver is not None:
            self._deliver(body)
