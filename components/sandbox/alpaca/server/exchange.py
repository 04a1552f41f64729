"""The running venue: what the service decides is written down, then told, then led on a moment later.

The trading floor: the seeded market moves in real time, the venue matches, the data feeds hear it.
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


QUOTES_PER_SECOND = 5  # of each symbol, at speed 1


SLEEP_S_MIN = 0.002  # below this the loop would spend its time falling asleep, so several steps share one awakening


STEPS_MAX = 100  # in one go; a market too fast for this machine must not keep it from answering


HOUSEKEEPING_S = 0.25


PERSIST_EVERY = 4  # housekeeping turns: prices are written down once a second


class MarketSimulator:
    """Moves every symbol's walk in turn and passes on what it says."""

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
        """Put every symbol's walk in place; one without a quote yet says its first."""
        known = {walk.symbol: walk for walk in stored.walks}
        self._exchange.trades_count = stored.trades_count
        for symbol in symbols:
            self._exchange.walks[symbol] = known.get(symbol) or start_walk(symbol)
            if (quote := self._exchange.account.quotes.get(symbol)) is None:
                self.step(symbol)
            else:
                self.histories[symbol].quotes.append(quote)

    def step(self, symbol: str) -> None:
        """Let one symbol move once."""
        walk, quote, trade = advance_walk(self._exchange.walks[symbol], self._seed)
        self._exchange.walks[symbol] = walk
        now_ns = self._now_ns()
        self.publish_quote(_in_dollars(quote, now_ns))
        if trade is not None:
            self._record_trade(trade, now_ns)

    def publish_quote(self, quote: Quote) -> None:
        """Make a quote the market: match against it, then tell the feeds."""
        self.quotes_count += 1
        self.histories[quote.symbol].quotes.append(quote)
        self._exchange.on_quote(quote)
        self._publish("quotes", quote.symbol, quote_document(quote), quote.at_ns)

    def set_quote(self, quote: Quote) -> None:
        """Put the market where an operator says it is; the walk goes on from there."""
        walk = self._exchange.walks[quote.symbol]
        self._exchange.walks[quote.symbol] = set_mid_price(walk, int(quote.bid * 100), int(quote.ask * 100))
        self.publish_quote(quote)

    def publish_trade(self, trade: MarketTrade) -> None:
        """Print a trade as an operator says it happened; it moves no quote and fills no order."""
        self._record_trade(trade, self._now_ns())

    def tick(self) -> None:
        """Let time pass: what expires ends, what waits for the session enters, minutes that are over become bars."""
        self._exchange.on_tick()
        self._finish_bars()

    async def run(self, speed: float) -> None:
        """Move the market for ever."""
        pause_s = 1 / (QUOTES_PER_SECOND * speed * len(self._exchange.walks))
        loop = asyncio.get_running_loop()
        due_s, turn, symbols = loop.time(), 0, list(self._exchange.walks)
        while True:
            await asyncio.sleep(max(SLEEP_S_MIN, due_s - loop.time()))
            # After a stall the market goes on from now: a burst of old quotes would help nobody.
            due_s = max(due_s, loop.time() - HOUSEKEEPING_S)
            last_turn = turn + STEPS_MAX
            while due_s <= loop.time() and turn < last_turn:
                due_s, turn = due_s + pause_s, turn + 1
                if self._is_moving():
                    self.step(symbols[turn % len(symbols)])

    async def run_housekeeping(self) -> None:
        """Let time pass, and remember prices."""
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
        tape, price = self.histories[trade.symbol], cents_to_dollars(trade.price_cents)
        tape.trades.append(TradeRecord(trade, self._exchange.trades_count, now_ns))
        self._finish_bar(tape, now_ns)
        tape.current_minute = (
            extend_bar(tape.current_minute, price, trade.size)
            if tape.current_minute
            else start_bar(trade.symbol, price, trade.size, now_ns)
        )

    def _finish_bars(self) -> None:
        now_ns = self._now_ns()
        for tape in self.histories.values():
            self._finish_bar(tape, now_ns)

    def _finish_bar(self, tape: SymbolHistory, now_ns: int) -> None:
        if (bar := tape.current_minute) is None or not is_complete(bar, now_ns):
            return
        tape.current_minute = None
        tape.minute_bars.append(bar)
        self._publish("bars", bar.symbol, bar_document(bar), bar.at_ns)

    def _publish(self, channel: str, symbol: str, document: dict[str, object], at_ns: int) -> None:
        for feed in self._data_streams:
            feed.publish(channel, symbol, document, at_ns)


def _in_dollars(quote: MarketQuote, at_ns: int) -> Quote:
    bid, ask = cents_to_dollars(quote.bid_cents), cents_to_dollars(quote.ask_cents)
    return Quote(quote.symbol, bid, ask, quote.bid_size, quote.ask_size, at_ns)
