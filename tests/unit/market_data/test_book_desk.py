"""What the books' desk says and asks for, through the service's own door, for everything that a venue can tell it."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from components.contracts.errors import InvariantError
from components.contracts.market import (
    BookDelta,
    BookSnapshot,
    BookState,
    FeedHealth,
    FeedState,
    Gap,
    Quote,
    SymbolHealth,
    Trade,
)
from components.contracts.topics import BOOKS, MARKET
from components.contracts.values import Symbol
from components.market_data.core.changes import NO_ID, DepthImage
from components.market_data.core.feed import (
    BookClosed,
    BookOpened,
    Data,
    FetchImage,
    Framed,
    LineClosed,
    LineOpened,
    Listed,
    NoImage,
    Odd,
    Oddity,
    Resubscribe,
    Resubscribed,
)
from components.market_data.service.books import AUDIT_EPOCH
from components.market_data.venues.alpaca.rule import ArrivalRule
from components.runtime.service import Effect, Observe, Publish
from tests.support.book_desks import (
    ASKS,
    BIDS,
    MS,
    ONE,
    RESUBSCRIBING,
    T0,
    TWO,
    VENUE,
    Desk,
    Hearer,
    instrument,
    levels,
    notes,
    said,
    states,
    terms,
)
from tests.support.readings import reading

AUDITED = terms(audit_every_s=60)
PUSHING = terms(RESUBSCRIBING, pushes_image=True)
PUSHING_UNNUMBERED = terms(ArrivalRule(), pushes_image=True)


@pytest.fixture
def live() -> Desk:
    """Two books in sync at id 10."""
    return Desk().listed().synced()


def kinds(effects: Sequence[Effect], symbol: Symbol = ONE) -> list[type]:
    return [type(one) for one in said(effects, BOOKS) if one.symbol == symbol]


def odd(desk: Desk, kind: Oddity) -> float:
    return reading(desk.metrics, "market_odd_total", venue=VENUE, kind=kind)


def audits(desk: Desk, verdict: str) -> float:
    return reading(desk.metrics, "market_book_audits_total", venue=VENUE, verdict=verdict)


# Beginning


def test_it_starts_by_saying_that_the_venue_is_not_heard() -> None:
    assert said(Desk().every) == [FeedHealth(VENUE, FeedState.CONNECTING, "starting", T0)]


def test_an_image_is_fetched_only_after_the_first_change() -> None:
    desk = Desk().listed(ONE)
    assert desk.asked() == []
    assert desk.asked(desk.wait(100)) == []
    (request,) = desk.asked(desk.change(9, 10))
    assert (type(request), request.venue, request.symbol) == (FetchImage, VENUE, ONE)
    assert desk.asked(desk.change(10, 11)) == []


def test_a_quiet_book_is_fetched_all_the_same() -> None:
    desk = Desk().listed(ONE)
    assert desk.asked(desk.wait(499)) == []
    assert [type(one) for one in desk.asked(desk.wait(1))] == [FetchImage]


def test_a_pushed_image_is_waited_for_and_nothing_asked() -> None:
    desk = Desk(PUSHING).listed(ONE)
    desk.wait(2_000)
    desk.frame(desk.image(10, is_pushed=True))
    assert (desk.asked(), desk.hearer.is_synced(ONE)) == ([], True)


def test_a_pushed_image_that_does_not_come_is_got_by_the_fallback() -> None:
    desk = Desk(PUSHING).listed(ONE)
    desk.change(9, 10)
    assert desk.asked(desk.wait(2_999)) == []
    assert [type(one) for one in desk.asked(desk.wait(1))] == [FetchImage]


def test_the_image_is_published_with_what_was_buffered_in_it_and_then_believed() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.change(9, 10, "99x5"))
    desk.change(10, 11, "98x7")
    effects = desk.answer(request, desk.image(9))
    assert kinds(effects) == [BookSnapshot, SymbolHealth]
    assert (desk.hearer.ids[ONE], desk.hearer.top(ONE)[0]) == (11, levels("99x5", "98x7", "97x1"))
    assert states(effects) == states(effects, MARKET) == [(ONE, BookState.SYNCED)]


def test_a_snapshot_leaves_with_the_stamps_of_its_cause() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    (first, *_) = desk.answer(request, desk.image(10))
    assert isinstance(first, Publish)
    assert (first.event_at_ns, first.received_at_ns) == (desk.now_ns - MS, desk.now_ns)


def test_quantities_are_published_in_the_instruments_own_unit() -> None:
    desk = Desk()
    desk.tell(LineOpened(VENUE), Listed(VENUE, (instrument(ONE, "0.01"),)), BookOpened(VENUE, ONE))
    (request,) = desk.asked(desk.change(9, 10))
    desk.answer(request, desk.image(10))
    desk.change(10, 11, "99x250")
    assert desk.hearer.top(ONE)[0] == levels("99x2.50", "98x0.01", "97x0.01")


def test_an_answer_to_an_older_question_changes_nothing() -> None:
    desk = Desk().listed(ONE)
    (old,) = desk.asked(desk.change(9, 10))
    desk.tell(BookClosed(VENUE, ONE, "cut", final=False), BookOpened(VENUE, ONE))
    assert said(desk.answer(old, desk.image(10))) == []
    assert not desk.hearer.is_synced(ONE)


def test_an_image_that_could_not_be_had_is_asked_for_again_no_sooner_than_the_venue_allows() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    desk.answer(request, NoImage("429", 7_000))
    desk.change(10, 11)
    assert desk.asked(desk.wait(6_999)) == []
    assert [type(one) for one in desk.asked(desk.wait(1))] == [FetchImage]


def test_the_first_change_does_not_hurry_a_venue_that_said_wait() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.wait(500))
    desk.answer(request, NoImage("429", 7_000))
    assert desk.asked(desk.change(9, 10)) == []
    assert desk.asked(desk.wait(6_999)) == []
    assert len(desk.asked(desk.wait(1))) == 1


# Going on


def test_a_change_is_published_only_where_the_top_is_different(live: Desk) -> None:
    assert said(live.change(10, 11, "96x9")) == []
    assert said(live.change(11, 12, "99x1")) == []
    (delta,) = said(live.change(12, 13, "99x4"), BOOKS)
    at = (live.now_ns - MS, live.now_ns)
    assert delta == BookDelta(VENUE, ONE, 10, 13, levels("99x4"), (), *at)


def test_deltas_chain_by_what_was_published_last(live: Desk) -> None:
    live.change(10, 11, "99x4")
    live.change(11, 12, "90x1")
    (delta,) = said(live.change(12, 13, "98x0"), BOOKS)
    assert (delta.previous_id, delta.book_id, delta.bids) == (11, 13, levels("98x0", "96x1"))


def test_a_frame_about_many_books_speaks_to_each(live: Desk) -> None:
    live.frame(live.changed(10, 11, "99x4"), live.changed(10, 12, "99x5", symbol=TWO))
    assert live.hearer.ids == {ONE: 11, TWO: 12}


def test_a_price_that_is_spelled_anew_stays_one_level(live: Desk) -> None:
    live.change(10, 11, "99.0x4")
    assert live.hearer.top(ONE)[0] == levels("99x4", "98x1", "97x1")
    assert live.late().top(ONE) == live.hearer.top(ONE)


def test_a_removed_level_that_was_never_there_says_nothing(live: Desk) -> None:
    assert said(live.change(10, 11, "99.5x0.000")) == []


def test_a_side_may_be_empty(live: Desk) -> None:
    live.change(10, 11, "99x0", "98x0", "97x0", "96x0")
    assert (live.hearer.top(ONE)[0], live.hearer.is_synced(ONE)) == ((), True)


def test_an_image_on_the_stream_replaces_the_book_at_any_time() -> None:
    desk = Desk(PUSHING).listed(ONE)
    desk.frame(desk.image(10, is_pushed=True))
    effects = desk.frame(desk.image(5, is_pushed=True, bids=(("95", "2"),)))
    assert (kinds(effects), states(effects)) == ([BookSnapshot], [])
    desk.change(5, 6, "94x1")
    assert (desk.hearer.ids[ONE], desk.hearer.top(ONE)[0]) == (6, levels("95x2", "94x1"))


def test_quotes_and_prints_of_listed_symbols_go_on_as_they_came(live: Desk) -> None:
    one = Decimal(1)
    quote = Quote(VENUE, ONE, one, one, one + 1, one, live.now_ns, live.now_ns)
    trade = Trade(VENUE, ONE, one, one, live.now_ns, live.now_ns)
    assert said(live.frame(quote, trade), MARKET) == [quote, trade]
    assert quote in live.service.snapshot(MARKET)
    unlisted = Symbol("TEST:NONE-USD")
    assert said(live.frame(replace(quote, symbol=unlisted), replace(trade, symbol=unlisted))) == []
    assert said(live.frame(replace(quote, bid_size=-one), replace(trade, size=Decimal(0)))) == []
    assert (odd(live, Oddity.UNLISTED), odd(live, Oddity.OUT_OF_RANGE)) == (2, 2)


# Losing sync


def test_a_gap_is_recorded_and_the_book_distrusted_on_both_streams(live: Desk) -> None:
    effects = live.change(12, 13, "99x4")
    assert kinds(effects) == [Gap, SymbolHealth]
    assert said(effects)[0] == Gap(VENUE, ONE, 10, 12, live.now_ns)
    assert states(effects) == states(effects, MARKET) == [(ONE, BookState.GAP)]
    assert "expected 10, got 12" in said(effects, MARKET)[0].reason
    (note,) = notes(effects, "book_changed")
    assert (note.level, note.facts["symbol"], note.facts["state"]) == ("info", ONE, BookState.GAP)
    assert live.hearer.is_synced(TWO)


def test_after_a_gap_a_new_image_is_joined_to_what_came_behind_it(live: Desk) -> None:
    (request,) = live.asked(live.change(12, 13, "99x4"))
    live.change(13, 14, "98x4")
    effects = live.answer(request, live.image(12))
    assert kinds(effects) == [BookSnapshot, SymbolHealth]
    assert (live.hearer.ids[ONE], live.hearer.top(ONE)[0]) == (14, levels("99x4", "98x4", "97x1"))


def test_nothing_of_a_book_is_published_while_it_is_not_in_sync(live: Desk) -> None:
    live.change(12, 13, "99x4")
    assert said(live.change(13, 14, "99x6")) == []
    assert [one for one in live.service.snapshot(BOOKS) if isinstance(one, BookSnapshot) and one.symbol == ONE] == []


def sick_day(desk: Desk, *, with_neighbour: bool) -> list[Effect]:
    """One book's day, its neighbour broken in every way or absent; gives what concerns the healthy book."""
    sick: list[Data] = [
        desk.changed(50, 51, symbol=ONE),
        Odd(Oddity.MALFORMED, "x", ONE),
        desk.changed(51, 52, "1x-1"),
        desk.changed(52, 53, "200x1"),
        desk.image(60, is_pushed=True),
        desk.changed(60, 61, "200x1"),
        desk.changed(61, 62, "200x2"),
    ]
    effects: list[Effect] = []
    for number, harm in enumerate(sick):
        if with_neighbour:
            desk.frame(harm)
        effects += desk.change(10 + number, 11 + number, f"99x{number + 2}", symbol=TWO)
        effects += desk.wait(40)
    return [one for one in effects if isinstance(one, Publish) and one.body.symbol == TWO]


