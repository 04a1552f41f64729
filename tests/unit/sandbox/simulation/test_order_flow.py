"""The seeded order flow: deterministic, never crossed, and every recent state can be rebuilt."""

from decimal import Decimal

import pytest

from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_book import BLOCKS_MAX, UPDATES_PER_BLOCK
from components.sandbox.simulation.order_flow import LEVELS_MAX, LEVELS_MIN, IdSpace, OrderFlow

SYMBOLS = ("ABC", "XYZ")


def _instrument(symbol: str, price: str = "100.00") -> Instrument:
    return Instrument(
        symbol=symbol, base=symbol, quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.001"), price=Decimal(price)
    )


def _flow(steps: int, *, seed: int = 7, ids: IdSpace = IdSpace.PER_SYMBOL, price: str = "100.00") -> OrderFlow:
    flow = OrderFlow([_instrument(one, price) for one in SYMBOLS], seed, ids)
    for at_ns in range(steps):
        for symbol in SYMBOLS:
            flow.step(symbol, at_ns)
    return flow


def test_the_order_flow_depends_only_on_the_seed() -> None:
    first_id = _flow(0).last_id("ABC")
    one, same, other = (_flow(50, seed=seed).updates_after("ABC", first_id) for seed in (7, 7, 8))
    assert one == same
    assert one != other


@pytest.mark.parametrize("price", ["100.00", "1.00"])
def test_the_book_is_never_crossed_and_stays_within_its_depth(price: str) -> None:
    flow = _flow(0, price=price)
    for at_ns in range(400):
        flow.step("ABC", at_ns)
        book = flow.book("ABC")
        assert book.price(-1, is_bid=True) > 0
        assert book.price(0, is_bid=True) < book.price(0, is_bid=False)
        assert all(LEVELS_MIN - 1 <= len(side.prices) <= LEVELS_MAX for side in (book.bids, book.asks))


def test_per_symbol_ids_are_consecutive() -> None:
    flow = _flow(20)
    first_id = flow.id_before("ABC", 19)
    ids = [update.id for update in flow.updates_after("ABC", first_id)]
    assert ids == list(range(first_id + 1, first_id + 20))


def test_venue_wide_ids_are_unique_and_leave_gaps_per_symbol() -> None:
    flow = _flow(50, ids=IdSpace.VENUE_WIDE)
    ids = {
        symbol: {update.id for update in flow.updates_after(symbol, flow.id_before(symbol, 40))} for symbol in SYMBOLS
    }
    assert not ids["ABC"] & ids["XYZ"]
    assert max(ids["ABC"]) - min(ids["ABC"]) > 80


def test_a_book_can_be_rebuilt_at_any_recent_id() -> None:
    flow = _flow(0)
    seen = {}
    for at_ns in range(UPDATES_PER_BLOCK // 4):
        update = flow.step("ABC", at_ns)
        seen[update.id] = flow.book("ABC").top(10)
    assert {at_id: flow.book_at("ABC", at_id).top(10) for at_id in list(seen)[::25]} == {
        at_id: seen[at_id] for at_id in list(seen)[::25]
    }


def test_an_id_in_a_gap_returns_the_book_before_it() -> None:
    flow = _flow(30, ids=IdSpace.VENUE_WIDE)
    last = flow.updates_after("ABC", flow.id_before("ABC", 1))[0]
    assert flow.previous_id("ABC", last.id) == flow.id_before("ABC", 1)
    assert flow.book_at("ABC", last.id - 1).id == flow.previous_id("ABC", last.id)


def test_an_id_older_than_the_history_raises() -> None:
    flow = _flow(1)
    with pytest.raises(LookupError, match="older than the history"):
        flow.book_at("ABC", 1)


@pytest.mark.slow
def test_the_history_is_bounded_and_holds_20000_updates() -> None:
    flow = OrderFlow([_instrument("ABC")], 7, IdSpace.PER_SYMBOL)
    first_id = flow.last_id("ABC")
    for at_ns in range(UPDATES_PER_BLOCK * (BLOCKS_MAX + 1)):
        flow.step("ABC", at_ns)
    assert flow.book_at("ABC", flow.last_id("ABC") - 20_000).id == flow.last_id("ABC") - 20_000
    with pytest.raises(LookupError):
        flow.book_at("ABC", first_id)


def test_updated_levels_transform_one_book_into_another_each_level_once() -> None:
    flow = _flow(200)
    start, end = flow.id_before("ABC", 150), flow.id_before("ABC", 10)
    bids, asks = flow.levels_updated("ABC", start, end)
    book = flow.book_at("ABC", start)
    for side, levels in ((book.bids, bids), (book.asks, asks)):
        assert len({price for price, _ in levels}) == len(levels)
        for price, quantity in levels:
            side.set_level(price, quantity)
    assert book.top(LEVELS_MAX) == flow.book_at("ABC", end).top(LEVELS_MAX)


def test_updated_levels_restate_some_and_remove_some_that_never_existed() -> None:
    flow = _flow(300)
    restated = absent = 0
    for back in range(250, 0, -5):
        before = flow.book_at("ABC", flow.id_before("ABC", back))
        for side, levels in zip(
            (before.bids, before.asks), flow.levels_updated("ABC", before.id, before.id + 5), strict=True
        ):
            restated += sum(side.quantities.get(price) == quantity for price, quantity in levels)
            absent += sum(price not in side.quantities and not quantity for price, quantity in levels)
    assert restated > 5
    assert absent > 0


def test_trade_ids_are_consecutive_and_prices_are_on_the_tick() -> None:
    flow = _flow(300)
    trades = flow.trades_after("ABC", 0)
    assert [one.id for one in trades] == list(range(1, flow.last_trade_id("ABC") + 1))
    assert len(trades) > 5
    assert all(one.quantity > 0 and one.price % Decimal("0.01") == 0 for one in trades)
    assert flow.trades_after("ABC", trades[-2].id) == [trades[-1]]
    assert flow.trades_after("ABC", trades[-1].id) == []
