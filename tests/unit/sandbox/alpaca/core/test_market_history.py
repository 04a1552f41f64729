"""Market history: bars are aggregated exactly, pages contain every row once, and the history is bounded."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.sandbox.alpaca.core.market_history import (
    QUOTES_MAX,
    Bar,
    HistoryPage,
    HistoryRow,
    PageRequest,
    SymbolHistory,
    TradeRecord,
    bar_start_ns,
    extend_bar,
    is_complete,
    parse_page_token,
    select_page,
    start_bar,
)
from components.sandbox.alpaca.core.price_walk import MarketTrade
from components.sandbox.alpaca.core.session import NEW_YORK
from components.sandbox.numerics import DAY_NS, SECOND_NS
from tests.support.sandbox_venue import NOON_NS, make_quote

MINUTE_NS, HOUR_NS = 60 * SECOND_NS, 3_600 * SECOND_NS


ALL_TIMES = {"start_ns": 0, "end_ns": 1 << 62}


def minute(number: int, first: int, *more: int) -> Bar:
    at_ns = NOON_NS + number * MINUTE_NS
    bar = start_bar("AAPL", Decimal(first), 10, at_ns)
    for price in more:
        bar = extend_bar(bar, Decimal(price), 10)
    return bar


def prices(*dollars: int) -> list[Decimal]:
    return [Decimal(one) for one in dollars]


def trades(symbol: str, *at_ns: int) -> list[HistoryRow]:
    return [TradeRecord(MarketTrade(symbol, 100, 1), number, at) for number, at in enumerate(at_ns)]


def test_minute_bars_are_aggregated_without_losing_a_trade() -> None:
    history = SymbolHistory()
    history.minute_bars.extend([minute(0, 100, 105), minute(1, 104), minute(5, 90, 95)])
    first, second = history.bars(5 * MINUTE_NS)
    assert [first.open, first.high, first.low, first.close] == prices(100, 105, 100, 104)
    assert (first.volume, first.count, first.at_ns, first.value) == (30, 3, NOON_NS, Decimal(3090))
    assert ([second.open, second.close], second.at_ns) == (prices(90, 95), NOON_NS + 5 * MINUTE_NS)
    assert history.bars(MINUTE_NS) == list(history.minute_bars)


def test_the_current_day_includes_the_minute_in_progress() -> None:
    history = SymbolHistory(current_minute=minute(1, 120))
    history.minute_bars.append(minute(0, 100))
    (today,) = history.daily_bars()
    assert ([today.open, today.close], today.volume) == (prices(100, 120), 20)


@pytest.mark.parametrize(("day", "hours"), [((2026, 11, 1), 25), ((2027, 3, 14), 23), ((2026, 11, 20), 24)])
def test_a_day_is_one_day_in_new_york_however_many_hours_it_has(day: tuple[int, int, int], hours: int) -> None:
    midnight_ns = int(datetime(*day, tzinfo=NEW_YORK).timestamp()) * SECOND_NS
    last_ns = midnight_ns + hours * HOUR_NS - 1
    assert bar_start_ns(midnight_ns, DAY_NS) == bar_start_ns(last_ns, DAY_NS) == midnight_ns
    assert bar_start_ns(last_ns + 1, DAY_NS) == last_ns + 1


def test_the_history_drops_the_oldest_quotes_first() -> None:
    history = SymbolHistory()
    history.quotes.extend(make_quote(bid=str(1 + number)) for number in range(QUOTES_MAX + 1))
    assert (len(history.quotes), history.quotes[0].bid) == (QUOTES_MAX, Decimal(2))


@given(
    counts=st.dictionaries(st.sampled_from(["AAPL", "MSFT", "NVDA"]), st.integers(0, 7)),
    limit=st.integers(1, 5),
    ascending=st.booleans(),
)
def test_pages_together_hold_every_row_once(counts: dict[str, int], limit: int, ascending: bool) -> None:
    histories = {symbol: trades(symbol, *range(1, count + 1)) for symbol, count in counts.items()}
    seen: list[HistoryRow] = []
    past: tuple[str, int] | None = None
    while True:
        page = _page(histories, PageRequest(**ALL_TIMES, limit=limit, ascending=ascending, after_row=past))
        rows = [row for some in page.rows.values() for row in some]
        seen += rows
        if page.token is None:
            break
        assert len(rows) == limit
        past = parse_page_token(page.token)
    expected = [
        row for symbol in sorted(histories) for row in (histories[symbol] if ascending else reversed(histories[symbol]))
    ]
    assert seen == expected


def test_both_bounds_are_included() -> None:
    page = _page({"AAPL": trades("AAPL", 1, 2, 3, 4)}, PageRequest(start_ns=2, end_ns=3, limit=9))
    assert [row.at_ns for row in page.rows["AAPL"]] == [2, 3]


@pytest.mark.parametrize("text", ["", "???", "QUFQTA==", "ü"])
def test_an_invalid_page_token_is_none(text: str) -> None:
    assert parse_page_token(text) is None


def _page(histories: dict[str, list[HistoryRow]], request: PageRequest) -> HistoryPage:
    plain: dict[str, Sequence[HistoryRow]] = dict(histories)
    return select_page(plain, request)


def test_a_bar_covers_its_minute() -> None:
    bar = start_bar("AAPL", Decimal(10), 100, NOON_NS + 5)
    bar = extend_bar(extend_bar(bar, Decimal(12), 100), Decimal(9), 200)
    assert [bar.open, bar.high, bar.low, bar.close] == [Decimal(price) for price in (10, 12, 9, 9)]
    assert (bar.volume, bar.count) == (400, 3)
    assert (bar.at_ns, bar.average) == (NOON_NS, Decimal(10))
    assert is_complete(bar, NOON_NS + 60 * SECOND_NS)
    assert not is_complete(bar, NOON_NS + 59 * SECOND_NS)