def test_a_sick_book_changes_nothing_of_what_is_said_of_another() -> None:
    alone, beside = (sick_day(Desk().listed().synced(), with_neighbour=sick) for sick in (False, True))
    assert beside == alone
    assert len(alone) == 7


def test_a_late_joiner_is_told_of_the_latest_gaps(live: Desk) -> None:
    live.change(12, 13)
    live.change(14, 15, symbol=TWO)
    assert [(gap.symbol, gap.expected, gap.got) for gap in live.late().gaps] == [(ONE, 10, 12), (TWO, 10, 14)]


def test_a_book_that_crosses_is_withheld_and_fetched_anew(live: Desk) -> None:
    effects = live.change(10, 11, "101x1")
    assert kinds(effects) == [SymbolHealth]
    assert (states(effects), live.hearer.ids[ONE]) == ([(ONE, BookState.CROSSED)], 10)
    assert live.late().trust[ONE] is BookState.CROSSED
    effects = live.change(11, 12, "101x0", "99x3")
    assert (BookDelta in kinds(effects), len(live.asked(effects))) == (False, 1)
    effects = live.answer(live.asked(effects)[0], live.image(12))
    assert (kinds(effects), live.hearer.is_synced(ONE)) == ([BookSnapshot, SymbolHealth], True)


