"""Historical market data of the sandbox, tested with Alpaca's own client library."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--symbols", "AAPL,MSFT", "--speed", "0") as own:
        yield own


@pytest.fixture
def data(sandbox: SandboxProcess) -> StockHistoricalDataClient:
    where = sandbox.endpoints
    return StockHistoricalDataClient(where["key"], where["secret"], url_override=where["trading_url"])


@pytest.fixture
def long_ago() -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC)


def trade_for_minutes(sandbox: SandboxProcess, symbol: str, *minutes: tuple[str, ...]) -> None:
    """Publish trades at the given prices in consecutive minutes, starting just after a minute has begun."""
    with sandbox.client() as client:
        second = float(client.get("/v2/clock").json()["timestamp"][17:23])
    sandbox.step_clock(MINUTE_MS - int(second * 1000) + 500)
    for prices in minutes:
        for price in prices:
            sandbox.print_trade(symbol, price)
        sandbox.step_clock(MINUTE_MS)


def test_the_latest_of_everything(sandbox: SandboxProcess, data: StockHistoricalDataClient) -> None:
    sandbox.set_quote("AAPL", "189.98", "190.02")
    trade_for_minutes(sandbox, "AAPL", ("190", "191"))
    quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"]
    trade = data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"]
    bar = data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="AAPL"))["AAPL"]
    assert (quote.bid_price, quote.ask_price, quote.bid_size) == (189.98, 190.02, 100)
    assert (trade.price, trade.size) == (191, 100)
    assert (bar.open, bar.close, bar.volume, bar.trade_count) == (190, 191, 200, 2)


def test_a_symbol_that_is_not_listed_is_left_out(data: StockHistoricalDataClient) -> None:
    found = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["AAPL", "NOPE"]))
    assert list(found) == ["AAPL"]


def test_bars_of_any_length_are_aggregated_from_minutes(
    sandbox: SandboxProcess, data: StockHistoricalDataClient, long_ago: datetime
) -> None:
    trade_for_minutes(sandbox, "AAPL", ("190", "195"), ("194",), ("180", "185"))
    minutes = _bars(data, TimeFrame(1, TimeFrameUnit.Minute), long_ago)
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in minutes] == [
        (190, 195, 190, 195),
        (194, 194, 194, 194),
        (180, 185, 180, 185),
    ]
    assert [later.timestamp - bar.timestamp for bar, later in pairwise(minutes)] == [timedelta(minutes=1)] * 2
    days = _bars(data, TimeFrame(1, TimeFrameUnit.Day), long_ago)
    assert sum(day.volume for day in days) == 500  # two days if midnight in New York is near
    assert (days[0].open, days[-1].close) == (190, 185)


def test_bounds_are_inclusive_and_the_order_can_be_reversed(
    sandbox: SandboxProcess, data: StockHistoricalDataClient, long_ago: datetime
) -> None:
    trade_for_minutes(sandbox, "AAPL", ("190",), ("191",), ("192",))
    minute = TimeFrame(1, TimeFrameUnit.Minute)
    first, second, third = _bars(data, minute, long_ago)
    assert _bars(data, minute, second.timestamp) == [second, third]
    assert _bars(data, minute, first.timestamp, end=second.timestamp) == [first, second]
    assert _bars(data, minute, long_ago, sort=Sort.DESC) == [third, second, first]
    assert _bars(data, minute, long_ago, limit=2) == [first, second]


@pytest.mark.parametrize("sort", Sort)
def test_pages_contain_the_rows_of_all_symbols_and_lose_none(
    sandbox: SandboxProcess, data: StockHistoricalDataClient, long_ago: datetime, sort: Sort
) -> None:
    for number in range(5):
        sandbox.print_trade("AAPL", f"{100 + number}")
        sandbox.print_trade("MSFT", f"{200 + number}")
    query: dict[str, Any] = {
        "symbols": "MSFT,AAPL", "start": long_ago.isoformat(), "limit": 3, "sort": sort.value,
    }  # fmt: skip
    seen: list[float] = []
    sizes: list[int] = []
    while True:
        page: Any = data.get("/stocks/trades", dict(query))
        rows = [row["p"] for some in page["trades"].values() for row in some]
        seen, sizes, query["page_token"] = seen + rows, [*sizes, len(rows)], page["next_page_token"]
        if page["next_page_token"] is None:
            break
    turn = 1 if sort is Sort.ASC else -1
    assert seen == [*range(100, 105)][::turn] + [*range(200, 205)][::turn]
    assert sizes == [3, 3, 3, 1]


def test_the_client_follows_page_tokens(
    sandbox: SandboxProcess, data: StockHistoricalDataClient, long_ago: datetime
) -> None:
    for number in range(4):
        sandbox.set_quote("AAPL", f"{100 + number}", f"{101 + number}")
    request = StockQuotesRequest(symbol_or_symbols=["AAPL", "MSFT"], start=long_ago, limit=3)
    found: Any = data.get_stock_quotes(request)
    assert [quote.bid_price for quote in found["AAPL"]][1:] == [100, 101]  # after the initial quote
    trades: Any = data.get_stock_trades(StockTradesRequest(symbol_or_symbols="MSFT", start=long_ago))
    assert trades.data == {}


def test_a_snapshot_has_every_latest_value(sandbox: SandboxProcess, data: StockHistoricalDataClient) -> None:
    empty: Any = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="MSFT"))["MSFT"]
    assert empty.latest_quote is not None
    assert (empty.minute_bar, empty.daily_bar, empty.previous_daily_bar) == (None, None, None)
    trade_for_minutes(sandbox, "AAPL", ("190",), ("192",))
    sandbox.step_clock(24 * 60 * MINUTE_MS)
    sandbox.print_trade("AAPL", "200")
    full: Any = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="AAPL"))["AAPL"]
    assert (full.latest_trade.price, full.minute_bar.close) == (200, 192)
    assert (full.daily_bar.open, full.previous_daily_bar.close) == (200, 192)


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("/stocks/bars", {"timeframe": "1Min"}, "symbols is required"),
        ("/stocks/bars", {"symbols": "AAPL", "timeframe": "7Fortnights"}, "invalid timeframe: 7Fortnights"),
        ("/stocks/bars", {"symbols": "no symbol", "timeframe": "1Min"}, "invalid symbol: NO SYMBOL"),
        ("/stocks/trades", {"symbols": "AAPL", "start": "soon"}, "invalid start: soon"),
        ("/stocks/trades", {"symbols": "AAPL", "limit": "0"}, "invalid limit: must be between 1 and 10000"),
        ("/stocks/trades", {"symbols": "AAPL", "page_token": "???"}, "invalid page_token"),
    ],
)
def test_an_invalid_query_is_a_bad_request(
    history_client: StockHistoricalDataClient, path: str, query: dict[str, str], message: str
) -> None:
    with pytest.raises(APIError) as rejected:
        history_client.get(path, query)
    assert (rejected.value.status_code, rejected.value.message) == (400, message)


@pytest.fixture(scope="module")
def history_client() -> Iterator[StockHistoricalDataClient]:
    with running_sandbox("--symbols", "AAPL", "--speed", "0") as own:
        yield StockHistoricalDataClient(
            own.endpoints["key"], own.endpoints["secret"], url_override=own.endpoints["trading_url"]
        )


def test_market_data_has_its_own_rate_limit() -> None:
    with running_sandbox("--symbols", "AAPL", "--rate-limit-per-minute", "2") as own, own.client() as history_client:
        statuses = {history_client.get("/v2/stocks/quotes/latest?symbols=AAPL").status_code for _ in range(6)}
        assert statuses == {200, 429}
        assert history_client.get("/v2/clock").status_code == 200


def test_wrong_credentials_are_rejected(sandbox: SandboxProcess) -> None:
    data = StockHistoricalDataClient(sandbox.endpoints["key"], "wrong", url_override=sandbox.endpoints["trading_url"])
    with pytest.raises(APIError) as rejected:
        data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    assert rejected.value.status_code == 401


def _bars(data: StockHistoricalDataClient, length: TimeFrame, start: datetime, **more: Any) -> list[Any]:
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=length, start=start, **more)
    found: Any = data.get_stock_bars(request)
    return list(found["AAPL"])
