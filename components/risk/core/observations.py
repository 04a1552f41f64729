"""What risk observes but does not journal: stream continuity, last quotes, feed and book states, clock jumps."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from components.contracts.decisions import DecisionInputs
from components.contracts.market import BookState, FeedHealth, FeedState, MarketMessage, Quote, SymbolHealth, Trade
from components.contracts.trading import Cause
from components.contracts.values import Price, StreamOffset, Symbol, Venue
from components.risk.core.limits import NS_PER_MS, Limits, Timing

PRICE_MAX: Final = Decimal("1e12")
"""A quote with a higher price is discarded: the price is invalid, and arithmetic with it could fail."""


class LastQuote(Struct, frozen=True, gc=False):
    """A quote and its offset in the stream."""

    quote: Quote
    offset: StreamOffset


class Observations:
    """Evidence collected since the process started; nothing of it survives a restart."""

    def __init__(self, limits: Limits, timing: Timing) -> None:
        self._limits, self._timing = limits, timing
        self._feeds: dict[Venue, FeedState] = {}
        self._book_states: dict[Symbol, BookState] = {}
        self._last_quotes: dict[Symbol, LastQuote] = {}
        self._suspect_until_ns = 0
        self.last_observed_ns = 0
        """Time of the last call of `observe_clock`."""
        self.last_quote_at_ns = 0
        """When the newest usable quote of an allowed symbol was received."""
        self.market_lost: str | None = "not received yet"
        """Why the market stream is not synced; None if it is. `orders_lost` is the same for order events."""
        self.orders_lost: str | None = "not received yet"
        self.orders_lost_sequence = 0
        """Last sequence of risk's own log when order events were last lost."""

    def observe_clock(self, now_ns: int) -> None:
        """Compare the time with the last observation: ticks are regular, so a large step is a jump of the clock."""
        passed_ms = (now_ns - self.last_observed_ns) / NS_PER_MS
        if self.last_observed_ns and not -self._limits.clock_skew_ms_max <= passed_ms <= self._timing.clock_jump_ms_max:
            self._suspect_until_ns = now_ns + self._timing.clock_suspect_ms * NS_PER_MS
            self.last_quote_at_ns = 0  # a timestamp from before the jump gives no valid age after it
        self.last_observed_ns = now_ns

    def on_market_synced(self, offset: StreamOffset, messages: Iterable[MarketMessage]) -> None:
        """Replace everything known of the market by this snapshot."""
        self._clear_market()
        self.market_lost = None
        for message in messages:
            self.on_market_message(message, offset)

    def on_market_lost(self, reason: str) -> None:
        """Discard everything known of the market until the stream is synced again."""
        self._clear_market()
        self.market_lost = reason

    def on_market_message(self, message: MarketMessage, offset: StreamOffset) -> None:
        """Store the latest quote, book state or feed state."""
        match message:
            case Quote():
                self._store_quote(message, offset)
            case SymbolHealth(symbol=symbol, state=state):
                self._book_states[symbol] = state
            case FeedHealth(venue=venue, state=state):
                self._feeds[venue] = state
            case Trade():
                return

    def on_orders_synced(self) -> None:
        """Record that every order event so far was received."""
        self.orders_lost = None

    def on_orders_lost(self, reason: str, last_sequence: int) -> None:
        """Record that order events may be missing; only a reconciliation after this record counts."""
        self.orders_lost, self.orders_lost_sequence = reason, last_sequence

    def decision_inputs(
        self, symbol: Symbol, now_ns: int, causes: tuple[Cause, ...], *, is_stopping: bool
    ) -> DecisionInputs:
        """Return the inputs of a decision on this symbol."""
        last_quote = self._last_quotes.get(symbol)
        is_intact = self.market_lost is None and self.orders_lost is None
        if last_quote is None:
            return DecisionInputs(now_ns, None, None, 0, None, self._book_state(symbol), is_intact, causes, is_stopping)
        quote, book_state = last_quote.quote, self._book_state_of(last_quote.quote)
        received_at_ns = quote.received_at_ns
        return DecisionInputs(
            now_ns,
            quote.bid_price,
            quote.ask_price,
            received_at_ns,
            last_quote.offset,
            book_state,
            is_intact,
            causes,
            is_stopping,
        )

    def mid(self, symbol: Symbol) -> Price | None:
        """Return the mid of the last quote, regardless of its age."""
        last_quote = self._last_quotes.get(symbol)
        return last_quote.quote.mid if last_quote else None

    def staleness(self, now_ns: int) -> str:
        """Return why market data as a whole is unusable; empty if it is usable."""
        if FeedState.LIVE not in self._feeds.values():
            feeds = ", ".join(f"{venue} {state}" for venue, state in self._feeds.items())
            return f"no live feed ({feeds or 'none received'})"
        age_ms = (now_ns - self.last_quote_at_ns) / NS_PER_MS
        if not -self._limits.clock_skew_ms_max <= age_ms <= self._timing.data_age_ms_max:
            return f"no quote of an allowed symbol for {self._timing.data_age_ms_max} ms"
        return ""

    def clock_jump(self, now_ns: int) -> str:
        """Return why the clock is not trusted; empty if it is."""
        return "the wall clock jumped" if now_ns < self._suspect_until_ns else ""

    def _store_quote(self, quote: Quote, offset: StreamOffset) -> None:
        if not (quote.is_two_sided and quote.ask_price <= PRICE_MAX):
            self._last_quotes.pop(quote.symbol, None)
            return
        self._last_quotes[quote.symbol] = LastQuote(quote, offset)
        if quote.symbol in self._limits.allowed_symbols:
            self.last_quote_at_ns = max(self.last_quote_at_ns, quote.received_at_ns)

    def _book_state(self, symbol: Symbol) -> BookState:
        return self._book_states.get(symbol, BookState.STALE)

    def _book_state_of(self, quote: Quote) -> BookState:
        is_live = self._feeds.get(quote.venue) is FeedState.LIVE
        return self._book_state(quote.symbol) if is_live else BookState.STALE

    def _clear_market(self) -> None:
        self._feeds.clear()
        self._book_states.clear()
        self._last_quotes.clear()
        self.last_quote_at_ns = 0
