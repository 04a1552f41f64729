"""Delivery within a turn's budget: at once, then in order, and never more than a venue's share."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import BookStreamDown, DecodedFrame, DepthUpdate, FeedMessage, MarketEvent
from components.market_data.core.queues import OverflowPolicy, QueueBounds
from components.market_data.venues.adapter import Channel
from components.market_data.venues.connection.delivery import TURN_FRAMES_MAX, Delivery
from components.market_data.venues.metrics import VenueMetrics
from components.runtime.metrics import Metrics

TOY = Venue("TOY")
ONE, TWO = Symbol("TOY:ONE-USD"), Symbol("TOY:TWO-USD")
NUMBER = Decimal(1)


def update(final: int) -> DepthUpdate:
    return DepthUpdate(ONE, final - 1, final, [], [], 0, 0)


def quote(symbol: Symbol, number: int) -> Quote:
    return Quote(TOY, symbol, Decimal(number), NUMBER, NUMBER, NUMBER, number, number)


def trade(number: int) -> Trade:
    return Trade(TOY, ONE, Decimal(number), NUMBER, number, number)


def framed(*data: MarketEvent) -> DecodedFrame:
    return DecodedFrame(TOY, data, 0, 7, 70)


class DeliveryHarness:
    def __init__(self, *, depth_max: int = 10) -> None:
        self.delivered: list[FeedMessage] = []
        self.metrics = Metrics("test", "0")
        bounds = {
            Channel.DEPTH: QueueBounds(depth_max, OverflowPolicy.BLOCK),
            Channel.QUOTES: QueueBounds(10, OverflowPolicy.CONFLATE),
            Channel.TRADES: QueueBounds(3, OverflowPolicy.DROP_OLDEST),
        }
        self.delivery = Delivery(self.delivered.append, bounds, VenueMetrics(self.metrics, TOY))

    def use_up_the_turn(self) -> None:
        for final in range(TURN_FRAMES_MAX):
            self.delivery.deliver_frame(framed(update(final)))
        assert len(self.delivered) == TURN_FRAMES_MAX
        self.delivered.clear()

    def needs_pause(self) -> bool:
        return self.delivery.needs_pause

    @property
    def data(self) -> list[MarketEvent]:
        return [datum for one in self.delivered if isinstance(one, DecodedFrame) for datum in one.data]


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def turns(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_fits_into_a_turn_is_handed_on_at_once() -> None:
    async def scene() -> None:
        harness = DeliveryHarness()
        harness.use_up_the_turn()
        await turns(2)
        harness.use_up_the_turn()

    on_a_loop(scene())


def test_what_does_not_fit_comes_in_the_next_turn_in_order() -> None:
    async def scene() -> None:
        harness = DeliveryHarness()
        harness.use_up_the_turn()
        harness.delivery.deliver_frame(framed(update(1), trade(2)))
        harness.delivery.deliver_frame(framed(quote(ONE, 3)))
        harness.delivery.deliver_frame(framed(update(4)))
        harness.delivery.deliver_control(BookStreamDown(TOY, ONE, "gone", is_permanent=False))
        assert not harness.delivered
        await turns()
        assert harness.data == [update(1), trade(2), quote(ONE, 3), update(4)]
        assert isinstance(harness.delivered[-1], BookStreamDown)

    on_a_loop(scene())


def test_quotes_conflate_by_symbol_and_trades_drop_their_oldest_both_counted() -> None:
    async def scene() -> None:
        harness = DeliveryHarness()
        harness.use_up_the_turn()
        for number in range(5):
            harness.delivery.deliver_frame(framed(quote(ONE, number), quote(TWO, number)))
            harness.delivery.deliver_frame(framed(trade(number)))
        await turns()
        assert [one for one in harness.data if isinstance(one, Quote)] == [quote(ONE, 4), quote(TWO, 4)]
        assert [one for one in harness.data if isinstance(one, Trade)] == [trade(2), trade(3), trade(4)]
        text = harness.metrics.exposition().decode()
        assert 'venue_queue_drops_total{channel="quotes",policy="conflate",venue="TOY"} 8.0' in text
        assert 'venue_queue_drops_total{channel="trades",policy="drop_oldest",venue="TOY"} 2.0' in text

    on_a_loop(scene())


def test_books_lose_nothing_and_reading_stops_until_there_is_room() -> None:
    async def scene() -> None:
        harness = DeliveryHarness(depth_max=2)
        harness.use_up_the_turn()
        harness.delivery.deliver_frame(framed(update(1)))
        assert not harness.needs_pause()
        harness.delivery.deliver_frame(framed(update(2)))
        assert harness.needs_pause()
        await harness.delivery.pause()
        assert harness.data == [update(1), update(2)]
        assert not harness.needs_pause()

    on_a_loop(scene())


def test_a_reader_gives_way_after_its_share_of_a_turn() -> None:
    async def scene() -> None:
        harness = DeliveryHarness(depth_max=10_000)
        for final in range(1_000):
            if harness.needs_pause():
                break
            harness.delivery.deliver_frame(framed(update(final)))
        assert harness.needs_pause()
        await harness.delivery.pause()
        assert not harness.needs_pause()

    on_a_loop(scene())


def test_a_backlog_is_worked_off_a_share_at_a_time() -> None:
    async def scene() -> None:
        harness = DeliveryHarness(depth_max=1_000)
        harness.use_up_the_turn()
        for final in range(TURN_FRAMES_MAX + 5):
            harness.delivery.deliver_frame(framed(update(final)))
        await turns()
        assert len(harness.delivered) == TURN_FRAMES_MAX
        await turns()
        assert len(harness.delivered) == TURN_FRAMES_MAX + 5

    on_a_loop(scene())


def test_a_frame_that_is_parted_is_counted_once() -> None:
    async def scene() -> None:
        harness = DeliveryHarness()
        harness.use_up_the_turn()
        harness.delivery.deliver_frame(framed(update(1), trade(2), quote(ONE, 3)))
        await turns()
        parts = [one for one in harness.delivered if isinstance(one, DecodedFrame)]
        assert [(one.parse_ns, one.bytes_count) for one in parts] == [(7, 70), (0, 0), (0, 0)]

    on_a_loop(scene())
