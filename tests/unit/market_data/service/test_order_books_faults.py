"""Whatever goes wrong in whatever order: a book that is said to be in sync is the venue's own, and heals by itself."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from components.contracts.market import BookLevels
from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import SequenceRule
from components.market_data.core.events import (
    BookStreamDown,
    BookStreamUp,
    DecodeIssue,
    DepthSnapshot,
    DepthUpdate,
    FeedRequest,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    IssueKind,
    Resubscribed,
    SnapshotUnavailable,
)
from components.market_data.core.numerics import Level
from components.market_data.venues.binance.adapter import FUTURES_SEQUENCE_RULE, SPOT_SEQUENCE_RULE
from components.market_data.venues.deribit.adapter import SEQUENCE_RULE as DERIBIT_RULE
from components.market_data.venues.okx.adapter import OkxSequenceRule
from components.runtime.service import CallVenue
from tests.support.order_book_harness import (
    MS,
    ONE,
    TWO,
    VENUE,
    BookSubscriber,
    OrderBookHarness,
    instrument,
    venue_book_settings,
)
from tests.support.synthetic_books import Batch, SyntheticMarket, generate_market
from tests.support.synthetic_books import Level as Lots

SHOWN: Final = 5
UNIT: Final = Decimal("0.01")
CHANGES: Final = 160
HEALING_STEPS: Final = 50
RULES: Final[dict[str, tuple[SequenceRule, bool, int]]] = {
    "spot": (SPOT_SEQUENCE_RULE, False, 1),
    "usdm": (FUTURES_SEQUENCE_RULE, False, 50),
    "okx": (OkxSequenceRule(), True, 9),
    "deribit": (DERIBIT_RULE, True, 400),
}
"""The rule, whether a subscription begins with an image, and how large the holes between ids may be."""


@dataclass(slots=True)
class TruthCheckingSubscriber(BookSubscriber):
    """A hearer who knows the venue's own books."""

    stories: dict[Symbol, SyntheticMarket] = field(default_factory=dict)
    proven: int = 0

    @override
    def receive(self, body: object) -> None:
        BookSubscriber.receive(self, body)
        symbol: Symbol = body.symbol  # type: ignore[attr-defined]
        if self.is_synced(symbol):
            book = self.stories[symbol].books[self.book_ids[symbol]]
            assert self.top(symbol, SHOWN) == (worth(book.bids), worth(book.asks))
            self.proven += 1


def worth(side: tuple[Lots, ...]) -> BookLevels:
    return tuple((Decimal(price), lots * UNIT) for price, lots in side[:SHOWN])


def texts(side: tuple[Lots, ...]) -> tuple[Level, ...]:
    return tuple((str(price), str(lots)) for price, lots in side)


