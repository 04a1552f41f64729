"""Repeated trades and quotes are dropped; ids that a venue resets are followed again."""

from components.contracts.values import Symbol
from components.market_data.venues.deduplication import (
    REPEATS_MAX,
    DuplicateFilter,
    TradeDeduplicator,
    TradeNovelty,
)

BTC, ETH = Symbol("OKX:BTC-USDT"), Symbol("OKX:ETH-USDT")
AGE_NS_MAX = 100


def test_the_cached_trade_of_a_subscription_is_new_only_if_it_is_recent() -> None:
    assert TradeDeduplicator(AGE_NS_MAX).classify(7, AGE_NS_MAX) is TradeNovelty.NEW
    assert TradeDeduplicator(AGE_NS_MAX).classify(7, AGE_NS_MAX + 1) is TradeNovelty.REPEATED


def test_an_id_at_or_below_the_last_one_is_out_of_order() -> None:
    trades = TradeDeduplicator(AGE_NS_MAX)
    trades.classify(7, 0)
    assert [trades.classify(number, 0) for number in (7, 6, 8)] == [
        TradeNovelty.OUT_OF_ORDER,
        TradeNovelty.OUT_OF_ORDER,
        TradeNovelty.NEW,
    ]


def test_a_new_subscription_follows_ids_that_were_reset() -> None:
    trades = TradeDeduplicator(AGE_NS_MAX)
    trades.classify(1_000, 0)
    trades.on_subscribed()
    assert trades.classify(3, 0) is TradeNovelty.REPEATED
    assert trades.classify(4, 0) is TradeNovelty.NEW


def test_each_id_of_a_symbol_passes_once_and_only_upwards() -> None:
    quotes = DuplicateFilter()
    assert [quotes.accept(BTC, number) for number in (10, 10, 9, 11)] == [True, False, False, True]
    assert quotes.accept(ETH, 9)


def test_many_old_ids_in_a_row_mean_a_reset() -> None:
    quotes = DuplicateFilter()
    quotes.accept(BTC, 1_000)
    accepted = [quotes.accept(BTC, number) for number in range(1, REPEATS_MAX + 2)]
    assert accepted == [False] * (REPEATS_MAX - 1) + [True, True]
