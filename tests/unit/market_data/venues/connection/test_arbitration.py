"""Two connections that say the same for a while: the newer takes over, nothing is missing, nothing comes twice."""

from decimal import Decimal

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import NO_ID, DecodedFrame, DepthSnapshot, DepthUpdate, MarketEvent
from components.market_data.venues.connection.arbitration import Arbiter
from components.market_data.venues.rate_limit import NS_PER_MS

TOY = Venue("TOY")
ONE, TWO = Symbol("TOY:ONE-USD"), Symbol("TOY:TWO-USD")
NUMBER = Decimal(1)
WAIT_MS = 1_000


def framed(*data: MarketEvent) -> DecodedFrame:
    return DecodedFrame(TOY, data, 0, 0, 0)


def change(previous: int, final: int, symbol: Symbol = ONE) -> DepthUpdate:
    return DepthUpdate(symbol, previous, final, [], [], 0, 0)


def image(final: int) -> DepthSnapshot:
    return DepthSnapshot(ONE, final, [], [], 0, 0, is_pushed=True)


def trade(number: int, received_at_ns: int = 0) -> Trade:
    return Trade(TOY, ONE, NUMBER, NUMBER, number, received_at_ns)


def quote(received_at_ns: int) -> Quote:
    return Quote(TOY, ONE, NUMBER, NUMBER, NUMBER, NUMBER, 0, received_at_ns)


def begun(*symbols: Symbol) -> Arbiter:
    handover = Arbiter()
    handover.on_subscribed(symbols or (ONE,), now_ns=1)
    return handover


def released(handover: Arbiter) -> list[MarketEvent]:
    return [datum for one in handover.release(deduplicate=True) for datum in one.data]


def test_nothing_is_ready_before_the_new_one_is_subscribed() -> None:
    handover = Arbiter()
    handover.on_delivered(framed(change(1, 9)))
    handover.hold(framed(change(2, 3)))
    assert not handover.is_ready(10**12, WAIT_MS)


def test_it_is_ready_where_the_old_one_reached_what_the_new_one_follows() -> None:
    handover = begun()
    handover.hold(framed(change(5, 6)))
    assert not handover.is_ready(2, WAIT_MS)
    handover.on_delivered(framed(change(3, 4)))
    assert not handover.is_ready(2, WAIT_MS)
    handover.on_delivered(framed(change(4, 5)))
    assert handover.is_ready(2, WAIT_MS)


def test_every_book_must_join_but_one_that_stands_still_is_not_waited_for_long() -> None:
    handover = begun(ONE, TWO)
    handover.hold(framed(change(5, 6)))
    handover.on_delivered(framed(change(4, 6)))
    assert not handover.is_ready(2, WAIT_MS)
    assert handover.is_ready(1 + WAIT_MS * NS_PER_MS, WAIT_MS)


def test_an_image_behind_the_book_does_not_take_it_back_and_one_ahead_replaces_it() -> None:
    behind, ahead = begun(), begun()
    behind.on_delivered(framed(change(4, 8)))
    behind.hold(framed(image(5)))
    behind.hold(framed(change(5, 9)))
    assert released(behind) == [change(5, 9)]
    ahead.on_delivered(framed(change(4, 5)))
    ahead.hold(framed(image(8)))
    assert released(ahead) == [image(8)]


def test_where_nothing_is_numbered_the_image_begins_the_book_anew() -> None:
    handover = begun()
    handover.on_delivered(framed(change(NO_ID, NO_ID)))
    handover.hold(framed(image(NO_ID), change(NO_ID, NO_ID)))
    assert handover.is_ready(2, WAIT_MS)
    assert released(handover) == [image(NO_ID), change(NO_ID, NO_ID)]


def test_a_trade_is_told_once_and_as_often_as_it_happened() -> None:
    handover = begun()
    handover.on_delivered(framed(trade(1), trade(2)))
    handover.hold(framed(trade(2), trade(2), trade(3)))
    assert released(handover) == [trade(2), trade(3)]


def test_a_quote_from_before_the_last_one_told_is_old() -> None:
    handover = begun()
    handover.on_delivered(framed(quote(5)))
    handover.hold(framed(quote(4)))
    handover.hold(framed(quote(6)))
    assert released(handover) == [quote(6)]


def test_where_the_old_one_is_gone_all_that_was_held_counts() -> None:
    handover = begun()
    handover.on_delivered(framed(trade(1), change(1, 9)))
    handover.hold(framed(image(5), trade(1)))
    assert handover.release(deduplicate=False) == [framed(image(5), trade(1))]
