"""A books' desk for tests: what venues tell it goes in, what it says is followed as any hearer would."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from components.contracts.market import BookDelta, BookLevels, BookSnapshot, BookState, Gap, SymbolHealth
from components.contracts.topics import BOOKS, Stream
from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import (
    BookOpened,
    Data,
    FeedAnswer,
    FeedMessage,
    FeedRequest,
    Framed,
    LineOpened,
    Listed,
)
from components.market_data.core.instruments import Instrument, Kind
from components.market_data.core.levels import Level
from components.market_data.core.rules import RangeRule, Remedy, Rule
from components.market_data.core.synchroniser import SyncPatience
from components.market_data.service.books import BookDesk, VenueTerms
from components.market_data.service.market import MarketDataService
from components.runtime.metrics import Metrics
from components.runtime.service import Call, Called, Effect, Fed, Note, Publish

T0: Final = 1_700_000_000_000_000_000
MS: Final = 1_000_000
VENUE: Final = Venue("TEST")
ONE, TWO = Symbol("TEST:ONE-USD"), Symbol("TEST:TWO-USD")
FETCHING: Final = RangeRule(remedy=Remedy.FETCH, fallback=Remedy.FETCH, overlaps=False)
RESUBSCRIBING: Final = RangeRule(remedy=Remedy.RESUBSCRIBE, fallback=Remedy.FETCH, overlaps=False)
BIDS: Final[tuple[Level, ...]] = (("99", "1"), ("98", "1"), ("97", "1"), ("96", "1"))
ASKS: Final[tuple[Level, ...]] = (("101", "1"), ("102", "1"), ("103", "1"), ("104", "1"))


def terms(rule: Rule = FETCHING, **other: Any) -> VenueTerms:
    """Say how a made-up venue's books are kept."""
    facts: dict[str, Any] = {
        "venue": VENUE,
        "symbols": (ONE, TWO),
        "pushes_image": False,
        "levels_published": 3,
        "book_age_ms_max": 30_000,
        "first_book_ms_max": 10_000,
        "audit_every_s": 0,
        "patience": SyncPatience(),
    }
    return VenueTerms(rule=rule, **(facts | other))


def instrument(symbol: Symbol, unit: str = "1", *, may_cross: bool = False) -> Instrument:
    """Make an instrument of the made-up venue."""
    base, quote = symbol.partition(":")[2].split("-")
    cent = Decimal("0.01")
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        native=base,
        kind=Kind.SPOT,
        base=base,
        quote=quote,
        settle=quote,
        unit=Decimal(unit),
        tick=cent,
        lot=cent,
        may_cross=may_cross,
    )


def said(effects: Iterable[Effect], stream: Stream | None = None) -> list[Any]:
    """Give what is published, in order."""
    return [one.body for one in effects if isinstance(one, Publish) and stream in (None, one.stream)]


def states(effects: Iterable[Effect], stream: Stream = BOOKS) -> list[tuple[Symbol, BookState]]:
    """Give the changes of trust that are published."""
    return [(one.symbol, one.state) for one in said(effects, stream) if isinstance(one, SymbolHealth)]


def notes(effects: Iterable[Effect], event: str) -> list[Note]:
    """Give the notes of one event."""
    return [one for one in effects if isinstance(one, Note) and one.event == event]


@dataclass(slots=True)
class Hearer:
    """Follows books as they are published; what cannot be followed fails the test."""

    ids: dict[Symbol, int] = field(default_factory=dict)
    books: dict[Symbol, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = field(default_factory=dict)
    trust: dict[Symbol, BookState] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def hear(self, body: object) -> None:
        """Hear one message."""
        match body:
            case BookSnapshot():
                self.ids[body.symbol] = body.book_id
                self.books[body.symbol] = dict(body.bids), dict(body.asks)
            case BookDelta():
                assert self.ids.get(body.symbol) == body.previous_id, f"{body} does not chain"
                assert body.bids or body.asks, "a delta that says nothing"
                self.ids[body.symbol] = body.book_id
                for side, levels in zip(self.books[body.symbol], (body.bids, body.asks), strict=True):
                    _change(side, levels)
            case SymbolHealth():
                self.trust[body.symbol] = body.state
            case Gap():
                self.gaps.append(body)
            case _:
                raise AssertionError(f"{body} is nothing about a book")

    def top(self, symbol: Symbol, count: int = 3) -> tuple[BookLevels, BookLevels]:
        """Give the best levels as they were shown, best first."""
        bids, asks = self.books[symbol]
        return tuple(sorted(bids.items(), reverse=True)[:count]), tuple(sorted(asks.items())[:count])

    def is_synced(self, symbol: Symbol) -> bool:
        """Say whether the book is to be believed."""
        return self.trust.get(symbol) is BookState.SYNCED


def _change(side: dict[Decimal, Decimal], levels: BookLevels) -> None:
    for price, quantity in levels:
        if quantity:
            side[price] = quantity
        else:
            # Only what was shown can leave.
            del side[price]


def levels(*texts: str) -> BookLevels:
    """Write levels as they are published, from "price x quantity"."""
    pairs = (text.split("x") for text in texts)
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)


