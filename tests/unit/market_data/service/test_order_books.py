"""What the order book service publishes and requests for everything that a venue can send."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from components.contracts.errors import InvariantError
from components.contracts.market import (
    BookDelta,
    BookGap,
    BookSnapshot,
    BookState,
    FeedHealth,
    FeedState,
    Quote,
    SymbolHealth,
    Trade,
)
from components.contracts.streams import BOOKS, MARKET
from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import ArrivalRule
from components.market_data.core.events import (
    NO_ID,
    BookStreamDown,
    BookStreamUp,
    DecodedFrame,
    DecodeIssue,
    FeedDown,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    IssueKind,
    MarketEvent,
    Resubscribe,
    Resubscribed,
    SnapshotUnavailable,
)
from components.runtime.service import Effect, ObserveLatency, Publish
from tests.support.metric_samples import metric_value
from tests.support.order_book_harness import (
    ASKS,
    MS,
    ONE,
    RESUBSCRIBE_RULE,
    T0,
    TWO,
    VENUE,
    BookSubscriber,
    OrderBookHarness,
    instrument,
    levels,
    log_events,
    published_bodies,
    published_states,
    venue_book_settings,
)

PUSHING = venue_book_settings(RESUBSCRIBE_RULE, pushes_snapshot=True)
PUSHING_UNNUMBERED = venue_book_settings(ArrivalRule(), pushes_snapshot=True)


@pytest.fixture
def live() -> OrderBookHarness:
    """Two books in sync at id 10."""
    return OrderBookHarness().with_instruments().with_synced_books()


def kinds(effects: Sequence[Effect], symbol: Symbol = ONE) -> list[type]:
    return [type(one) for one in published_bodies(effects, BOOKS) if one.symbol == symbol]


def issue_count(harness: OrderBookHarness, kind: IssueKind) -> float:
    return metric_value(harness.metrics, "market_decode_issues_total", venue=VENUE, kind=kind)


# Start


def test_it_starts_by_publishing_that_the_venue_is_not_connected() -> None:
    assert published_bodies(OrderBookHarness().effects) == [FeedHealth(VENUE, FeedState.CONNECTING, "starting", T0)]


def test_a_snapshot_is_fetched_only_after_the_first_update() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    assert harness.requests() == []
    assert harness.requests(harness.advance_ms(100)) == []
    (request,) = harness.requests(harness.deliver_update(9, 10))
    assert (type(request), request.venue, request.symbol) == (FetchSnapshot, VENUE, ONE)
    assert harness.requests(harness.deliver_update(10, 11)) == []


def test_a_quiet_book_is_fetched_all_the_same() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    assert harness.requests(harness.advance_ms(499)) == []
    assert [type(one) for one in harness.requests(harness.advance_ms(1))] == [FetchSnapshot]


def test_a_pushed_snapshot_is_awaited_and_nothing_requested() -> None:
    harness = OrderBookHarness(PUSHING).with_instruments(ONE)
    harness.advance_ms(2_000)
    harness.deliver_frame(harness.depth_snapshot(10, is_pushed=True))
    assert (harness.requests(), harness.subscriber.is_synced(ONE)) == ([], True)


def test_a_missing_pushed_snapshot_is_obtained_by_the_fallback() -> None:
    harness = OrderBookHarness(PUSHING).with_instruments(ONE)
    harness.deliver_update(9, 10)
    assert harness.requests(harness.advance_ms(2_999)) == []
    assert [type(one) for one in harness.requests(harness.advance_ms(1))] == [FetchSnapshot]


def test_the_snapshot_is_published_with_the_buffered_updates_and_then_in_sync() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10, "99x5"))
    harness.deliver_update(10, 11, "98x7")
    effects = harness.complete_call(request, harness.depth_snapshot(9))
    assert kinds(effects) == [BookSnapshot, SymbolHealth]
    assert (harness.subscriber.book_ids[ONE], harness.subscriber.top(ONE)[0]) == (11, levels("99x5", "98x7", "97x1"))
    assert published_states(effects) == published_states(effects, MARKET) == [(ONE, BookState.SYNCED)]


def test_a_snapshot_leaves_with_the_stamps_of_its_cause() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    (first, *_) = harness.complete_call(request, harness.depth_snapshot(10))
    assert isinstance(first, Publish)
    assert (first.event_at_ns, first.received_at_ns) == (harness.now_ns - MS, harness.now_ns)


def test_quantities_are_published_in_the_instruments_own_unit() -> None:
    harness = OrderBookHarness()
    harness.deliver(FeedUp(VENUE), InstrumentsLoaded(VENUE, (instrument(ONE, "0.01"),)), BookStreamUp(VENUE, ONE))
    (request,) = harness.requests(harness.deliver_update(9, 10))
    harness.complete_call(request, harness.depth_snapshot(10))
    harness.deliver_update(10, 11, "99x250")
    assert harness.subscriber.top(ONE)[0] == levels("99x2.50", "98x0.01", "97x0.01")


def test_a_reply_to_an_older_request_changes_nothing() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (old,) = harness.requests(harness.deliver_update(9, 10))
    harness.deliver(BookStreamDown(VENUE, ONE, "cut", is_permanent=False), BookStreamUp(VENUE, ONE))
    assert published_bodies(harness.complete_call(old, harness.depth_snapshot(10))) == []
    assert not harness.subscriber.is_synced(ONE)


def test_a_failed_snapshot_is_requested_again_no_sooner_than_the_venue_allows() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    harness.complete_call(request, SnapshotUnavailable("429", 7_000))
    harness.deliver_update(10, 11)
    assert harness.requests(harness.advance_ms(6_999)) == []
    assert [type(one) for one in harness.requests(harness.advance_ms(1))] == [FetchSnapshot]


def test_the_first_update_does_not_shorten_a_retry_after_delay() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.advance_ms(500))
    harness.complete_call(request, SnapshotUnavailable("429", 7_000))
    assert harness.requests(harness.deliver_update(9, 10)) == []
    assert harness.requests(harness.advance_ms(6_999)) == []
    assert len(harness.requests(harness.advance_ms(1))) == 1


# Live updates


def test_an_update_is_published_only_where_the_top_is_different(live: OrderBookHarness) -> None:
    assert published_bodies(live.deliver_update(10, 11, "96x9")) == []
    assert published_bodies(live.deliver_update(11, 12, "99x1")) == []
    (delta,) = published_bodies(live.deliver_update(12, 13, "99x4"), BOOKS)
    at = (live.now_ns - MS, live.now_ns)
    assert delta == BookDelta(VENUE, ONE, 10, 13, levels("99x4"), (), *at)


def test_deltas_chain_by_what_was_published_last(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "99x4")
    live.deliver_update(11, 12, "90x1")
    (delta,) = published_bodies(live.deliver_update(12, 13, "98x0"), BOOKS)
    assert (delta.previous_id, delta.book_id, delta.bids) == (11, 13, levels("98x0", "96x1"))


def test_a_frame_about_many_books_updates_each(live: OrderBookHarness) -> None:
    live.deliver_frame(live.depth_update(10, 11, "99x4"), live.depth_update(10, 12, "99x5", symbol=TWO))
    assert live.subscriber.book_ids == {ONE: 11, TWO: 12}


def test_a_price_with_a_new_spelling_stays_one_level(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "99.0x4")
    assert live.subscriber.top(ONE)[0] == levels("99x4", "98x1", "97x1")
    assert live.late_subscriber().top(ONE) == live.subscriber.top(ONE)


def test_removing_an_unknown_level_publishes_nothing(live: OrderBookHarness) -> None:
    assert published_bodies(live.deliver_update(10, 11, "99.5x0.000")) == []


def test_a_side_may_be_empty(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "99x0", "98x0", "97x0", "96x0")
    assert (live.subscriber.top(ONE)[0], live.subscriber.is_synced(ONE)) == ((), True)


def test_a_snapshot_on_the_stream_replaces_the_book_at_any_time() -> None:
    harness = OrderBookHarness(PUSHING).with_instruments(ONE)
    harness.deliver_frame(harness.depth_snapshot(10, is_pushed=True))
    effects = harness.deliver_frame(harness.depth_snapshot(5, is_pushed=True, bids=(("95", "2"),)))
    assert (kinds(effects), published_states(effects)) == ([BookSnapshot], [])
    harness.deliver_update(5, 6, "94x1")
    assert (harness.subscriber.book_ids[ONE], harness.subscriber.top(ONE)[0]) == (6, levels("95x2", "94x1"))


def test_quotes_and_trades_of_listed_symbols_are_published_unchanged(live: OrderBookHarness) -> None:
    one = Decimal(1)
    quote = Quote(VENUE, ONE, one, one, one + 1, one, live.now_ns, live.now_ns)
    trade = Trade(VENUE, ONE, one, one, live.now_ns, live.now_ns)
    assert published_bodies(live.deliver_frame(quote, trade), MARKET) == [quote, trade]
    assert quote in live.service.snapshot(MARKET)
    unlisted = Symbol("TEST:NONE-USD")
    assert published_bodies(live.deliver_frame(replace(quote, symbol=unlisted), replace(trade, symbol=unlisted))) == []
    assert published_bodies(live.deliver_frame(replace(quote, bid_size=-one), replace(trade, size=Decimal(0)))) == []
    assert (issue_count(live, IssueKind.UNLISTED), issue_count(live, IssueKind.OUT_OF_RANGE)) == (2, 2)


# Loss of sync


def test_a_gap_is_published_and_the_book_out_of_sync_on_both_streams(live: OrderBookHarness) -> None:
    effects = live.deliver_update(12, 13, "99x4")
    assert kinds(effects) == [BookGap, SymbolHealth]
    assert published_bodies(effects)[0] == BookGap(VENUE, ONE, 10, 12, live.now_ns)
    assert published_states(effects) == published_states(effects, MARKET) == [(ONE, BookState.GAP)]
    assert "expected 10, got 12" in published_bodies(effects, MARKET)[0].reason
    (log_event,) = log_events(effects, "book_state_changed")
    assert (log_event.level, log_event.fields["symbol"], log_event.fields["state"]) == ("info", ONE, BookState.GAP)
    assert live.subscriber.is_synced(TWO)


def test_after_a_gap_a_new_snapshot_is_joined_to_the_updates_behind_it(live: OrderBookHarness) -> None:
    (request,) = live.requests(live.deliver_update(12, 13, "99x4"))
    live.deliver_update(13, 14, "98x4")
    effects = live.complete_call(request, live.depth_snapshot(12))
    assert kinds(effects) == [BookSnapshot, SymbolHealth]
    assert (live.subscriber.book_ids[ONE], live.subscriber.top(ONE)[0]) == (14, levels("99x4", "98x4", "97x1"))


def test_nothing_of_a_book_is_published_while_it_is_not_in_sync(live: OrderBookHarness) -> None:
    live.deliver_update(12, 13, "99x4")
    assert published_bodies(live.deliver_update(13, 14, "99x6")) == []
    assert [one for one in live.service.snapshot(BOOKS) if isinstance(one, BookSnapshot) and one.symbol == ONE] == []


def sick_day(harness: OrderBookHarness, *, with_neighbour: bool) -> list[Effect]:
    """Return the effects about a healthy book beside a book that fails in every way, or without it."""
    sick: list[MarketEvent] = [
        harness.depth_update(50, 51, symbol=ONE),
        DecodeIssue(IssueKind.MALFORMED, "x", ONE),
        harness.depth_update(51, 52, "1x-1"),
        harness.depth_update(52, 53, "200x1"),
        harness.depth_snapshot(60, is_pushed=True),
        harness.depth_update(60, 61, "200x1"),
        harness.depth_update(61, 62, "200x2"),
    ]
    effects: list[Effect] = []
    for number, harm in enumerate(sick):
        if with_neighbour:
            harness.deliver_frame(harm)
        effects += harness.deliver_update(10 + number, 11 + number, f"99x{number + 2}", symbol=TWO)
        effects += harness.advance_ms(40)
    return [one for one in effects if isinstance(one, Publish) and one.body.symbol == TWO]


def test_a_failing_book_does_not_affect_another() -> None:
    alone, beside = (
        sick_day(OrderBookHarness().with_instruments().with_synced_books(), with_neighbour=sick)
        for sick in (False, True)
    )
    assert beside == alone
    assert len(alone) == 7


def test_a_late_subscriber_receives_the_latest_gaps(live: OrderBookHarness) -> None:
    live.deliver_update(12, 13)
    live.deliver_update(14, 15, symbol=TWO)
    assert [(gap.symbol, gap.expected, gap.got) for gap in live.late_subscriber().gaps] == [
        (ONE, 10, 12),
        (TWO, 10, 14),
    ]


def test_a_book_that_crosses_is_withheld_and_fetched_again(live: OrderBookHarness) -> None:
    effects = live.deliver_update(10, 11, "101x1")
    assert kinds(effects) == [SymbolHealth]
    assert (published_states(effects), live.subscriber.book_ids[ONE]) == ([(ONE, BookState.CROSSED)], 10)
    assert live.late_subscriber().health[ONE] is BookState.CROSSED
    effects = live.deliver_update(11, 12, "101x0", "99x3")
    assert (BookDelta in kinds(effects), len(live.requests(effects))) == (False, 1)
    effects = live.complete_call(live.requests(effects)[0], live.depth_snapshot(12))
    assert (kinds(effects), live.subscriber.is_synced(ONE)) == ([BookSnapshot, SymbolHealth], True)


def test_a_book_that_stays_crossed_is_fetched_again(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "101x1")
    effects = live.advance_ms(250)
    assert ([type(one) for one in live.requests(effects)], published_states(effects)) == (
        [],
        [(ONE, BookState.CROSSED)],
    )
    assert [type(one) for one in live.requests(live.advance_ms(50))] == [FetchSnapshot]


def test_a_book_in_an_auction_may_cross() -> None:
    harness = OrderBookHarness()
    harness.deliver(
        FeedUp(VENUE), InstrumentsLoaded(VENUE, (instrument(ONE, may_cross=True),)), BookStreamUp(VENUE, ONE)
    )
    harness.with_synced_books(ONE)
    harness.deliver_update(10, 11, "102x1")
    harness.deliver_update(11, 12, "102x2")
    harness.advance_ms(5_000)
    assert (harness.subscriber.is_synced(ONE), harness.subscriber.top(ONE, 1)[0]) == (True, levels("102x2"))


def test_a_quiet_book_is_stale_until_the_next_update(live: OrderBookHarness) -> None:
    live.advance_ms(20_000)
    live.deliver_update(10, 11, "99x2", symbol=TWO)
    effects = live.advance_ms(10_001)
    assert published_states(effects) == published_states(effects, MARKET) == [(ONE, BookState.STALE)]
    assert "no update for 30001 ms" in published_bodies(effects)[0].reason
    assert published_states(live.advance_ms(50)) == []
    effects = live.deliver_update(10, 11, "99x2")
    assert kinds(effects) == [BookDelta, SymbolHealth]
    assert published_states(effects) == [(ONE, BookState.SYNCED)]


def test_an_empty_update_ends_staleness(live: OrderBookHarness) -> None:
    live.advance_ms(30_001)
    effects = live.deliver_update(10, 11)
    assert (kinds(effects), published_states(effects)) == ([SymbolHealth], [(ONE, BookState.SYNCED)])


def test_one_duplicate_and_then_no_update_is_no_fault(live: OrderBookHarness) -> None:
    live.deliver_update(9, 10)
    live.advance_ms(6_000)
    assert (live.subscriber.is_synced(ONE), live.requests(live.effects)[2:]) == (True, [])


def test_reset_ids_are_detected(live: OrderBookHarness) -> None:
    for _ in range(49):
        assert published_bodies(live.deliver_update(4, 5, "99x7")) == []
    effects = live.deliver_update(4, 5, "99x7")
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert "ids were reset" in published_bodies(effects)[0].reason
    assert len(live.requests(effects)) == 1


def test_a_disconnect_desyncs_each_book_of_the_connection_until_its_next_snapshot(live: OrderBookHarness) -> None:
    effects = live.deliver(BookStreamDown(VENUE, ONE, "the connection ended", is_permanent=False))
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert (published_bodies(effects)[0].reason, live.subscriber.is_synced(TWO)) == ("the connection ended", True)
    assert live.requests(live.advance_ms(10_000)) == []
    live.deliver(BookStreamUp(VENUE, ONE))
    live.with_synced_books(ONE, at=90)
    assert live.subscriber.book_ids[ONE] == 90


def test_a_snapshot_of_a_closed_connection_is_ignored() -> None:
    harness = OrderBookHarness(PUSHING).with_instruments(ONE)
    harness.deliver_frame(harness.depth_snapshot(10, is_pushed=True))
    harness.deliver(BookStreamDown(VENUE, ONE, "the connection ended", is_permanent=False))
    assert published_bodies(harness.deliver_frame(harness.depth_snapshot(11, is_pushed=True))) == []


def test_each_feed_state_is_published_once() -> None:
    harness = OrderBookHarness()
    assert published_bodies(harness.deliver(FeedUp(VENUE))) == [FeedHealth(VENUE, FeedState.LIVE, "subscribed", T0)]
    assert harness.deliver(FeedUp(VENUE)) == []
    effects = harness.deliver(FeedDown(VENUE, "refused", is_permanent=True))
    assert published_bodies(effects, MARKET) == [FeedHealth(VENUE, FeedState.DOWN, "refused", T0)]
    assert [log_event.level for log_event in log_events(effects, "feed_state_changed")] == ["error"]
    assert metric_value(harness.metrics, "market_venue_live", venue=VENUE) == 0


# Invalid input


def test_a_decode_issue_resyncs_only_the_book_that_it_names(live: OrderBookHarness) -> None:
    effects = live.deliver_frame(DecodeIssue(IssueKind.MALFORMED, "no price", ONE))
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert "malformed: no price" in published_bodies(effects)[0].reason
    assert ([one.symbol for one in live.requests(live.advance_ms(50))], live.subscriber.is_synced(TWO)) == ([ONE], True)


@pytest.mark.parametrize("symbol", [None, Symbol("TEST:NONE-USD")])
def test_a_decode_issue_without_a_book_is_only_counted(live: OrderBookHarness, symbol: Symbol | None) -> None:
    assert live.deliver_frame(DecodeIssue(IssueKind.UNKNOWN, "?", symbol)) == []
    assert (issue_count(live, IssueKind.UNKNOWN), live.subscriber.is_synced(ONE)) == (1, True)


def test_an_update_or_snapshot_of_an_unlisted_symbol_is_only_counted(live: OrderBookHarness) -> None:
    unlisted = Symbol("TEST:NONE-USD")
    assert (
        live.deliver_frame(
            live.depth_update(1, 2, symbol=unlisted), live.depth_snapshot(1, symbol=unlisted, is_pushed=True)
        )
        == []
    )
    assert issue_count(live, IssueKind.UNLISTED) == 2


@pytest.mark.parametrize("level", ["99x-1", "99xNaN", "99xInfinity", "99x", "99xx", "0x1", "-1x1", "1e400x1", "x1"])
def test_an_invalid_update_resyncs_its_book(live: OrderBookHarness, level: str) -> None:
    effects = live.deliver_update(10, 11, level)
    assert (published_states(effects), len(live.requests(effects))) == ([(ONE, BookState.GAP)], 1)
    live.complete_call(live.requests(effects)[0], live.depth_snapshot(20))
    assert (live.subscriber.is_synced(ONE), live.subscriber.is_synced(TWO)) == (True, True)


@pytest.mark.parametrize("quantity", ["1_0", "+5", " 7 ", "\u0663"])
def test_a_quantity_that_only_a_float_would_accept_resyncs_its_book_at_any_depth(
    live: OrderBookHarness, quantity: str
) -> None:
    effects = live.deliver_update(10, 11, f"96x{quantity}")
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert (live.subscriber.is_synced(ONE), live.subscriber.is_synced(TWO)) == (False, True)


def test_an_exponent_is_a_number_like_any_other(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "9.9e1x5e-5")
    assert live.subscriber.top(ONE)[0] == levels("99x0.00005", "98x1", "97x1")


def test_a_snapshot_with_an_invalid_quantity_at_its_top_is_not_in_sync() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    effects = harness.complete_call(request, harness.depth_snapshot(10, bids=(("99", "-1"),)))
    assert (BookSnapshot in kinds(effects), harness.subscriber.is_synced(ONE)) == (False, False)
    (request,) = harness.requests(effects)
    harness.complete_call(request, harness.depth_snapshot(11))
    assert harness.subscriber.is_synced(ONE)


def test_an_invalid_pushed_snapshot_desyncs_the_previous_book() -> None:
    harness = OrderBookHarness(PUSHING).with_instruments(ONE)
    harness.deliver_frame(harness.depth_snapshot(10, is_pushed=True))
    effects = harness.deliver_frame(harness.depth_snapshot(10, is_pushed=True, bids=(("95", "1"),), asks=(("0", "1"),)))
    assert [state for _, state in published_states(effects)] == [BookState.GAP]
    assert published_bodies(harness.deliver_update(10, 11, "94x1")) == []
    assert [type(one) for one in harness.requests()] == [Resubscribe]


# Rejections


def test_a_rejected_symbol_is_named_and_not_requested_again(live: OrderBookHarness) -> None:
    effects = live.deliver(BookStreamDown(VENUE, ONE, "60018: no such instrument", is_permanent=True))
    (log_event,) = log_events(effects, "subscription_rejected")
    assert (log_event.level, log_event.fields) == ("error", {"symbol": ONE, "reason": "60018: no such instrument"})
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert live.requests(live.advance_ms(60_000)) == []


def test_a_symbol_that_the_venue_does_not_list_is_named() -> None:
    harness = OrderBookHarness()
    harness.deliver(FeedUp(VENUE), InstrumentsLoaded(VENUE, (instrument(ONE),)))
    effects = harness.deliver(BookStreamDown(VENUE, TWO, "not listed", is_permanent=True))
    assert [log_event.fields["symbol"] for log_event in log_events(effects, "subscription_rejected")] == [TWO]
    assert harness.service.unmet(T0) == (f"book of {ONE}",)


def test_a_snapshot_of_an_unknown_symbol_changes_nothing() -> None:
    harness = OrderBookHarness()
    assert harness.complete_call(FetchSnapshot(VENUE, ONE, 1), harness.depth_snapshot(1)) == []
    assert harness.complete_call(Resubscribe(VENUE, ONE, 1), Resubscribed()) == []


def test_an_instrument_is_loaded_before_its_stream_is_up() -> None:
    with pytest.raises(InvariantError, match="before its instrument was loaded"):
        OrderBookHarness().deliver(BookStreamUp(VENUE, ONE))


def test_reloaded_instruments_leave_the_books_unchanged(live: OrderBookHarness) -> None:
    assert live.deliver(InstrumentsLoaded(VENUE, (instrument(ONE), instrument(TWO)))) == []
    assert live.late_subscriber().book_ids == {ONE: 10, TWO: 10}


def test_an_auction_that_is_over_may_no_longer_cross() -> None:
    harness = OrderBookHarness()
    harness.deliver(
        FeedUp(VENUE), InstrumentsLoaded(VENUE, (instrument(ONE, may_cross=True),)), BookStreamUp(VENUE, ONE)
    )
    harness.with_synced_books(ONE).deliver_update(10, 11, "102x1")
    assert harness.subscriber.is_synced(ONE)
    harness.deliver(InstrumentsLoaded(VENUE, (instrument(ONE),)))
    assert published_states(harness.deliver_update(11, 12, "102x2")) == [(ONE, BookState.CROSSED)]


def test_a_changed_contract_multiplier_publishes_a_new_snapshot() -> None:
    harness = OrderBookHarness().with_instruments(ONE).with_synced_books(ONE)
    harness.deliver(InstrumentsLoaded(VENUE, (instrument(ONE, "0.1"),)))
    assert [type(one) for one in published_bodies(harness.deliver_update(10, 11, "99x5"), BOOKS)] == [BookSnapshot]
    assert harness.subscriber.top(ONE)[0] == levels("99x0.5", "98x0.1", "97x0.1")
    assert harness.late_subscriber().top(ONE) == harness.subscriber.top(ONE)


# Late subscribers, readiness and shutdown


def test_a_late_joiner_goes_on_with_the_deltas_by_id(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "99x2")
    live.deliver_update(11, 12, "90x1")
    late = live.late_subscriber()
    assert (late.book_ids, late.health) == ({ONE: 11, TWO: 10}, dict.fromkeys((ONE, TWO), BookState.SYNCED))
    for body in published_bodies(live.deliver_update(12, 13, "99x3"), BOOKS):
        late.receive(body)
    assert late.top(ONE) == live.subscriber.top(ONE)


def test_a_late_joiner_of_a_venue_without_ids_gets_the_book_and_follows_it() -> None:
    harness = OrderBookHarness(PUSHING_UNNUMBERED).with_instruments(ONE)
    harness.deliver_frame(harness.depth_snapshot(NO_ID, is_pushed=True))
    late = harness.late_subscriber()
    for quantity in range(2, 5):
        (delta,) = published_bodies(harness.deliver_update(NO_ID, NO_ID, f"99x{quantity}"), BOOKS)
        late.receive(delta)
    assert (
        late.top(ONE)
        == harness.subscriber.top(ONE)
        == (levels("99x4", "98x1", "97x1"), levels("101x1", "102x1", "103x1"))
    )


def test_readiness_waits_for_the_feed_then_for_its_books() -> None:
    harness = OrderBookHarness()
    assert harness.service.unmet(T0) == (f"feed {VENUE} is connecting: starting",)
    harness.with_instruments()
    assert harness.service.unmet(T0) == (f"book of {ONE}", f"book of {TWO}")
    harness.with_synced_books(ONE)
    harness.deliver(BookStreamDown(VENUE, TWO, "refused", is_permanent=True))
    assert harness.service.unmet(T0) == ()


def test_readiness_does_not_wait_for_ever() -> None:
    harness = OrderBookHarness().with_instruments()
    assert len(harness.service.unmet(T0 + 10_000 * MS)) == 2
    assert harness.service.unmet(T0 + 10_001 * MS) == ()


def test_at_the_end_every_book_is_distrusted_and_each_stream_summed_up(live: OrderBookHarness) -> None:
    effects = list(live.service.on_stop(live.now_ns))
    assert published_bodies(effects, MARKET)[0] == FeedHealth(VENUE, FeedState.DOWN, "market_data stops", live.now_ns)
    assert published_states(effects) == [(ONE, BookState.GAP), (TWO, BookState.GAP)]
    (summary,) = log_events(effects, "stream_summary")
    assert (summary.fields["venue"], summary.fields["frames"], summary.fields["parse_us"]) == (VENUE, 2, "1.0/1.0/1.0")
    assert live.service.is_drained()


def test_every_so_many_frames_one_is_timed_on_its_way(live: OrderBookHarness) -> None:
    for final in range(11, 43):
        live.deliver_update(final - 1, final, f"99x{final}")
    observed = [one for one in live.effects if isinstance(one, ObserveLatency)]
    # Frames 1, 17 and 33 of 34, each in two stages.
    assert len(observed) == 3 * 2
    for one in observed:
        one.measure(0.000_002)
    (summary,) = log_events(list(live.service.on_stop(live.now_ns)), "stream_summary")
    assert summary.fields["transform_us"] == "2.0/2.0/2.0"


def test_what_books_come_to_is_counted_by_venue(live: OrderBookHarness) -> None:
    live.deliver_update(10, 11, "99x2")
    live.deliver_update(10, 11)
    live.deliver_update(15, 16)
    live.advance_ms(1_000)
    counted = {
        outcome: metric_value(live.metrics, "market_book_events_total", venue=VENUE, outcome=outcome)
        for outcome in ("updates", "applied", "stale", "gaps", "snapshots", "resyncs")
    }
    assert counted == {"updates": 5, "applied": 1, "stale": 3, "gaps": 1, "snapshots": 2, "resyncs": 1}
    assert metric_value(live.metrics, "market_books_synced", venue=VENUE) == 1


def test_two_subscribers_that_joined_at_different_times_have_the_same_book(live: OrderBookHarness) -> None:
    subscribers: list[BookSubscriber] = []
    for final in range(11, 30):
        subscribers.append(live.late_subscriber())
        for body in published_bodies(live.deliver_update(final - 1, final, f"{90 + final % 10}x{final % 3}"), BOOKS):
            for subscriber in subscribers:
                subscriber.receive(body)
    assert {subscriber.top(ONE) for subscriber in subscribers} == {live.subscriber.top(ONE)}


def test_an_empty_frame_publishes_nothing(live: OrderBookHarness) -> None:
    assert published_bodies(live.deliver(DecodedFrame(VENUE, (), live.now_ns, 0, 2))) == []


def test_asks_and_bids_are_updated_alike(live: OrderBookHarness) -> None:
    live.deliver_frame(live.depth_update(10, 11, asks=(("101", "0"), ("105", "3"))))
    assert live.subscriber.top(ONE) == (levels("99x1", "98x1", "97x1"), levels("102x1", "103x1", "104x1"))
    assert ASKS[0] == ("101", "1")
