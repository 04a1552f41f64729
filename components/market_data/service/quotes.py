"""The stock feed: publishes quotes, trades and the health of each symbol and of the feed."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, assert_never

from msgspec import Struct

from components.contracts.market import BookState, FeedHealth, FeedState, Quote, SymbolHealth, Trade
from components.contracts.streams import MARKET
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import StockFeedDown, StockFeedUp, StockFrame
from components.market_data.core.quotes import (
    QuoteState,
    RejectReason,
    apply_quote,
    initial_quote_state,
    is_valid_trade,
    mark_stale_if_old,
    mark_untrusted,
)
from components.runtime.clock import NS_PER_MS
from components.runtime.metrics import Metrics
from components.runtime.service import Effect, Effects, EventLevel, LogEvent, Publish

StockFeedMessage: TypeAlias = StockFeedUp | StockFrame | StockFeedDown


class QuoteTimeouts(Struct, frozen=True, gc=False):
    """How long prices are trusted, and how long readiness waits for the first of them."""

    quote_age_ms_max: int
    first_quote_timeout_ms: int


class QuoteService:
    """The last quote of each configured symbol and the state of the one feed that delivers them."""

    def __init__(self, venue: Venue, symbols: Sequence[Symbol], timeouts: QuoteTimeouts, metrics: Metrics) -> None:
        self._venue = venue
        self._timeouts = timeouts
        self._states: dict[Symbol, QuoteState] = {symbol: initial_quote_state(0) for symbol in symbols}
        self._feed = FeedHealth(venue, FeedState.CONNECTING, "starting", 0)
        self._metrics = _QuoteMetrics(metrics)

    def on_start(self, now_ns: int) -> Effects:
        """Publish that no state is known yet."""
        self._states = {symbol: initial_quote_state(now_ns) for symbol in self._states}
        self._feed = FeedHealth(self._venue, FeedState.CONNECTING, "starting", now_ns)
        return [Publish(MARKET, message) for message in self.snapshot()]

    def on_feed_message(self, message: StockFeedMessage, now_ns: int) -> Effects:
        """Handle a message of the feed."""
        match message:
            case StockFrame():
                return self._on_frame(message)
            case StockFeedUp():
                return [
                    *self._set_feed_state(FeedState.LIVE, "subscribed", now_ns),
                    *self._mark_all_untrusted(BookState.SYNCING, now_ns),
                ]
            case StockFeedDown():
                return self._on_feed_down(message, now_ns)
        assert_never(message)

    def on_tick(self, now_ns: int) -> Effects:
        """Mark prices that have become old as stale."""
        age_ns_max = self._timeouts.quote_age_ms_max * NS_PER_MS
        effects: list[Effect] = []
        for symbol, state in self._states.items():
            effects += self._set_quote_state(symbol, mark_stale_if_old(state, now_ns=now_ns, age_ns_max=age_ns_max))
        return effects

    def on_stop(self, now_ns: int) -> Effects:
        """Publish that these prices are no longer updated."""
        return [
            *self._set_feed_state(FeedState.DOWN, "market_data stops", now_ns, level="info"),
            *self._mark_all_untrusted(BookState.GAP, now_ns),
        ]

    def snapshot(self) -> tuple[Any, ...]:
        """Return the last quote of each symbol, then the health of each, for late subscribers."""
        quotes = (state.quote for state in self._states.values() if state.quote is not None)
        return (*quotes, *(self._health(symbol, state) for symbol, state in self._states.items()), self._feed)

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Return what readiness waits for: the feed, then a first quote of each symbol.

        The wait for quotes is bounded, because the market may be closed.
        """
        if self._feed.state is not FeedState.LIVE:
            return (f"feed {self._venue} is {self._feed.state}: {self._feed.reason}",)
        waited_ns = now_ns - self._feed.at_ns
        if waited_ns > self._timeouts.first_quote_timeout_ms * NS_PER_MS:
            return ()
        return tuple(f"first quote of {symbol}" for symbol, state in self._states.items() if state.quote is None)

    def _on_frame(self, frame: StockFrame) -> Effects:
        self._metrics.count_undecoded(frame)
        effects: list[Effect] = []
        for message in frame.messages:
            effects += self._on_quote(message) if isinstance(message, Quote) else self._on_trade(message)
        return effects

    def _on_quote(self, quote: Quote) -> Effects:
        state = self._states.get(quote.symbol)
        outcome = RejectReason.UNLISTED if state is None else apply_quote(state, quote)
        if isinstance(outcome, RejectReason):
            return self._metrics.count_rejected(outcome)
        self._metrics.quotes.inc()
        publication = Publish(MARKET, quote, event_at_ns=quote.venue_at_ns, received_at_ns=quote.received_at_ns)
        effects = self._set_quote_state(quote.symbol, outcome)
        # The symbol is reported as synced after the price, and as not synced before it.
        return [publication, *effects] if outcome.state is BookState.SYNCED else [*effects, publication]

    def _on_trade(self, trade: Trade) -> Effects:
        if trade.symbol not in self._states:
            return self._metrics.count_rejected(RejectReason.UNLISTED)
        if not is_valid_trade(trade):
            return self._metrics.count_rejected(RejectReason.OUT_OF_RANGE)
        self._metrics.trades.inc()
        return [Publish(MARKET, trade, event_at_ns=trade.venue_at_ns, received_at_ns=trade.received_at_ns)]

    def _on_feed_down(self, message: StockFeedDown, now_ns: int) -> Effects:
        self._metrics.drops.inc()
        return [
            *self._set_feed_state(FeedState.DOWN, message.reason, now_ns, level="error"),
            *self._mark_all_untrusted(BookState.GAP, now_ns),
        ]

    def _set_feed_state(self, state: FeedState, reason: str, now_ns: int, *, level: EventLevel = "info") -> Effects:
        before, self._feed = self._feed, FeedHealth(self._venue, state, reason, now_ns)
        if (before.state, before.reason) == (state, reason):
            self._feed = before
            return []
        self._metrics.live.set(state is FeedState.LIVE)
        return [Publish(MARKET, self._feed), LogEvent("feed_state_changed", {"state": state, "reason": reason}, level)]

    def _mark_all_untrusted(self, state: BookState, now_ns: int) -> Iterator[Effect]:
        for symbol, quoted in self._states.items():
            yield from self._set_quote_state(symbol, mark_untrusted(quoted, state, self._feed.reason, now_ns))

    def _set_quote_state(self, symbol: Symbol, state: QuoteState) -> Effects:
        before, self._states[symbol] = self._states[symbol], state
        if before.state is state.state:
            return ()
        self._metrics.changes.labels(state.state).inc()
        fields = {"symbol": symbol, "before": before.state, "state": state.state, "reason": state.reason}
        # A market that crosses and uncrosses many times a second must not fill the log; the counters show it.
        level: EventLevel = "info" if state.state in (BookState.GAP, BookState.STALE) else "debug"
        return (Publish(MARKET, self._health(symbol, state)), LogEvent("book_state_changed", fields, level))

    def _health(self, symbol: Symbol, state: QuoteState) -> SymbolHealth:
        return SymbolHealth(self._venue, symbol, state.state, state.reason, state.since_ns)


class _QuoteMetrics:
    """Counters of the stock feed. Label values are constants of this system, never text from the venue."""

    def __init__(self, metrics: Metrics) -> None:
        self.quotes = metrics.counter("market_quotes_total", "Quotes published")
        self.trades = metrics.counter("market_trades_total", "Trades published")
        self.drops = metrics.counter("market_feed_disconnects_total", "Feed connections that ended or failed")
        self.live = metrics.gauge("market_feed_live", "1 while the feed is subscribed")
        self.changes = metrics.counter(
            "market_quote_state_changes_total", "Changes of the state of a symbol's quotes", ("state",)
        )
        self._rejected = metrics.counter(
            "market_rejected_messages_total", "Parts of the feed that were rejected", ("reason",)
        )

    def count_rejected(self, reason: RejectReason) -> Effects:
        """Count a rejected message."""
        self._rejected.labels(reason).inc()
        return ()

    def count_undecoded(self, frame: StockFrame) -> None:
        """Count the parts of a frame that the adapter could not decode."""
        if frame.unknown:
            self._rejected.labels("unknown").inc(frame.unknown)
        if frame.malformed:
            self._rejected.labels("malformed").inc(frame.malformed)
