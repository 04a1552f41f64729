"""Runs the order book service in a test: venue messages go in, what it publishes is applied as a subscriber would."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from components.contracts.market import BookDelta, BookGap, BookLevels, BookSnapshot, BookState, SymbolHealth
from components.contracts.streams import BOOKS, Stream
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import RangeRule, ResyncMethod, SequenceRule
from components.market_data.core.book.synchronizer import SyncLimits
from components.market_data.core.events import (
    BookStreamUp,
    DecodedFrame,
    DepthSnapshot,
    DepthUpdate,
    FeedMessage,
    FeedReply,
    FeedRequest,
    FeedUp,
    InstrumentsLoaded,
    MarketEvent,
)
from components.market_data.core.instruments import Instrument, InstrumentType
from components.market_data.core.numerics import Level
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService, VenueBookSettings
from components.runtime.metrics import Metrics
from components.runtime.service import CallVenue, Effect, LogEvent, Publish, VenueCallCompleted, VenueEvent

T0: Final = 1_700_000_000_000_000_000
MS: Final = 1_000_000
VENUE: Final = Venue("TEST")
ONE, TWO = Symbol("TEST:ONE-USD"), Symbol("TEST:TWO-USD")
FETCH_RULE: Final = RangeRule(
    resync_method=ResyncMethod.FETCH, fallback_method=ResyncMethod.FETCH, ranges_overlap=False
)
RESUBSCRIBE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.RESUBSCRIBE, fallback_method=ResyncMethod.FETCH, ranges_overlap=False
)
BIDS: Final[tuple[Level, ...]] = (("99", "1"), ("98", "1"), ("97", "1"), ("96", "1"))
ASKS: Final[tuple[Level, ...]] = (("101", "1"), ("102", "1"), ("103", "1"), ("104", "1"))


def venue_book_settings(rule: SequenceRule = FETCH_RULE, **other: Any) -> VenueBookSettings:
    """Return the book settings of an invented venue."""
    facts: dict[str, Any] = {
        "venue": VENUE,
        "symbols": (ONE, TWO),
        "pushes_snapshot": False,
        "levels_published": 3,
        "book_age_ms_max": 30_000,
        "first_book_timeout_ms": 10_000,
        "audit_every_s": 0,
        "sync_limits": SyncLimits(),
    }
    return VenueBookSettings(sequence_rule=rule, **(facts | other))


def instrument(symbol: Symbol, unit: str = "1", *, may_cross: bool = False) -> Instrument:
    """Return an instrument of the invented venue."""
    base, quote = symbol.partition(":")[2].split("-")
    cent = Decimal("0.01")
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        venue_symbol=base,
        instrument_type=InstrumentType.SPOT,
        base=base,
        quote=quote,
        settle=quote,
        contract_multiplier=Decimal(unit),
        tick=cent,
        lot=cent,
        may_cross=may_cross,
    )


def published_bodies(effects: Iterable[Effect], stream: Stream | None = None) -> list[Any]:
    """Return what is published, in order."""
    return [one.body for one in effects if isinstance(one, Publish) and stream in (None, one.stream)]


def published_states(effects: Iterable[Effect], stream: Stream = BOOKS) -> list[tuple[Symbol, BookState]]:
    """Return the changes of health that are published."""
    return [(one.symbol, one.state) for one in published_bodies(effects, stream) if isinstance(one, SymbolHealth)]


def log_events(effects: Iterable[Effect], event: str) -> list[LogEvent]:
    """Return the log events of one name."""
    return [one for one in effects if isinstance(one, LogEvent) and one.event == event]


@dataclass(slots=True)
class BookSubscriber:
    """Applies published books; a message that cannot be applied fails the test."""

    book_ids: dict[Symbol, int] = field(default_factory=dict)
    books: dict[Symbol, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = field(default_factory=dict)
    health: dict[Symbol, BookState] = field(default_factory=dict)
    gaps: list[BookGap] = field(default_factory=list)

    def receive(self, body: object) -> None:
        """Apply one message."""
        match body:
            case BookSnapshot():
                self.book_ids[body.symbol] = body.book_id
                self.books[body.symbol] = dict(body.bids), dict(body.asks)
            case BookDelta():
                assert self.book_ids.get(body.symbol) == body.previous_id, f"{body} does not chain"
                assert body.bids or body.asks, "a delta that says nothing"
                self.book_ids[body.symbol] = body.book_id
                for side, levels in zip(self.books[body.symbol], (body.bids, body.asks), strict=True):
                    _change(side, levels)
            case SymbolHealth():
                self.health[body.symbol] = body.state
            case BookGap():
                self.gaps.append(body)
            case _:
                raise AssertionError(f"{body} is nothing about a book")

    def top(self, symbol: Symbol, count: int = 3) -> tuple[BookLevels, BookLevels]:
        """Return the best published levels, best first."""
        bids, asks = self.books[symbol]
        return tuple(sorted(bids.items(), reverse=True)[:count]), tuple(sorted(asks.items())[:count])

    def is_synced(self, symbol: Symbol) -> bool:
        """Return whether the book is in sync."""
        return self.health.get(symbol) is BookState.SYNCED


def _change(side: dict[Decimal, Decimal], levels: BookLevels) -> None:
    for price, quantity in levels:
        if quantity:
            side[price] = quantity
        else:
            # Only a published level can be removed.
            del side[price]


def levels(*texts: str) -> BookLevels:
    """Return levels as they are published, from "price x quantity"."""
    pairs = (text.split("x") for text in texts)
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)


class OrderBookHarness:
    """The market data service, its effects and requests, a subscriber of what it publishes, and the time."""

    def __init__(self, *venues: VenueBookSettings, jitter: Callable[[], float] = lambda: 0.0) -> None:
        self.metrics = Metrics("market_data", "test")
        those = venues or (venue_book_settings(),)
        self.venue = those[0].venue
        self.service = MarketDataService(None, OrderBookService(those, self.metrics, jitter))
        self.now_ns = T0
        self.subscriber = BookSubscriber()
        self.effects: list[Effect] = []
        self._collect(self.service.on_start(T0))

    def with_instruments(self, *symbols: Symbol) -> "OrderBookHarness":
        """Load the instruments of some symbols and open their books."""
        names = symbols or (ONE, TWO)
        self.deliver(FeedUp(VENUE), InstrumentsLoaded(VENUE, tuple(instrument(one) for one in names)))
        self.deliver(*(BookStreamUp(VENUE, one) for one in names))
        return self

    def deliver(self, *bodies: FeedMessage) -> list[Effect]:
        """Deliver messages of the feed."""
        return self._collect(
            effect for one in bodies for effect in self.service.on_message(VenueEvent(one), self.now_ns)
        )

    def deliver_frame(self, *data: MarketEvent) -> list[Effect]:
        """Deliver a decoded frame."""
        return self.deliver(DecodedFrame(self.venue, data, self.now_ns, 1_000, 100))

    def deliver_update(self, previous: int, final: int, *bids: str, symbol: Symbol = ONE, **other: Any) -> list[Effect]:
        """Deliver an update of bids, each "price x quantity"."""
        return self.deliver_frame(self.depth_update(previous, final, *bids, symbol=symbol, **other))

    def depth_update(self, previous: int, final: int, *bids: str, symbol: Symbol = ONE, **other: Any) -> DepthUpdate:
        """Return an update of bids."""
        facts: dict[str, Any] = {"asks": (), "venue_at_ns": self.now_ns - MS, "received_at_ns": self.now_ns}
        pairs = tuple(tuple(text.split("x")) for text in bids)
        return DepthUpdate(symbol=symbol, prev_id=previous, last_id=final, bids=pairs, **(facts | other))

    def depth_snapshot(
        self, final: int, *, symbol: Symbol = ONE, is_pushed: bool = False, **other: Any
    ) -> DepthSnapshot:
        """Return a snapshot of the default book."""
        facts: dict[str, Any] = {
            "bids": BIDS,
            "asks": ASKS,
            "venue_at_ns": self.now_ns - MS,
            "received_at_ns": self.now_ns,
        }
        return DepthSnapshot(symbol=symbol, last_id=final, is_pushed=is_pushed, **(facts | other))

    def complete_call(self, request: FeedRequest, answer: FeedReply) -> list[Effect]:
        """Complete a request with a result."""
        return self._collect(self.service.on_message(VenueCallCompleted(request, answer), self.now_ns))

    def advance_ms(self, milliseconds: float) -> list[Effect]:
        """Advance the time, then run the timers."""
        self.now_ns += int(milliseconds * MS)
        return self._collect(self.service.on_tick(self.now_ns))

    def requests(self, effects: Sequence[Effect] | None = None) -> list[FeedRequest]:
        """Return what was requested of the feed."""
        return [one.request for one in (self.effects if effects is None else effects) if isinstance(one, CallVenue)]

    def with_synced_books(self, *symbols: Symbol, at: int = 10) -> "OrderBookHarness":
        """Synchronise books at an id."""
        for symbol in symbols or (ONE, TWO):
            (request,) = self.requests(self.deliver_update(at - 1, at, symbol=symbol))
            self.complete_call(request, self.depth_snapshot(at, symbol=symbol))
            assert self.subscriber.is_synced(symbol)
        return self

    def late_subscriber(self) -> BookSubscriber:
        """Return a subscriber that starts from the present snapshot."""
        subscriber = BookSubscriber()
        for body in self.service.snapshot(BOOKS):
            subscriber.receive(body)
        return subscriber

    def _collect(self, effects: Iterable[Effect]) -> list[Effect]:
        took = list(effects)
        self.effects += took
        for body in published_bodies(took, BOOKS):
            self.subscriber.receive(body)
        return took
