"""After any faults in any order: a book reported as in sync equals the venue's, and the book recovers by itself."""

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
RECOVERY_STEPS: Final = 50
RULES: Final[dict[str, tuple[SequenceRule, bool, int]]] = {
    "spot": (SPOT_SEQUENCE_RULE, False, 1),
    "usdm": (FUTURES_SEQUENCE_RULE, False, 50),
    "okx": (OkxSequenceRule(), True, 9),
    "deribit": (DERIBIT_RULE, True, 400),
}
"""The rule, whether a subscription starts with a snapshot, and how large the gaps between ids may be."""


@dataclass(slots=True)
class VerifyingSubscriber(BookSubscriber):
    """A subscriber that compares each published book with the venue's own."""

    markets: dict[Symbol, SyntheticMarket] = field(default_factory=dict)
    verified: int = 0

    @override
    def receive(self, body: object) -> None:
        BookSubscriber.receive(self, body)
        symbol: Symbol = body.symbol  # type: ignore[attr-defined]
        if self.is_synced(symbol):
            book = self.markets[symbol].books[self.book_ids[symbol]]
            assert self.top(symbol, SHOWN) == (published_levels(book.bids), published_levels(book.asks))
            self.verified += 1


def published_levels(side: tuple[Lots, ...]) -> BookLevels:
    return tuple((Decimal(price), lots * UNIT) for price, lots in side[:SHOWN])


def texts(side: tuple[Lots, ...]) -> tuple[Level, ...]:
    return tuple((str(price), str(lots)) for price, lots in side)


