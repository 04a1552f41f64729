"""What risk knows that is not in its log: which streams are whole, the last prices, whether the clock is right."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from components.contracts.decisions import Facts
from components.contracts.market import BookState, FeedHealth, FeedState, MarketMessage, Quote, SymbolHealth, Trade
from components.contracts.trading import Cause
from components.contracts.values import Place, Price, Symbol, Venue
from components.risk.core.checks import NS_PER_MS
from components.risk.core.limits import Limits, Timing

PRICE_MAX: Final = Decimal("1e12")
"""Beyond this a price is nonsense, and arithmetic with it could fail."""


class Sighting(Struct, frozen=True, gc=False):
    """A quote and where in the stream it stood."""

    quote: Quote
    place: Place


class Surroundings:
    """Evidence of this life of the process; nothing of it survives, all of it is heard anew."""

    def __init__(self, limits: Limits, timing: Timing) -> None:
        self._limits, self._timing = limits, timing
        self._feeds: dict[Venue, FeedState] = {}
        self._books: dict[Symbol, BookState] = {}
        self._sightings: dict[Symbol, Sighting] = {}
        self._suspect_until_ns = 0
        self.seen_ns = 0
        """When somebody last told the time."""
        self.quoted_at_ns = 0
        """When the newest usable quote of an allowed symbol was received."""
        self.market_lost: str | None = "not heard yet"
        """Why the market is not whole; None when it is. The same for orders."""
        self.orders_lost: str | None = "not heard yet"
        self.orders_lost_after = 0
        """How far our log was when order events were last lost."""

    def see_time(self, now_ns: int) -> None:
        """Compare with the last time seen: ticks come steadily, so a leap is the clock's."""
        passed_ms = (now_ns - self.seen_ns) / NS_PER_MS
        if self.seen_ns and not -self._limits.clock_skew_ms_max <= passed_ms <= self._timing.clock_jump_ms_max:
            self._suspect_until_ns = now_ns + self._timing.clock_suspect_ms * NS_PER_MS
            self.quoted_at_ns = 0  # a stamp from before the jump says nothing about an age after it
        self.seen_ns = now_ns

    def join_market(self, place: Place, messages: Iterable[MarketMessage]) -> None:
        """Begin with the market's present state."""
        self._forget_market()
        self.market_lost = None
        for message in messages:
            self.hear_market(message, place)

    def lose_market(self, reason: str) -> None:
        """Trust nothing that was heard; what is true now comes with the next join."""
        self._forget_market()
        self.market_lost = reason

    def hear_market(self, message: MarketMessage, place: Place) -> None:
        """Note the newest word on a price, a book or a feed."""
        match message:
            case Quote():
                self._see(message, place)
            case SymbolHealth(symbol=symbol, state=state):
                self._books[symbol] = state
            case FeedHealth(venue=venue, state=state):
                self._feeds[venue] = state
            case Trade():
                return

    def join_orders(self) -> None:
        """Note that every order event up to now was heard."""
        self.orders_lost = None

    def lose_orders(self, reason: str, last_sequence: int) -> None:
        """Note that order events may be missing; only what is reconciled after this record counts."""
        self.orders_lost, self.orders_lost_after = reason, last_sequence

    def facts(self, symbol: Symbol, now_ns: int, causes: tuple[Cause, ...], *, is_stopping: bool) -> Facts:
        """Collect what an intent in this symbol is judged by."""
        sighting = self._sightings.get(symbol)
        whole = self.market_lost is None and self.orders_lost is None
        if sighting is None:
            return Facts(now_ns, None, None, 0, None, self._book(symbol), whole, causes, is_stopping)
        quote, book = sighting.quote, self._book_of(sighting.quote)
        received_at_ns = quote.received_at_ns
        return Facts(
            now_ns, quote.bid_price, quote.ask_price, received_at_ns, sighting.place, book, whole, causes, is_stopping
        )

    def middle(self, symbol: Symbol) -> Price | None:
        """Give the middle of the last quote, whatever its age."""
        sighting = self._sightings.get(symbol)
        return sighting.quote.middle if sighting else None

    def staleness(self, now_ns: int) -> str:
        """Say why prices as a whole cannot be used; empty when they can."""
        if FeedState.LIVE not in self._feeds.values():
            feeds = ", ".join(f"{venue} {state}" for venue, state in self._feeds.items())
            return f"no live feed ({feeds or 'none heard'})"
        age_ms = (now_ns - self.quoted_at_ns) / NS_PER_MS
        if not -self._limits.clock_skew_ms_max <= age_ms <= self._timing.data_age_ms_max:
            return f"no quote of an allowed symbol for {self._timing.data_age_ms_max} ms"
        return ""

    def clock_doubt(self, now_ns: int) -> str:
        """Say why the clock cannot be trusted; empty when it can."""
        return "the wall clock jumped" if now_ns < self._suspect_until_ns else ""

    def _see(self, quote: Quote, place: Place) -> None:
        if not (quote.is_two_sided and quote.ask_price <= PRICE_MAX):
            self._sightings.pop(quote.symbol, None)
            return
        self._sightings[quote.symbol] = Sighting(quote, place)
        if quote.symbol in self._limits.allowed:
            self.quoted_at_ns = max(self.quoted_at_ns, quote.received_at_ns)

    def _book(self, symbol: Symbol) -> BookState:
        return self._books.get(symbol, BookState.STALE)

    def _book_of(self, quote: Quote) -> BookState:
        is_live = self._feeds.get(quote.venue) is FeedState.LIVE
        return self._book(quote.symbol) if is_live else BookState.STALE

    def _forget_market(self) -> None:
        self._feeds.clear()
        self._books.clear()
        self._sightings.clear()
        self.quoted_at_ns = 0