class TwoBookVenue:
    """A venue with two books: to one of them everything happens, the other goes on."""

    def __init__(self, name: str, seed: int) -> None:
        self.rule, self.pushes, hole_max = RULES[name]
        self.chance = random.Random(seed)
        facts = {"pushes_snapshot": self.pushes, "levels_published": SHOWN, "audit_every_s": 2}
        self.desk = OrderBookHarness(venue_book_settings(self.rule, **facts), jitter=self.chance.random)
        self.stories = {
            ONE: generate_market(seed, CHANGES, hole_max),
            TWO: generate_market(seed + 1, CHANGES * 4, hole_max),
        }
        self.at = dict.fromkeys(self.stories, 0)
        self.desk.subscriber = self.judge = TruthCheckingSubscriber(stories=self.stories)
        self.desk.deliver(FeedUp(VENUE), InstrumentsLoaded(VENUE, (instrument(ONE, "0.01"), instrument(TWO, "0.01"))))
        self.asked = 0
        for symbol in (ONE, TWO):
            self.open(symbol)
        self.calm()

    def open(self, symbol: Symbol) -> None:
        self.desk.deliver(BookStreamUp(VENUE, symbol))
        if self.pushes:
            self.desk.deliver_frame(self.image(symbol, is_pushed=True))

    def calm(self) -> None:
        for _ in range(4):
            self.go(TWO)
            self.go(ONE)
            self.answer()
            self.desk.advance_ms(300)

    def next(self, symbol: Symbol = ONE) -> Batch:
        """Take what happens next; the market stands still when its story is over."""
        batches = self.stories[symbol].batches
        self.at[symbol] = min(self.at[symbol] + 1, len(batches))
        return batches[self.at[symbol] - 1]

    def change(self, batch: Batch, symbol: Symbol = ONE, *extra: Level) -> DepthUpdate:
        previous = batch.first_id - 1 if self.rule is SPOT_SEQUENCE_RULE else batch.prev_id
        now_ns = self.desk.now_ns
        bids = (*texts(batch.bids), *extra)
        return DepthUpdate(symbol, previous, batch.last_id, bids, texts(batch.asks), now_ns - MS, now_ns)

    def image(self, symbol: Symbol, ahead: int = 0, *, is_pushed: bool = False) -> DepthSnapshot:
        story = self.stories[symbol]
        place = max(0, min(self.at[symbol] + ahead, len(story.batches)))
        final = story.batches[place - 1].last_id if place else story.start_id
        bids, asks = story.books[final]
        now_ns = self.desk.now_ns
        return DepthSnapshot(symbol, final, texts(bids), texts(asks), now_ns - MS, now_ns, is_pushed=is_pushed)

    def requests(self) -> list[FeedRequest]:
        waiting = [one.request for one in self.desk.effects if isinstance(one, CallVenue)]
        new, self.asked = waiting[self.asked :], len(waiting)
        return new

    def answer(self, ahead: Callable[[], int] = lambda: 0) -> None:
        """Answer all that is asked, and what is asked because of the answers, once."""
        for request in self.requests():
            if isinstance(request, FetchSnapshot):
                self.desk.complete_call(request, self.image(request.symbol, ahead() if request.symbol == ONE else 0))
            else:
                self.desk.complete_call(request, Resubscribed())
                self.desk.deliver_frame(self.image(request.symbol, is_pushed=True))

    # What can happen

    def go(self, symbol: Symbol = ONE) -> None:
        self.desk.deliver_frame(self.change(self.next(symbol), symbol))

    def drop(self) -> None:
        self.next()

    def twice(self) -> None:
        change = self.change(self.next())
        self.desk.deliver_frame(change, change)

    def swap(self) -> None:
        first, second = self.next(), self.next()
        self.desk.deliver_frame(self.change(second))
        self.desk.deliver_frame(self.change(first))

    def old(self) -> None:
        place = max(0, self.at[ONE] - self.chance.randint(1, 6))
        for _ in range(self.chance.choice((1, 60))):
            self.desk.deliver_frame(self.change(self.stories[ONE].batches[place]))

    def bad(self) -> None:
        self.desk.deliver_frame(self.change(self.next(), ONE, ("9999", self.chance.choice(("x", "-1", "NaN", "")))))

    def odd(self) -> None:
        self.next()
        self.desk.deliver_frame(DecodeIssue(IssueKind.MALFORMED, "corrupt", ONE))

    def cross(self) -> None:
        self.desk.deliver_frame(self.change(self.next(), ONE, ("20000", "1")))

    def cut(self) -> None:
        self.desk.deliver(BookStreamDown(VENUE, ONE, "cut", is_permanent=False))
        if self.chance.random() < 0.5:
            self.desk.advance_ms(self.chance.randint(1, 2_000))
        self.drop()
        self.open(ONE)

    def image_again(self) -> None:
        if self.pushes:
            self.desk.deliver_frame(self.image(ONE, is_pushed=True))

    def image_bad(self) -> None:
        if self.pushes:
            image = self.image(ONE, is_pushed=True)
            bad = DepthSnapshot(ONE, image.last_id, image.bids, (("0", "1"),), 0, self.desk.now_ns, is_pushed=True)
            self.desk.deliver_frame(bad)

    def fail(self) -> None:
        for request in self.requests():
            if request.symbol == ONE:
                self.desk.complete_call(request, SnapshotUnavailable("503", self.chance.choice((0, 0, 2_000))))
            elif isinstance(request, FetchSnapshot):
                self.desk.complete_call(request, self.image(TWO))

    def replies(self) -> None:
        self.answer(lambda: self.chance.randint(-4, 2))

    def wait(self) -> None:
        self.desk.advance_ms(self.chance.choice((1, 50, 250, 1_000)))


THINGS: Final = [
    TwoBookVenue.go,
    TwoBookVenue.drop,
    TwoBookVenue.twice,
    TwoBookVenue.swap,
    TwoBookVenue.old,
    TwoBookVenue.bad,
    TwoBookVenue.odd,
    TwoBookVenue.cross,
    TwoBookVenue.cut,
    TwoBookVenue.image_again,
    TwoBookVenue.image_bad,
    TwoBookVenue.fail,
    TwoBookVenue.replies,
    TwoBookVenue.wait,
]


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), happening=st.lists(st.sampled_from(THINGS), max_size=50))
def test_a_book_in_sync_is_the_venues_own_and_heals(
    name: str, seed: int, happening: list[Callable[[TwoBookVenue], None]]
) -> None:
    market = TwoBookVenue(name, seed)
    assert market.judge.is_synced(ONE)
    assert market.judge.is_synced(TWO)
    for one in happening:
        one(market)
        market.go(TWO)
        assert market.judge.is_synced(TWO)
    for _ in range(HEALING_STEPS):
        market.desk.advance_ms(500)
        market.answer()
        market.go()
        market.answer()
    assert market.judge.is_synced(ONE)
    late = market.desk.late_subscriber()
    assert (late.book_ids, late.books) == (market.judge.book_ids, market.judge.books)
    assert market.judge.proven > HEALING_STEPS // 5
