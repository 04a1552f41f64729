"""The running venue: persists each transition, then publishes its events, then schedules the follow-up.

`Exchange` executes the transitions of `AlpacaVenue`. `MarketSimulator` moves the simulated market in real time, which
matches orders and feeds the data streams.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from components.sandbox.alpaca.core.market_history import SymbolHistory, TradeRecord, extend_bar, is_complete, start_bar
from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.orders import FILL_EVENTS, TRANSIENT_STATUSES, Order, OrderEvent, OrderStatus
from components.sandbox.alpaca.core.price_walk import (
    MarketQuote,
    MarketTrade,
    PriceWalk,
    advance_walk,
    set_mid_price,
    start_walk,
)
from components.sandbox.alpaca.core.responses import bar_document, event_document, quote_document, trade_document
from components.sandbox.alpaca.server.data_stream import DataStream
from components.sandbox.alpaca.server.ledger import Ledger
from components.sandbox.alpaca.server.storage import AccountTotals, MarketState, StateChange
from components.sandbox.alpaca.server.trade_updates import TradeUpdatesStream
from components.sandbox.alpaca.venue import AlpacaVenue, Transition
from components.sandbox.numerics import cents_to_dollars
from components.sandbox.transport.faults import AlpacaFaultKind, AlpacaFaultSwitches

# The real venue acknowledges after about this time; short enough for tests, long enough to be observed.
ACKNOWLEDGE_MS = 3
QUOTES_PER_SECOND = 5  # per symbol, at speed 1
SLEEP_S_MIN = 0.002  # below this the sleep itself would dominate, so several steps run per wake-up
STEPS_MAX = 100  # per wake-up; a speed that this machine cannot keep up with must not block requests
HOUSEKEEPING_S = 0.25
PERSIST_EVERY = 4  # in housekeeping turns: prices are persisted once a second


class Exchange:
    """Executes the venue's transitions in order: first the ledger, then the stream, then the response."""

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
        """Schedule the follow-up of every order that the previous run left in a transient status."""
        for order in list(self.account.orders.values()):
            self._schedule_advance(order)

    async def commit(self, transition: Transition) -> Transition:
        """Wait until a transition is durable; only then may its response be sent."""
        await self.persist(transition)
        return transition

    def persist(self, transition: Transition) -> "asyncio.Future[None]":
        """Append a transition to the ledger, and publish its events as soon as it is durable."""
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
        """Match the working orders against a new quote."""
        self._persist_if_changed(self.venue.on_quote(quote, self.now_ns()))

    def on_tick(self) -> None:
        """Apply the passing of time: expiries, and orders that wait for the session."""
        self._persist_if_changed(self.venue.on_tick(self.now_ns()))

    def persist_prices(self) -> None:
        """Append the state of the market and the trailing marks to the ledger, for the next run to continue from."""
        marked = tuple(order for order in self.account.orders.values() if order.high_water_mark is not None)
        _ = self.ledger.append(StateChange(prices=self.market_state(), orders=marked))

    def market_state(self) -> MarketState:
        """Return the state of the market."""
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