class TwoBookVenue:
    """A venue with two books: one suffers all faults, the other continues."""

    def __init__(self, name: str, seed: int) -> None:
        self.rule, self.pushes, hole_max = RULES[name]
        self.random_source = random.Random(seed)
        facts = {"pushes_snapshot": self.pushes, "levels_published": SHOWN, "audit_every_s": 2}
        self.harness = OrderBookHarness(venue_book_settings(self.rule, **facts), jitter=self.random_source.random)
        self.markets = {
            ONE: generate_market(seed, CHANGES, hole_max),
            TWO: generate_market(seed + 1, CHANGES * 4, hole_max),
        }
        self.at = dict.fromkeys(self.markets, 0)
        self.harness.subscriber = self.subscriber = VerifyingSubscriber(markets=self.markets)
        self.harness.deliver(
            FeedUp(VENUE), InstrumentsLoaded(VENUE, (instrument(ONE, "0.01"), instrument(TWO, "0.01")))
        )
        self.requested_count = 0
        for symbol in (ONE, TWO):
            self.open(symbol)
        self.settle()

    def open(self, symbol: Symbol) -> None:
        self.harness.deliver(BookStreamUp(VENUE, symbol))
        if self.pushes:
            self.harness.deliver_frame(self.snapshot(symbol, is_pushed=True))

    def settle(self) -> None:
        for _ in range(4):
            self.go(TWO)
            self.go(ONE)
            self.answer()
            self.harness.advance_ms(300)

    def next(self, symbol: Symbol = ONE) -> Batch:
        """Return the next batch of updates; after the last one it repeats."""
        batches = self.markets[symbol].batches
        self.at[symbol] = min(self.at[symbol] + 1, len(batches))
        return batches[self.at[symbol] - 1]

    def change(self, batch: Batch, symbol: Symbol = ONE, *extra: Level) -> DepthUpdate:
        previous = batch.first_id - 1 if self.rule is SPOT_SEQUENCE_RULE else batch.prev_id
        now_ns = self.harness.now_ns
        bids = (*texts(batch.bids), *extra)
        return DepthUpdate(symbol, previous, batch.last_id, bids, texts(batch.asks), now_ns - MS, now_ns)

    def snapshot(self, symbol: Symbol, ahead: int = 0, *, is_pushed: bool = False) -> DepthSnapshot:
        market_history = self.markets[symbol]
        index = max(0, min(self.at[symbol] + ahead, len(market_history.batches)))
        final = market_history.batches[index - 1].last_id if index else market_history.start_id
        bids, asks = market_history.books[final]
        now_ns = self.harness.now_ns
        return DepthSnapshot(symbol, final, texts(bids), texts(asks), now_ns - MS, now_ns, is_pushed=is_pushed)

    def requests(self) -> list[FeedRequest]:
        waiting = [one.request for one in self.harness.effects if isinstance(one, CallVenue)]
        new, self.requested_count = waiting[self.requested_count :], len(waiting)
        return new

    def answer(self, ahead: Callable[[], int] = lambda: 0) -> None:
        """Answer all pending requests, and once the requests that follow from the replies."""
        for request in self.requests():
            if isinstance(request, FetchSnapshot):
                self.harness.complete_call(
                    request, self.snapshot(request.symbol, ahead() if request.symbol == ONE else 0)
                )
            else:
                self.harness.complete_call(request, Resubscribed())
                self.harness.deliver_frame(self.snapshot(request.symbol, is_pushed=True))

    # Faults

    def go(self, symbol: Symbol = ONE) -> None:
        self.harness.deliver_frame(self.change(self.next(symbol), symbol))

    def drop(self) -> None:
        self.next()

    def twice(self) -> None:
        change = self.change(self.next())
        self.harness.deliver_frame(change, change)

    def swap(self) -> None:
        first, second = self.next(), self.next()
        self.harness.deliver_frame(self.change(second))
        self.harness.deliver_frame(self.change(first))

    def stale(self) -> None:
        index = max(0, self.at[ONE] - self.random_source.randint(1, 6))
        for _ in range(self.random_source.choice((1, 60))):
            self.harness.deliver_frame(self.change(self.markets[ONE].batches[index]))

    def invalid(self) -> None:
        self.harness.deliver_frame(
            self.change(self.next(), ONE, ("9999", self.random_source.choice(("x", "-1", "NaN", ""))))
        )

    def decode_issue(self) -> None:
        self.next()
        self.harness.deliver_frame(DecodeIssue(IssueKind.MALFORMED, "corrupt", ONE))

    def cross(self) -> None:
        self.harness.deliver_frame(self.change(self.next(), ONE, ("20000", "1")))

    def disconnect(self) -> None:
        self.harness.deliver(BookStreamDown(VENUE, ONE, "cut", is_permanent=False))
        if self.random_source.random() < 0.5:
            self.harness.advance_ms(self.random_source.randint(1, 2_000))
        self.drop()
        self.open(ONE)

    def push_snapshot(self) -> None:
        if self.pushes:
            self.harness.deliver_frame(self.snapshot(ONE, is_pushed=True))

    def push_invalid_snapshot(self) -> None:
        if self.pushes:
            snapshot = self.snapshot(ONE, is_pushed=True)
            invalid = DepthSnapshot(
                ONE, snapshot.last_id, snapshot.bids, (("0", "1"),), 0, self.harness.now_ns, is_pushed=True
            )
            self.harness.deliver_frame(invalid)

    def fail(self) -> None:
        for request in self.requests():
            if request.symbol == ONE:
                self.harness.complete_call(
                    request, SnapshotUnavailable("503", self.random_source.choice((0, 0, 2_000)))
                )
            elif isinstance(request, FetchSnapshot):
                self.harness.complete_call(request, self.snapshot(TWO))

    def replies(self) -> None:
        self.answer(lambda: self.random_source.randint(-4, 2))

    def wait(self) -> None:
        self.harness.advance_ms(self.random_source.choice((1, 50, 250, 1_000)))


FAULTS: Final = [
    TwoBookVenue.go,
    TwoBookVenue.drop,
    TwoBookVenue.twice,
    TwoBookVenue.swap,
    TwoBookVenue.stale,
    TwoBookVenue.invalid,
    TwoBookVenue.decode_issue,
    TwoBookVenue.cross,
    TwoBookVenue.disconnect,
    TwoBookVenue.push_snapshot,
    TwoBookVenue.push_invalid_snapshot,
    TwoBookVenue.fail,
    TwoBookVenue.replies,
    TwoBookVenue.wait,
]


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), faults=st.lists(st.sampled_from(FAULTS), max_size=50))
def test_a_book_in_sync_equals_the_venues_and_recovers(
    name: str, seed: int, faults: list[Callable[[TwoBookVenue], None]]
) -> None:
    market = TwoBookVenue(name, seed)
    assert market.subscriber.is_synced(ONE)
    assert market.subscriber.is_synced(TWO)
    for one in faults:
        one(market)
        market.go(TWO)
        assert market.subscriber.is_synced(TWO)
    for _ in range(RECOVERY_STEPS):
        market.harness.advance_ms(500)
        market.answer()
        market.go()
        market.answer()
    assert market.subscriber.is_synced(ONE)
    late = market.harness.late_subscriber()
    assert (late.book_ids, late.books) == (market.subscriber.book_ids, market.subscriber.books)
    assert market.subscriber.verified > RECOVERY_STEPS // 5