def test_a_book_that_stays_crossed_is_fetched_anew(live: Desk) -> None:
    live.change(10, 11, "101x1")
    effects = live.wait(250)
    assert ([type(one) for one in live.asked(effects)], states(effects)) == ([], [(ONE, BookState.CROSSED)])
    assert [type(one) for one in live.asked(live.wait(50))] == [FetchImage]


def test_a_book_in_an_auction_may_cross() -> None:
    desk = Desk()
    desk.tell(LineOpened(VENUE), Listed(VENUE, (instrument(ONE, may_cross=True),)), BookOpened(VENUE, ONE))
    desk.synced(ONE)
    desk.change(10, 11, "102x1")
    desk.change(11, 12, "102x2")
    desk.wait(5_000)
    assert (desk.hearer.is_synced(ONE), desk.hearer.top(ONE, 1)[0]) == (True, levels("102x2"))


def test_a_silent_book_is_stale_and_the_next_change_brings_it_back(live: Desk) -> None:
    live.wait(20_000)
    live.change(10, 11, "99x2", symbol=TWO)
    effects = live.wait(10_001)
    assert states(effects) == states(effects, MARKET) == [(ONE, BookState.STALE)]
    assert "no change for 30001 ms" in said(effects)[0].reason
    assert states(live.wait(50)) == []
    effects = live.change(10, 11, "99x2")
    assert kinds(effects) == [BookDelta, SymbolHealth]
    assert states(effects) == [(ONE, BookState.SYNCED)]


