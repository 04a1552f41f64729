"""The simulated stock market is deterministic by seed, well-formed, and predictable to a degree."""

from itertools import islice

import pytest

from components.sandbox.alpaca.core.price_walk import (
    INITIAL_PRICES_CENTS,
    MarketQuote,
    advance_walk,
    generate_market,
    set_mid_price,
    start_walk,
)


def _quotes(symbol: str, seed: int, count: int) -> list[MarketQuote]:
    return [quote for quote, _ in islice(generate_market(symbol, seed), count)]


def test_the_same_seed_gives_the_same_market() -> None:
    assert list(islice(generate_market("AAPL", 7), 200)) == list(islice(generate_market("AAPL", 7), 200))


def test_another_seed_or_symbol_gives_another_market() -> None:
    assert _quotes("AAPL", 7, 50) != _quotes("AAPL", 8, 50)
    assert [one.bid_size for one in _quotes("AAPL", 7, 50)] != [one.bid_size for one in _quotes("MSFT", 7, 50)]


def test_the_first_quotes_of_a_seed_never_change() -> None:
    seen = [(one.bid_cents, one.ask_cents, one.bid_size, one.ask_size) for one in _quotes("AAPL", 7, 3)]
    assert seen == [(18998, 19002, 510, 440), (18999, 19002, 480, 640), (18999, 19004, 230, 340)]


def test_an_interrupted_walk_continues_identically() -> None:
    walk = start_walk("SPY")
    for _ in range(100):
        walk, _, _ = advance_walk(walk, 7)
    assert advance_walk(walk, 7)[1] == _quotes("SPY", 7, 101)[100]


@pytest.mark.parametrize("symbol", ["AAPL", "TSLA", "ZZZZZ"])
def test_a_quote_is_never_crossed_nor_empty(symbol: str) -> None:
    for quote in _quotes(symbol, 3, 500):
        assert 0 < quote.bid_cents < quote.ask_cents
        assert quote.bid_size > 0
        assert quote.ask_size > 0


def test_about_one_quote_in_five_comes_with_a_trade_inside_the_quote() -> None:
    steps = list(islice(generate_market("NVDA", 5), 1_000))
    trades = [(quote, trade) for quote, trade in steps if trade is not None]
    assert 140 < len(trades) < 260
    assert all(trade.price_cents in {quote.bid_cents, quote.ask_cents} for quote, trade in trades)


def test_the_larger_size_leads_the_price() -> None:
    quotes = _quotes("AAPL", 11, 800)
    pairs = list(zip(quotes, quotes[5:], strict=False))
    right = sum((one.bid_size > one.ask_size) == (later.bid_cents > one.bid_cents) for one, later in pairs)
    assert 0.52 < right / len(pairs) < 0.75


def test_a_walk_continues_from_a_price_set_by_hand() -> None:
    _, quote, _ = advance_walk(set_mid_price(start_walk("AAPL"), 50_000, 50_010), 7)
    assert abs(quote.bid_cents - 50_000) < 50


def test_the_price_of_an_unknown_symbol_is_derived_from_its_name() -> None:
    assert start_walk("XYZ") == start_walk("XYZ")
    assert start_walk("AAPL").first_micros == INITIAL_PRICES_CENTS["AAPL"] * 10_000
