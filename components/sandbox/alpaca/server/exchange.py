"""The running venue: what the service decides is written down, then told, then led on a moment later."""

import asyncio
from collections.abc import Callable, Sequence

from components.sandbox.core.documents import event_document
from components.sandbox.core.faults import AlpacaFaultKind, AlpacaFaultSwitches
from components.sandbox.core.market import PriceWalk
from components.sandbox.core.matching import Quote
from components.sandbox.core.orders import FILL_EVENTS, TRANSIENT_STATUSES, Order, OrderEvent, OrderStatus
from components.sandbox.server.ledger import Ledger
from components.sandbox.server.store import AccountTotals, MarketState, StateChange
from components.sandbox.server.updates import TradeUpdatesStream
from components.sandbox.service import AlpacaVenue, Transition

# The real venue acknowledges about this long after it received; short enough for tests, long enough to be seen.
ACKNOWLEDGE_MS = 3
TICK_MS = 250


class Exchange:
    """Carries out the venue's steps in order: ledger first, then the stream, then the reply."""

    def __init__(
        self,
        venue: AlpacaVenue,
        ledger: Ledger,
        updates: TradeUpdatesStream,
        faults: AlpacaFaultSwitches,
        now_ns: Callable[[], int],
    ) -> None:
        self.venue = venue
        self.account = venue.account
        self.ledger = ledger
        self.faults = faults
        self.now_ns = now_ns
        self.trades_count = 0
        self.walks: dict[str, PriceWalk] = {}
        self._updates = updates

    def resume_orders(self) -> None:
        """Lead on every order that a previous life left in a state that does not last."""
        for order in list(self.account.orders.values()):
            self._schedule_advance(order)

    async def commit(self, transition: Transition) -> Transition:
        """Wait until a step is on disk; only then may its answer leave."""
        await self.persist(transition)
        return transition

    def persist(self, transition: Transition) -> "asyncio.Future[None]":
        """Write a step down and stream it as soon as it is on disk."""
        events = transition.events
        symbols = {event.order.terms.symbol for event in events if event.kind in FILL_EVENTS}
        change = StateChange(
            events=tuple(events),
            positions=tuple(self.account.position(symbol) for symbol in symbols),
            account=AccountTotals(self.account.cash, self.account.orders_count, self.account.executions_count),
            prices=self.market_state() if symbols else None,
        )
        written = self.ledger.append(change)
        written.add_done_callback(lambda done: None if done.cancelled() else self._publish(events))
        return written

    def on_quote(self, quote: Quote) -> None:
        """Let a new quote match what works."""
        self._persist_if_changed(self.venue.on_quote(quote, self.now_ns()))

    def on_tick(self) -> None:
        """Let time pass."""
        self._persist_if_changed(self.venue.on_tick(self.now_ns()))

    def persist_prices(self) -> None:
        """Write down where the market stands, so that a next life goes on from there."""
        marked = tuple(order for order in self.account.orders.values() if order.high_water_mark is not None)
        _ = self.ledger.append(StateChange(prices=self.market_state(), orders=marked))

    def market_state(self) -> MarketState:
        """Return where the market stands."""
        return MarketState(list(self.walks.values()), list(self.account.quotes.values()), self.trades_count)

    def _persist_if_changed(self, transition: Transition) -> None:
        if transition.events:
            _ = self.persist(transition)

    def _publish(self, events: Sequence[OrderEvent]) -> None:
        for event in events:
            self._updates.publish(event_document(event))
        for event in events:
            self._schedule_advance(event.order)

    def _schedule_advance(self, order: Order) -> None:
        if order.status in TRANSIENT_STATUSES:
            asyncio.get_running_loop().call_later(ACKNOWLEDGE_MS / 1000, self._advance, order.order_id, order.status)

    def _advance(self, order_id: str, seen: OrderStatus) -> None:
        order = self.account.orders.get(order_id)
        if order is None or order.status is not seen:
            return
        rejecting = seen is OrderStatus.PENDING_NEW and self.faults.trigger(AlpacaFaultKind.REJECT) is not None
        self._persist_if_changed(self.venue.advance_order(order_id, self.now_ns(), rejecting=rejecting))