def test_a_stale_book_that_only_says_it_is_alive_is_believed_again(live: Desk) -> None:
    live.wait(30_001)
    effects = live.change(10, 11)
    assert (kinds(effects), states(effects)) == ([SymbolHealth], [(ONE, BookState.SYNCED)])


def test_one_duplicate_and_then_silence_is_no_fault(live: Desk) -> None:
    live.change(9, 10)
    live.wait(6_000)
    assert (live.hearer.is_synced(ONE), live.asked(live.every)[2:]) == (True, [])


def test_ids_that_went_back_are_noticed(live: Desk) -> None:
    for _ in range(49):
        assert said(live.change(4, 5, "99x7")) == []
    effects = live.change(4, 5, "99x7")
    assert states(effects) == [(ONE, BookState.GAP)]
    assert "ids went back" in said(effects)[0].reason
    assert len(live.asked(effects)) == 1


def test_a_cut_distrusts_each_book_of_the_line_until_its_next_image(live: Desk) -> None:
    effects = live.tell(BookClosed(VENUE, ONE, "the connection ended", final=False))
    assert states(effects) == [(ONE, BookState.GAP)]
    assert (said(effects)[0].reason, live.hearer.is_synced(TWO)) == ("the connection ended", True)
    assert live.asked(live.wait(10_000)) == []
    live.tell(BookOpened(VENUE, ONE))
    live.synced(ONE, at=90)
    assert live.hearer.ids[ONE] == 90


def test_an_image_of_a_line_that_is_gone_is_not_believed() -> None:
    desk = Desk(PUSHING).listed(ONE)
    desk.frame(desk.image(10, is_pushed=True))
    desk.tell(BookClosed(VENUE, ONE, "the connection ended", final=False))
    assert said(desk.frame(desk.image(11, is_pushed=True))) == []


def test_what_the_feed_says_of_its_lines_is_said_once() -> None:
    desk = Desk()
    assert said(desk.tell(LineOpened(VENUE))) == [FeedHealth(VENUE, FeedState.LIVE, "subscribed", T0)]
    assert desk.tell(LineOpened(VENUE)) == []
    effects = desk.tell(LineClosed(VENUE, "refused", final=True))
    assert said(effects, MARKET) == [FeedHealth(VENUE, FeedState.DOWN, "refused", T0)]
    assert [note.level for note in notes(effects, "feed_changed")] == ["error"]
    assert reading(desk.metrics, "market_venue_live", venue=VENUE) == 0


# What cannot be read


