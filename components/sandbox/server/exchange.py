"""The running venue: what the service decides is written down, then told, then led on a moment later."""

import asyncio
from collections.abc import Callable, Sequence

from components.sandbox.core.documents import event_document
from components.sandbox.core.faults import FaultKind, Faults
from components.sandbox.core.market import Walk
from components.sandbox.core.matching import Quote
from components.sandbox.core.orders import FILLS, TRANSIENT, Order, OrderEvent, Status
from components.sandbox.server.ledger import Ledger
from components.sandbox.server.store import Account, Change, Prices
from components.sandbox.server.updates import TradeUpdates
from components.sandbox.service import Step, Venue

# The real venue acknowledges about this long after it received; short enough for tests, long enough to be seen.
ACKNOWLEDGE_MS = 3
TICK_MS = 250


class Exchange:
    """Carries out the venue's steps in order: ledger first, then the stream, then the reply."""

    def __init__(
        self, venue: Venue, ledger: Ledger, updates: TradeUpdates, faults: Faults, now_ns: Callable[[], int]
    ) -> None:
        self.venue = venue
        self.books = venue.books
        self.ledger = ledger
        self.faults = faults
        self.now_ns = now_ns
        self.trades_count = 0
        self.walks: dict[str, Walk] = {}
        self._updates = updates

    def resume(self) -> None:
        """Lead on every order that a previous life left in a state that does not last."""
        for order in list(self.books.orders.values()):
            self._lead_on(order)

    async def carry_out(self, step: Step) -> Step:
        """Wait until a step is on disk; only then may its answer leave."""
        await self.follow(step)
        return step

    def follow(self, step: Step) -> "asyncio.Future[None]":
        """Write a step down and stream it as soon as it is on disk."""
        events = step.events
        symbols = {event.order.terms.symbol for event in events if event.kind in FILLS}
        change = Change(
            events=tuple(events),
            positions=tuple(self.books.position(symbol) for symbol in symbols),
            account=Account(self.books.cash, self.books.orders_count, self.books.executions_count),
            prices=self.prices() if symbols else None,
        )
        written = self.ledger.append(change)
        written.add_done_callback(lambda done: None if done.cancelled() else self._tell(events))
        return written

    def on_quote(self, quote: Quote) -> None:
        """Let a new quote match what works."""
        self._follow(self.venue.on_quote(quote, self.now_ns()))

    def on_tick(self) -> None:
        """Let time pass."""
        self._follow(self.venue.on_tick(self.now_ns()))

    def remember_prices(self) -> None:
        """Write down where the market stands, so that a next life goes on from there."""
        marked = tuple(order for order in self.books.orders.values() if order.high_water_mark is not None)
        _ = self.ledger.append(Change(prices=self.prices(), orders=marked))

    def prices(self) -> Prices:
        """Return where the market stands."""
        return Prices(list(self.walks.values()), list(self.books.quotes.values()), self.trades_count)

    def _follow(self, step: Step) -> None:
        if step.events:
            _ = self.follow(step)

    def _tell(self, events: Sequence[OrderEvent]) -> None:
        for event in events:
            self._updates.publish(event_document(event))
        for event in events:
            self._lead_on(event.order)

    def _lead_on(self, order: Order) -> None:
        if order.status in TRANSIENT:
            asyncio.get_running_loop().call_later(ACKNOWLEDGE_MS / 1000, self._proceed, order.order_id, order.status)

    def _proceed(self, order_id: str, seen: Status) -> None:
        order = self.books.orders.get(order_id)
        if order is None or order.status is not seen:
            return
        rejecting = seen is Status.PENDING_NEW and self.faults.strike(FaultKind.REJECT) is not None
        self._follow(self.venue.proceed(order_id, self.now_ns(), rejecting=rejecting))