class Desk:
    """The service behind its door, what it said and asked last, a hearer of all of it, and the time."""

    def __init__(self, *venues: VenueTerms, chance: Callable[[], float] = lambda: 0.0) -> None:
        self.metrics = Metrics("market_data", "test")
        those = venues or (terms(),)
        self.venue = those[0].venue
        self.service = MarketDataService(None, BookDesk(those, self.metrics, chance))
        self.now_ns = T0
        self.hearer = Hearer()
        self.every: list[Effect] = []
        self._took(self.service.on_start(T0))

    def listed(self, *symbols: Symbol) -> "Desk":
        """List some symbols, and open them."""
        names = symbols or (ONE, TWO)
        self.tell(LineOpened(VENUE), Listed(VENUE, tuple(instrument(one) for one in names)))
        self.tell(*(BookOpened(VENUE, one) for one in names))
        return self

    def tell(self, *bodies: FeedMessage) -> list[Effect]:
        """Let the adapter say something."""
        return self._took(effect for one in bodies for effect in self.service.on_message(Fed(one), self.now_ns))

    def frame(self, *data: Data) -> list[Effect]:
        """Let a frame come."""
        return self.tell(Framed(self.venue, data, self.now_ns, 1_000, 100))

    def change(self, previous: int, final: int, *bids: str, symbol: Symbol = ONE, **other: Any) -> list[Effect]:
        """Let a change of bids come, each "price x quantity"."""
        return self.frame(self.changed(previous, final, *bids, symbol=symbol, **other))

    def changed(self, previous: int, final: int, *bids: str, symbol: Symbol = ONE, **other: Any) -> DepthChange:
        """Make a change of bids."""
        facts: dict[str, Any] = {"asks": (), "venue_at_ns": self.now_ns - MS, "received_at_ns": self.now_ns}
        pairs = tuple(tuple(text.split("x")) for text in bids)
        return DepthChange(symbol=symbol, previous=previous, final=final, bids=pairs, **(facts | other))

    def image(self, final: int, *, symbol: Symbol = ONE, is_pushed: bool = False, **other: Any) -> DepthImage:
        """Make an image of the usual book."""
        facts: dict[str, Any] = {
            "bids": BIDS,
            "asks": ASKS,
            "venue_at_ns": self.now_ns - MS,
            "received_at_ns": self.now_ns,
        }
        return DepthImage(symbol=symbol, final=final, is_pushed=is_pushed, **(facts | other))

    def answer(self, request: FeedRequest, answer: FeedAnswer) -> list[Effect]:
        """Let a request be answered."""
        return self._took(self.service.on_message(Called(request, answer), self.now_ns))

    def wait(self, milliseconds: float) -> list[Effect]:
        """Let time pass, then a tick."""
        self.now_ns += int(milliseconds * MS)
        return self._took(self.service.on_tick(self.now_ns))

    def asked(self, effects: Sequence[Effect] | None = None) -> list[FeedRequest]:
        """Give what was asked of the adapter."""
        return [one.request for one in (self.every if effects is None else effects) if isinstance(one, Call)]

    def synced(self, *symbols: Symbol, at: int = 10) -> "Desk":
        """Bring books into sync at an id."""
        for symbol in symbols or (ONE, TWO):
            (request,) = self.asked(self.change(at - 1, at, symbol=symbol))
            self.answer(request, self.image(at, symbol=symbol))
            assert self.hearer.is_synced(symbol)
        return self

    def late(self) -> Hearer:
        """Give somebody who joins now."""
        hearer = Hearer()
        for body in self.service.snapshot(BOOKS):
            hearer.hear(body)
        return hearer

    def _took(self, effects: Iterable[Effect]) -> list[Effect]:
        took = list(effects)
        self.every += took
        for body in said(took, BOOKS):
            self.hearer.hear(body)
        return took