def test_an_odd_part_of_a_frame_resyncs_only_the_book_that_it_names(live: Desk) -> None:
    effects = live.frame(Odd(Oddity.MALFORMED, "no price", ONE))
    assert states(effects) == [(ONE, BookState.GAP)]
    assert "malformed: no price" in said(effects)[0].reason
    assert ([one.symbol for one in live.asked(live.wait(50))], live.hearer.is_synced(TWO)) == ([ONE], True)


@pytest.mark.parametrize("symbol", [None, Symbol("TEST:NONE-USD")])
def test_an_odd_part_that_names_no_book_is_only_counted(live: Desk, symbol: Symbol | None) -> None:
    assert live.frame(Odd(Oddity.UNKNOWN, "?", symbol)) == []
    assert (odd(live, Oddity.UNKNOWN), live.hearer.is_synced(ONE)) == (1, True)


def test_a_change_or_image_of_an_unlisted_symbol_is_only_counted(live: Desk) -> None:
    unlisted = Symbol("TEST:NONE-USD")
    assert live.frame(live.changed(1, 2, symbol=unlisted), live.image(1, symbol=unlisted, is_pushed=True)) == []
    assert odd(live, Oddity.UNLISTED) == 2


@pytest.mark.parametrize("level", ["99x-1", "99xNaN", "99xInfinity", "99x", "99xx", "0x1", "-1x1", "1e400x1", "x1"])
def test_a_change_that_cannot_be_read_resyncs_its_book(live: Desk, level: str) -> None:
    effects = live.change(10, 11, level)
    assert (states(effects), len(live.asked(effects))) == ([(ONE, BookState.GAP)], 1)
    live.answer(live.asked(effects)[0], live.image(20))
    assert (live.hearer.is_synced(ONE), live.hearer.is_synced(TWO)) == (True, True)


@pytest.mark.parametrize("quantity", ["1_0", "+5", " 7 ", "\u0663"])
def test_a_quantity_that_only_a_float_would_read_gives_its_book_up_wherever_it_stands(
    live: Desk, quantity: str
) -> None:
    effects = live.change(10, 11, f"96x{quantity}")
    assert states(effects) == [(ONE, BookState.GAP)]
    assert (live.hearer.is_synced(ONE), live.hearer.is_synced(TWO)) == (False, True)


def test_an_exponent_is_a_number_like_any_other(live: Desk) -> None:
    live.change(10, 11, "9.9e1x5e-5")
    assert live.hearer.top(ONE)[0] == levels("99x0.00005", "98x1", "97x1")


def test_an_image_with_a_bad_quantity_at_its_top_is_not_believed() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    effects = desk.answer(request, desk.image(10, bids=(("99", "-1"),)))
    assert (BookSnapshot in kinds(effects), desk.hearer.is_synced(ONE)) == (False, False)
    (request,) = desk.asked(effects)
    desk.answer(request, desk.image(11))
    assert desk.hearer.is_synced(ONE)


def test_an_image_on_the_stream_that_cannot_be_read_ends_the_trust_in_the_book_before_it() -> None:
    desk = Desk(PUSHING).listed(ONE)
    desk.frame(desk.image(10, is_pushed=True))
    effects = desk.frame(desk.image(10, is_pushed=True, bids=(("95", "1"),), asks=(("0", "1"),)))
    assert [state for _, state in states(effects)] == [BookState.GAP]
    assert said(desk.change(10, 11, "94x1")) == []
    assert [type(one) for one in desk.asked()] == [Resubscribe]


# Refusals


def test_a_refused_symbol_is_named_and_not_asked_for_again(live: Desk) -> None:
    effects = live.tell(BookClosed(VENUE, ONE, "60018: no such instrument", final=True))
    (note,) = notes(effects, "subscription_refused")
    assert (note.level, note.facts) == ("error", {"symbol": ONE, "reason": "60018: no such instrument"})
    assert states(effects) == [(ONE, BookState.GAP)]
    assert live.asked(live.wait(60_000)) == []


def test_a_symbol_that_the_venue_does_not_list_is_named() -> None:
    desk = Desk()
    desk.tell(LineOpened(VENUE), Listed(VENUE, (instrument(ONE),)))
    effects = desk.tell(BookClosed(VENUE, TWO, "not listed", final=True))
    assert [note.facts["symbol"] for note in notes(effects, "subscription_refused")] == [TWO]
    assert desk.service.unmet(T0) == (f"book of {ONE}",)


