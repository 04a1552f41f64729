"""The trading floor: the seeded market moves in real time, the venue matches, the data feeds hear it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from components.sandbox.core.bars import begin_bar, extend_bar, is_over
from components.sandbox.core.decimals import from_cents
from components.sandbox.core.faults import FaultKind
from components.sandbox.core.listings import bar_document, quote_document, trade_document
from components.sandbox.core.market import MarketQuote, MarketTrade, advance, begin, set_middle
from components.sandbox.core.matching import Quote
from components.sandbox.core.tape import Printed, Tape
from components.sandbox.server.exchange import Exchange
from components.sandbox.server.feed import Feed
from components.sandbox.server.store import Prices

QUOTES_PER_SECOND = 5  # of each symbol, at speed 1
PAUSE_S_MIN = 0.002  # below this the loop would spend its time falling asleep, so several steps share one awakening
STEPS_MAX = 100  # in one go; a market too fast for this machine must not keep it from answering
HOUSEKEEPING_S = 0.25
REMEMBER_EVERY = 4  # housekeeping turns: prices are written down once a second


class Floor:
    """Moves every symbol's walk in turn and passes on what it says."""

    def __init__(self, exchange: Exchange, feeds: Sequence[Feed], seed: int, now_ns: Callable[[], int]) -> None:
        self.quotes_count = 0
        self._exchange = exchange
        self._feeds = feeds
        self._seed = seed
        self._now_ns = now_ns
        self.tapes: defaultdict[str, Tape] = defaultdict(Tape)

    def open(self, symbols: Sequence[str], remembered: Prices) -> None:
        """Put every symbol's walk in place; one without a quote yet says its first."""
        known = {walk.symbol: walk for walk in remembered.walks}
        self._exchange.trades_count = remembered.trades_count
        for symbol in symbols:
            self._exchange.walks[symbol] = known.get(symbol) or begin(symbol)
            if (quote := self._exchange.books.quotes.get(symbol)) is None:
                self.step(symbol)
            else:
                self.tapes[symbol].quotes.append(quote)

    def step(self, symbol: str) -> None:
        """Let one symbol move once."""
        walk, quote, trade = advance(self._exchange.walks[symbol], self._seed)
        self._exchange.walks[symbol] = walk
        now_ns = self._now_ns()
        self.show(_in_dollars(quote, now_ns))
        if trade is not None:
            self._print(trade, now_ns)

    def show(self, quote: Quote) -> None:
        """Make a quote the market: match against it, then tell the feeds."""
        self.quotes_count += 1
        self.tapes[quote.symbol].quotes.append(quote)
        self._exchange.on_quote(quote)
        self._publish("quotes", quote.symbol, quote_document(quote), quote.at_ns)

    def set_quote(self, quote: Quote) -> None:
        """Put the market where an operator says it is; the walk goes on from there."""
        walk = self._exchange.walks[quote.symbol]
        self._exchange.walks[quote.symbol] = set_middle(walk, int(quote.bid * 100), int(quote.ask * 100))
        self.show(quote)

    def show_trade(self, trade: MarketTrade) -> None:
        """Print a trade as an operator says it happened; it moves no quote and fills no order."""
        self._print(trade, self._now_ns())

    def tick(self) -> None:
        """Let time pass: what expires ends, what waits for the session enters, minutes that are over become bars."""
        self._exchange.on_tick()
        self._finish_bars()

    async def move(self, speed: float) -> None:
        """Move the market for ever."""
        pause_s = 1 / (QUOTES_PER_SECOND * speed * len(self._exchange.walks))
        loop = asyncio.get_running_loop()
        due_s, turn, symbols = loop.time(), 0, list(self._exchange.walks)
        while True:
            await asyncio.sleep(max(PAUSE_S_MIN, due_s - loop.time()))
            # After a stall the market goes on from now: a burst of old quotes would help nobody.
            due_s = max(due_s, loop.time() - HOUSEKEEPING_S)
            last_turn = turn + STEPS_MAX
            while due_s <= loop.time() and turn < last_turn:
                due_s, turn = due_s + pause_s, turn + 1
                if self._moves():
                    self.step(symbols[turn % len(symbols)])

    async def keep_house(self) -> None:
        """Let time pass, and remember prices."""
        turn = 0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            turn += 1
            self.tick()
            if turn % REMEMBER_EVERY == 0:
                self._exchange.remember_prices()

    def _moves(self) -> bool:
        stopped = self._exchange.faults.condition(FaultKind.STOP_QUOTES) is not None
        return not stopped and self._exchange.venue.is_trading(self._now_ns())

    def _print(self, trade: MarketTrade, now_ns: int) -> None:
        self._exchange.trades_count += 1
        self._publish("trades", trade.symbol, trade_document(trade, self._exchange.trades_count), now_ns)
        tape, price = self.tapes[trade.symbol], from_cents(trade.price_cents)
        tape.trades.append(Printed(trade, self._exchange.trades_count, now_ns))
        self._finish_bar(tape, now_ns)
        tape.minute = (
            extend_bar(tape.minute, price, trade.size)
            if tape.minute
            else begin_bar(trade.symbol, price, trade.size, now_ns)
        )

    def _finish_bars(self) -> None:
        now_ns = self._now_ns()
        for tape in self.tapes.values():
            self._finish_bar(tape, now_ns)

    def _finish_bar(self, tape: Tape, now_ns: int) -> None:
        if (bar := tape.minute) is None or not is_over(bar, now_ns):
            return
        tape.minute = None
        tape.minutes.append(bar)
        self._publish("bars", bar.symbol, bar_document(bar), bar.at_ns)

    def _publish(self, channel: str, symbol: str, document: dict[str, object], at_ns: int) -> None:
        for feed in self._feeds:
            feed.publish(channel, symbol, document, at_ns)


def _in_dollars(quote: MarketQuote, at_ns: int) -> Quote:
    bid, ask = from_cents(quote.bid_cents), from_cents(quote.ask_cents)
    return Quote(quote.symbol, bid, ask, quote.bid_size, quote.ask_size, at_ns)
