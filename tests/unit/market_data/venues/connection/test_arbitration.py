"""Two connections with the same topics: the newer takes over, nothing is lost, nothing is delivered twice."""

from decimal import Decimal

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import NO_ID, DecodedFrame, DepthSnapshot, DepthUpdate, MarketEvent
from components.market_data.venues.connection.arbitration import Arbiter
from components.runtime.clock import NS_PER_MS

TOY = Venue("TOY")
ONE, TWO = Symbol("TOY:ONE-USD"), Symbol("TOY:TWO-USD")
NUMBER = Decimal(1)
WAIT_MS = 1_000


def framed(*data: MarketEvent) -> DecodedFrame:
    return DecodedFrame(TOY, data, 0, 0, 0)


def update(previous: int, final: int, symbol: Symbol = ONE) -> DepthUpdate:
    return DepthUpdate(symbol, previous, final, [], [], 0, 0)


def snapshot(final: int) -> DepthSnapshot:
    return DepthSnapshot(ONE, final, [], [], 0, 0, is_pushed=True)


def trade(number: int, received_at_ns: int = 0) -> Trade:
    return Trade(TOY, ONE, NUMBER, NUMBER, number, received_at_ns)


def quote(received_at_ns: int) -> Quote:
    return Quote(TOY, ONE, NUMBER, NUMBER, NUMBER, NUMBER, 0, received_at_ns)


def arbiter_with(*symbols: Symbol) -> Arbiter:
    arbiter = Arbiter()
    arbiter.on_subscribed(symbols or (ONE,), now_ns=1)
    return arbiter


def released(arbiter: Arbiter) -> list[MarketEvent]:
    return [datum for one in arbiter.release(deduplicate=True) for datum in one.data]


def test_nothing_is_ready_before_the_new_one_is_subscribed() -> None:
    arbiter = Arbiter()
    arbiter.on_delivered(framed(update(1, 9)))
    arbiter.hold(framed(update(2, 3)))
    assert not arbiter.is_ready(10**12, WAIT_MS)


def test_it_is_ready_where_the_old_one_reached_what_the_new_one_follows() -> None:
    arbiter = arbiter_with()
    arbiter.hold(framed(update(5, 6)))
    assert not arbiter.is_ready(2, WAIT_MS)
    arbiter.on_delivered(framed(update(3, 4)))
    assert not arbiter.is_ready(2, WAIT_MS)
    arbiter.on_delivered(framed(update(4, 5)))
    assert arbiter.is_ready(2, WAIT_MS)


def test_every_book_must_join_but_one_that_stands_still_is_not_waited_for_long() -> None:
    arbiter = arbiter_with(ONE, TWO)
    arbiter.hold(framed(update(5, 6)))
    arbiter.on_delivered(framed(update(4, 6)))
    assert not arbiter.is_ready(2, WAIT_MS)
    assert arbiter.is_ready(1 + WAIT_MS * NS_PER_MS, WAIT_MS)


def test_a_snapshot_behind_the_book_is_dropped_and_one_ahead_replaces_it() -> None:
    behind, ahead = arbiter_with(), arbiter_with()
    behind.on_delivered(framed(update(4, 8)))
    behind.hold(framed(snapshot(5)))
    behind.hold(framed(update(5, 9)))
    assert released(behind) == [update(5, 9)]
    ahead.on_delivered(framed(update(4, 5)))
    ahead.hold(framed(snapshot(8)))
    assert released(ahead) == [snapshot(8)]


def test_without_ids_the_snapshot_restarts_the_book() -> None:
    arbiter = arbiter_with()
    arbiter.on_delivered(framed(update(NO_ID, NO_ID)))
    arbiter.hold(framed(snapshot(NO_ID), update(NO_ID, NO_ID)))
    assert arbiter.is_ready(2, WAIT_MS)
    assert released(arbiter) == [snapshot(NO_ID), update(NO_ID, NO_ID)]


def test_a_trade_is_delivered_as_often_as_it_happened() -> None:
    arbiter = arbiter_with()
    arbiter.on_delivered(framed(trade(1), trade(2)))
    arbiter.hold(framed(trade(2), trade(2), trade(3)))
    assert released(arbiter) == [trade(2), trade(3)]


def test_a_quote_older_than_the_last_delivered_one_is_dropped() -> None:
    arbiter = arbiter_with()
    arbiter.on_delivered(framed(quote(5)))
    arbiter.hold(framed(quote(4)))
    arbiter.hold(framed(quote(6)))
    assert released(arbiter) == [quote(6)]


def test_without_the_old_connection_every_held_frame_is_delivered() -> None:
    arbiter = arbiter_with()
    arbiter.on_delivered(framed(trade(1), update(1, 9)))
    arbiter.hold(framed(snapshot(5), trade(1)))
    assert arbiter.release(deduplicate=False) == [framed(snapshot(5), trade(1))]