def test_an_image_for_an_unknown_symbol_changes_nothing() -> None:
    desk = Desk()
    assert desk.answer(FetchImage(VENUE, ONE, 1), desk.image(1)) == []
    assert desk.answer(Resubscribe(VENUE, ONE, 1), Resubscribed()) == []


def test_a_book_is_listed_before_it_is_opened() -> None:
    with pytest.raises(InvariantError, match="before it was listed"):
        Desk().tell(BookOpened(VENUE, ONE))


def test_listing_again_leaves_the_books_as_they_are(live: Desk) -> None:
    assert live.tell(Listed(VENUE, (instrument(ONE), instrument(TWO)))) == []
    assert live.late().ids == {ONE: 10, TWO: 10}


def test_an_auction_that_is_over_may_no_longer_cross() -> None:
    desk = Desk()
    desk.tell(LineOpened(VENUE), Listed(VENUE, (instrument(ONE, may_cross=True),)), BookOpened(VENUE, ONE))
    desk.synced(ONE).change(10, 11, "102x1")
    assert desk.hearer.is_synced(ONE)
    desk.tell(Listed(VENUE, (instrument(ONE),)))
    assert states(desk.change(11, 12, "102x2")) == [(ONE, BookState.CROSSED)]


def test_a_contract_whose_worth_changes_is_shown_anew() -> None:
    desk = Desk().listed(ONE).synced(ONE)
    desk.tell(Listed(VENUE, (instrument(ONE, "0.1"),)))
    assert [type(one) for one in said(desk.change(10, 11, "99x5"), BOOKS)] == [BookSnapshot]
    assert desk.hearer.top(ONE)[0] == levels("99x0.5", "98x0.1", "97x0.1")
    assert desk.late().top(ONE) == desk.hearer.top(ONE)


# Audits and renewal


def test_the_audits_of_many_books_are_spread_over_their_time() -> None:
    chances = iter([0.0, 0.75, 0.0, 0.0])
    desk = Desk(AUDITED, chance=lambda: next(chances, 0.0)).listed().synced()
    seconds = {ONE: 0.0, TWO: 0.0}
    for second in range(1, 61):
        for request in desk.asked(desk.wait(1_000)):
            seconds.setdefault(request.symbol, 0)
            seconds[request.symbol] = second
        for symbol in (ONE, TWO):
            desk.change(desk.hearer.ids[symbol], 10 + second, f"99x{second + 1}", symbol=symbol)
    assert seconds == {ONE: 60, TWO: 15}


