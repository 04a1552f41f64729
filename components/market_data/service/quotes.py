"""Turns what a quoting venue says into quotes, trades and the trust in them."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, assert_never

from msgspec import Struct

from components.contracts.market import BookState, FeedHealth, FeedState, Quote, SymbolHealth, Trade
from components.contracts.topics import MARKET
from components.contracts.values import Symbol, Venue
from components.market_data.core.book import Book, Flaw, age, begin, check_trade, flag, take_quote
from components.market_data.core.feed import Batch, Dropped, Subscribed
from components.runtime.metrics import Metrics
from components.runtime.service import Effect, Effects, Note, Publish

NS_PER_MS = 1_000_000

Quoted: TypeAlias = Subscribed | Batch | Dropped


class Patience(Struct, frozen=True, gc=False):
    """How long prices are trusted, and how long readiness waits for the first of them."""

    quote_age_ms_max: int
    first_quote_ms_max: int


class QuoteDesk:
    """Holds the last quote of each listed symbol and the state of the one feed behind them."""

    def __init__(self, venue: Venue, symbols: Sequence[Symbol], patience: Patience, metrics: Metrics) -> None:
        self._venue = venue
        self._patience = patience
        self._books: dict[Symbol, Book] = {symbol: begin(0) for symbol in symbols}
        self._feed = FeedHealth(venue, FeedState.CONNECTING, "starting", 0)
        self._counts = _Counts(metrics)

    def on_start(self, now_ns: int) -> Effects:
        """Say that nothing is known yet."""
        self._books = {symbol: begin(now_ns) for symbol in self._books}
        self._feed = FeedHealth(self._venue, FeedState.CONNECTING, "starting", now_ns)
        return [Publish(MARKET, message) for message in self.snapshot()]

    def hear(self, said: Quoted, now_ns: int) -> Effects:
        """Hear the adapter."""
        match said:
            case Batch():
                return self._take(said)
            case Subscribed():
                return [*self._feed_is(FeedState.LIVE, "subscribed", now_ns), *self._flag(BookState.SYNCING, now_ns)]
            case Dropped():
                return self._drop(said, now_ns)
        assert_never(said)

    def on_tick(self, now_ns: int) -> Effects:
        """Stop trusting prices that have grown old."""
        age_ns_max = self._patience.quote_age_ms_max * NS_PER_MS
        effects: list[Effect] = []
        for symbol, book in self._books.items():
            effects += self._change(symbol, age(book, now_ns=now_ns, age_ns_max=age_ns_max))
        return effects

    def on_stop(self, now_ns: int) -> Effects:
        """Say that these prices go on no longer."""
        return [
            *self._feed_is(FeedState.DOWN, "market_data stops", now_ns, level="info"),
            *self._flag(BookState.GAP, now_ns),
        ]

    def snapshot(self) -> tuple[Any, ...]:
        """Give the last quote of each symbol, then the trust in it, for whoever joins late."""
        quotes = (book.quote for book in self._books.values() if book.quote is not None)
        return (*quotes, *(self._health(symbol, book) for symbol, book in self._books.items()), self._feed)

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Wait for the feed, then for a first quote of each symbol; but not for ever, for the session may be closed."""
        if self._feed.state is not FeedState.LIVE:
            return (f"feed {self._venue} is {self._feed.state}: {self._feed.reason}",)
        waited_ns = now_ns - self._feed.at_ns
        if waited_ns > self._patience.first_quote_ms_max * NS_PER_MS:
            return ()
        return tuple(f"first quote of {symbol}" for symbol, book in self._books.items() if book.quote is None)

    def _take(self, batch: Batch) -> Effects:
        self._counts.strange(batch)
        effects: list[Effect] = []
        for message in batch.messages:
            effects += self._take_quote(message) if isinstance(message, Quote) else self._take_trade(message)
        return effects

    def _take_quote(self, quote: Quote) -> Effects:
        book = self._books.get(quote.symbol)
        taken = Flaw.UNLISTED if book is None else take_quote(book, quote)
        if isinstance(taken, Flaw):
            return self._counts.flawed(taken)
        self._counts.quotes.inc()
        said = Publish(MARKET, quote, event_at_ns=quote.venue_at_ns, received_at_ns=quote.received_at_ns)
        changed = self._change(quote.symbol, taken)
        # Trust never arrives before the price it is about, distrust never after it.
        return [said, *changed] if taken.state is BookState.SYNCED else [*changed, said]

    def _take_trade(self, trade: Trade) -> Effects:
        flaw = check_trade(trade) if trade.symbol in self._books else Flaw.UNLISTED
        if flaw is not None:
            return self._counts.flawed(flaw)
        self._counts.trades.inc()
        return [Publish(MARKET, trade, event_at_ns=trade.venue_at_ns, received_at_ns=trade.received_at_ns)]

    def _drop(self, dropped: Dropped, now_ns: int) -> Effects:
        self._counts.drops.inc()
        return [
            *self._feed_is(FeedState.DOWN, dropped.reason, now_ns, level="error"),
            *self._flag(BookState.GAP, now_ns),
        ]

    def _feed_is(self, state: FeedState, reason: str, now_ns: int, *, level: str = "info") -> Effects:
        before, self._feed = self._feed, FeedHealth(self._venue, state, reason, now_ns)
        if (before.state, before.reason) == (state, reason):
            self._feed = before
            return []
        self._counts.live.set(state is FeedState.LIVE)
        return [Publish(MARKET, self._feed), Note("feed_changed", {"state": state, "reason": reason}, level)]

    def _flag(self, state: BookState, now_ns: int) -> Iterator[Effect]:
        for symbol, book in self._books.items():
            yield from self._change(symbol, flag(book, state, self._feed.reason, now_ns))

    def _change(self, symbol: Symbol, book: Book) -> Effects:
        before, self._books[symbol] = self._books[symbol], book
        if before.state is book.state:
            return ()
        self._counts.changes.labels(book.state).inc()
        facts = {"symbol": symbol, "before": before.state, "state": book.state, "reason": book.reason}
        # A market that crosses and uncrosses many times a second must not fill the log; the counters see it all.
        level = "info" if book.state in (BookState.GAP, BookState.STALE) else "debug"
        return (Publish(MARKET, self._health(symbol, book)), Note("book_changed", facts, level))

    def _health(self, symbol: Symbol, book: Book) -> SymbolHealth:
        return SymbolHealth(self._venue, symbol, book.state, book.reason, book.since_ns)


class _Counts:
    """What is counted; every label is a word of ours."""

    def __init__(self, metrics: Metrics) -> None:
        self.quotes = metrics.counter("market_quotes_total", "Quotes published")
        self.trades = metrics.counter("market_trades_total", "Trades published")
        self.drops = metrics.counter("market_feed_drops_total", "Times the feed's connection ended or failed")
        self.live = metrics.gauge("market_feed_live", "1 while the feed is subscribed")
        self.changes = metrics.counter("market_book_changes_total", "Changes of a book's state", ("state",))
        self._left_out = metrics.counter("market_left_out_total", "Parts of the feed without effect", ("reason",))

    def flawed(self, flaw: Flaw) -> Effects:
        """Count a message without effect."""
        self._left_out.labels(flaw).inc()
        return ()

    def strange(self, batch: Batch) -> None:
        """Count what the adapter could not read."""
        if batch.unknown:
            self._left_out.labels("unknown").inc(batch.unknown)
        if batch.malformed:
            self._left_out.labels("malformed").inc(batch.malformed)