class MarketSimulator:
    """Advances the price walk of every symbol in turn, and publishes its quotes, trades and bars."""

    def __init__(
        self, exchange: Exchange, data_streams: Sequence[DataStream], seed: int, now_ns: Callable[[], int]
    ) -> None:
        self.quotes_count = 0
        self._exchange = exchange
        self._data_streams = data_streams
        self._seed = seed
        self._now_ns = now_ns
        self.histories: defaultdict[str, SymbolHistory] = defaultdict(SymbolHistory)

    def start(self, symbols: Sequence[str], stored: MarketState) -> None:
        """Restore or start every symbol's walk; a symbol without a quote publishes its first."""
        known = {walk.symbol: walk for walk in stored.walks}
        self._exchange.trades_count = stored.trades_count
        for symbol in symbols:
            self._exchange.walks[symbol] = known.get(symbol) or start_walk(symbol)
            if (quote := self._exchange.account.quotes.get(symbol)) is None:
                self.step(symbol)
            else:
                self.histories[symbol].quotes.append(quote)

    def step(self, symbol: str) -> None:
        """Advance one symbol by one step."""
        walk, quote, trade = advance_walk(self._exchange.walks[symbol], self._seed)
        self._exchange.walks[symbol] = walk
        now_ns = self._now_ns()
        self.publish_quote(_in_dollars(quote, now_ns))
        if trade is not None:
            self._record_trade(trade, now_ns)

    def publish_quote(self, quote: Quote) -> None:
        """Record a quote, match orders against it, then publish it to the data streams."""
        self.quotes_count += 1
        self.histories[quote.symbol].quotes.append(quote)
        self._exchange.on_quote(quote)
        self._publish("quotes", quote.symbol, quote_document(quote), quote.at_ns)

    def set_quote(self, quote: Quote) -> None:
        """Publish a quote set by hand; the walk continues from its mid price."""
        walk = self._exchange.walks[quote.symbol]
        self._exchange.walks[quote.symbol] = set_mid_price(walk, int(quote.bid * 100), int(quote.ask * 100))
        self.publish_quote(quote)

    def publish_trade(self, trade: MarketTrade) -> None:
        """Publish a trade set by hand; it changes no quote and fills no order."""
        self._record_trade(trade, self._now_ns())

    def tick(self) -> None:
        """Apply the passing of time: expire orders, enter those that wait for the session, publish finished minutes."""
        self._exchange.on_tick()
        self._finish_bars()

    async def run(self, speed: float) -> None:
        """Move the market until cancelled."""
        pause_s = 1 / (QUOTES_PER_SECOND * speed * len(self._exchange.walks))
        loop = asyncio.get_running_loop()
        due_s, turn, symbols = loop.time(), 0, list(self._exchange.walks)
        while True:
            await asyncio.sleep(max(SLEEP_S_MIN, due_s - loop.time()))
            # After a stall the market continues from now, without a burst of late quotes.
            due_s = max(due_s, loop.time() - HOUSEKEEPING_S)
            last_turn = turn + STEPS_MAX
            while due_s <= loop.time() and turn < last_turn:
                due_s, turn = due_s + pause_s, turn + 1
                if self._is_moving():
                    self.step(symbols[turn % len(symbols)])

    async def run_housekeeping(self) -> None:
        """Call `tick` at a fixed interval, and persist prices once a second, until cancelled."""
        turn = 0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            turn += 1
            self.tick()
            if turn % PERSIST_EVERY == 0:
                self._exchange.persist_prices()

    def _is_moving(self) -> bool:
        stopped = self._exchange.faults.active_condition(AlpacaFaultKind.STOP_QUOTES) is not None
        return not stopped and self._exchange.venue.is_trading(self._now_ns())

    def _record_trade(self, trade: MarketTrade, now_ns: int) -> None:
        self._exchange.trades_count += 1
        self._publish("trades", trade.symbol, trade_document(trade, self._exchange.trades_count), now_ns)
        history, price = self.histories[trade.symbol], cents_to_dollars(trade.price_cents)
        history.trades.append(TradeRecord(trade, self._exchange.trades_count, now_ns))
        self._finish_bar(history, now_ns)
        history.current_minute = (
            extend_bar(history.current_minute, price, trade.size)
            if history.current_minute
            else start_bar(trade.symbol, price, trade.size, now_ns)
        )

    def _finish_bars(self) -> None:
        now_ns = self._now_ns()
        for history in self.histories.values():
            self._finish_bar(history, now_ns)

    def _finish_bar(self, history: SymbolHistory, now_ns: int) -> None:
        if (bar := history.current_minute) is None or not is_complete(bar, now_ns):
            return
        history.current_minute = None
        history.minute_bars.append(bar)
        self._publish("bars", bar.symbol, bar_document(bar), bar.at_ns)

    def _publish(self, channel: str, symbol: str, document: dict[str, object], at_ns: int) -> None:
        for stream in self._data_streams:
            stream.publish(channel, symbol, document, at_ns)


def _in_dollars(quote: MarketQuote, at_ns: int) -> Quote:
    bid, ask = cents_to_dollars(quote.bid_cents), cents_to_dollars(quote.ask_cents)
    return Quote(quote.symbol, bid, ask, quote.bid_size, quote.ask_size, at_ns)