def audited(at_s: int = 60) -> tuple[Desk, FetchImage]:
    """A book whose audit is under way."""
    desk = Desk(AUDITED).listed(ONE).synced(ONE)
    for _ in range(at_s // 20):
        desk.wait(20_000)
        desk.change(desk.hearer.ids[ONE], desk.hearer.ids[ONE] + 1, f"99x{desk.hearer.ids[ONE]}")
    (request,) = desk.asked(desk.every)[1:] or desk.asked(desk.wait(1))
    assert isinstance(request, FetchImage)
    assert request.epoch == AUDIT_EPOCH
    return desk, request


def agreeing(desk: Desk) -> DepthImage:
    """What the venue should fetch for the book as it stands."""
    ((_, quantity),) = desk.hearer.top(ONE, 1)[0]
    return desk.image(desk.hearer.ids[ONE], bids=(("99.0", str(quantity)), *BIDS[1:]))


def test_an_audit_that_agrees_is_counted_and_says_nothing() -> None:
    desk, request = audited()
    assert desk.answer(request, agreeing(desk)) == []
    assert audits(desk, "agrees") == 1
    assert desk.asked(desk.wait(50)) == []


def test_an_audit_that_differs_resyncs_the_book_and_says_so() -> None:
    desk, request = audited()
    effects = desk.answer(request, desk.image(desk.hearer.ids[ONE]))
    assert (audits(desk, "differs"), states(effects)) == (1, [(ONE, BookState.GAP)])
    assert [note.level for note in notes(effects, "book_differs")] == ["error"]
    assert len(desk.asked(desk.wait(50))) == 1


def test_an_audit_of_an_older_state_is_judged_by_that_state() -> None:
    desk, request = audited()
    image = agreeing(desk)
    desk.change(image.final, image.final + 1, "99x77")
    desk.answer(request, image)
    assert audits(desk, "agrees") == 1


def test_an_audit_whose_image_is_ahead_waits_for_the_book() -> None:
    desk, request = audited()
    at = desk.hearer.ids[ONE]
    assert desk.answer(request, desk.image(at + 2, bids=(("99", "5"), *BIDS[1:]))) == []
    desk.change(at, at + 1, "99x4")
    assert audits(desk, "agrees") == 0
    desk.change(at + 1, at + 2, "99x5")
    assert audits(desk, "agrees") == 1


def test_an_audit_of_an_id_that_the_book_never_had_decides_nothing() -> None:
    desk, request = audited()
    assert desk.answer(request, desk.image(desk.hearer.ids[ONE] - 7)) == []
    assert (audits(desk, "undecided"), desk.hearer.is_synced(ONE)) == (1, True)


def test_an_audit_of_a_book_that_moves_on_without_an_answer_decides_nothing() -> None:
    desk, _ = audited()
    at = desk.hearer.ids[ONE]
    for final in range(at + 1, at + 300):
        desk.change(final - 1, final)
    assert (audits(desk, "undecided"), desk.hearer.is_synced(ONE)) == (1, True)


def test_an_audit_that_gets_no_image_is_tried_again_later() -> None:
    desk, request = audited()
    assert desk.answer(request, NoImage("503", 0)) == []
    assert desk.asked(desk.wait(20_000)) == []
    desk.change(desk.hearer.ids[ONE], desk.hearer.ids[ONE] + 1)
    assert len(desk.asked([*desk.wait(20_000), *desk.wait(20_000)])) == 1


@pytest.mark.parametrize("quantity", ["abc", "1_0", "-1"])
def test_an_audit_by_an_image_that_cannot_be_read_decides_nothing(quantity: str) -> None:
    desk, request = audited()
    assert desk.answer(request, desk.image(desk.hearer.ids[ONE], bids=(("99", quantity),))) == []
    assert (audits(desk, "undecided"), desk.hearer.is_synced(ONE)) == (1, True)


def test_an_audit_by_a_short_image_compares_what_is_in_it() -> None:
    desk, request = audited()
    image = agreeing(desk)
    short = replace(image, bids=image.bids[:2], asks=image.asks[:2], depth_max=2)
    assert desk.answer(request, short) == []
    assert audits(desk, "agrees") == 1


def test_a_book_of_which_little_is_left_is_renewed() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    desk.answer(request, desk.image(10, depth_max=4))
    desk.change(10, 11, "99x0", "98x0")
    assert desk.hearer.is_synced(ONE)
    effects = desk.wait(1_000)
    assert states(effects) == [(ONE, BookState.SYNCING)]
    (request,) = desk.asked([*effects, *desk.wait(50)])
    desk.answer(request, desk.image(12))
    assert desk.hearer.is_synced(ONE)


def test_a_book_whose_images_are_shorter_than_what_is_shown_is_not_fetched_without_end() -> None:
    desk = Desk(terms(levels_published=20)).listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    desk.answer(request, desk.image(10, depth_max=4))
    for final in range(11, 21):
        desk.change(final - 1, final)
        assert desk.asked(desk.wait(1_000)) == []


def test_a_book_that_is_small_in_itself_is_not_renewed() -> None:
    desk = Desk().listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    desk.answer(request, desk.image(10, bids=(("99", "1"),), depth_max=1_000))
    desk.wait(1_000)
    assert desk.hearer.is_synced(ONE)


# Who joins late, who waits, and the end


def test_a_late_joiner_goes_on_with_the_deltas_by_id(live: Desk) -> None:
    live.change(10, 11, "99x2")
    live.change(11, 12, "90x1")
    late = live.late()
    assert (late.ids, late.trust) == ({ONE: 11, TWO: 10}, dict.fromkeys((ONE, TWO), BookState.SYNCED))
    for body in said(live.change(12, 13, "99x3"), BOOKS):
        late.hear(body)
    assert late.top(ONE) == live.hearer.top(ONE)


def test_a_late_joiner_of_a_venue_without_ids_gets_the_book_and_follows_it() -> None:
    desk = Desk(PUSHING_UNNUMBERED).listed(ONE)
    desk.frame(desk.image(NO_ID, is_pushed=True))
    late = desk.late()
    for quantity in range(2, 5):
        (delta,) = said(desk.change(NO_ID, NO_ID, f"99x{quantity}"), BOOKS)
        late.hear(delta)
    assert late.top(ONE) == desk.hearer.top(ONE) == (levels("99x4", "98x1", "97x1"), levels("101x1", "102x1", "103x1"))


def test_readiness_waits_for_the_feed_then_for_its_books() -> None:
    desk = Desk()
    assert desk.service.unmet(T0) == (f"feed {VENUE} is connecting: starting",)
    desk.listed()
    assert desk.service.unmet(T0) == (f"book of {ONE}", f"book of {TWO}")
    desk.synced(ONE)
    desk.tell(BookClosed(VENUE, TWO, "refused", final=True))
    assert desk.service.unmet(T0) == ()


def test_readiness_does_not_wait_for_ever() -> None:
    desk = Desk().listed()
    assert len(desk.service.unmet(T0 + 10_000 * MS)) == 2
    assert desk.service.unmet(T0 + 10_001 * MS) == ()


def test_at_the_end_every_book_is_distrusted_and_each_stream_summed_up(live: Desk) -> None:
    effects = list(live.service.on_stop(live.now_ns))
    assert said(effects, MARKET)[0] == FeedHealth(VENUE, FeedState.DOWN, "market_data stops", live.now_ns)
    assert states(effects) == [(ONE, BookState.GAP), (TWO, BookState.GAP)]
    (summary,) = notes(effects, "stream_summary")
    assert (summary.facts["venue"], summary.facts["frames"], summary.facts["parse_us"]) == (VENUE, 2, "1.0/1.0/1.0")
    assert live.service.is_drained()


def test_every_so_many_frames_one_is_timed_on_its_way(live: Desk) -> None:
    for final in range(11, 43):
        live.change(final - 1, final, f"99x{final}")
    observed = [one for one in live.every if isinstance(one, Observe)]
    # Of 34 frames the first, the 17th and the 33rd, each in two stages.
    assert len(observed) == 3 * 2
    for one in observed:
        one.measure(0.000_002)
    (summary,) = notes(list(live.service.on_stop(live.now_ns)), "stream_summary")
    assert summary.facts["transform_us"] == "2.0/2.0/2.0"


def test_what_books_come_to_is_counted_by_venue(live: Desk) -> None:
    live.change(10, 11, "99x2")
    live.change(10, 11)
    live.change(15, 16)
    live.wait(1_000)
    counted = {
        outcome: reading(live.metrics, "market_book_events_total", venue=VENUE, outcome=outcome)
        for outcome in ("changes", "applied", "stale", "gaps", "images", "resyncs")
    }
    assert counted == {"changes": 5, "applied": 1, "stale": 3, "gaps": 1, "images": 2, "resyncs": 1}
    assert reading(live.metrics, "market_books_synced", venue=VENUE) == 1


def test_two_hearers_who_joined_at_different_times_have_the_same_book(live: Desk) -> None:
    hearers: list[Hearer] = []
    for final in range(11, 30):
        hearers.append(live.late())
        for body in said(live.change(final - 1, final, f"{90 + final % 10}x{final % 3}"), BOOKS):
            for hearer in hearers:
                hearer.hear(body)
    assert {hearer.top(ONE) for hearer in hearers} == {live.hearer.top(ONE)}


def test_an_empty_frame_says_nothing(live: Desk) -> None:
    assert said(live.tell(Framed(VENUE, (), live.now_ns, 0, 2))) == []


def test_asks_and_bids_change_alike(live: Desk) -> None:
    live.frame(live.changed(10, 11, asks=(("101", "0"), ("105", "3"))))
    assert live.hearer.top(ONE) == (levels("99x1", "98x1", "97x1"), levels("102x1", "103x1", "104x1"))
    assert ASKS[0] == ("101", "1")
