"""The market-data stream of the sandbox, tested with Alpaca's own client library: msgpack, subscriptions, limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.live import StockDataStream
from alpaca.data.models import Bar, Quote, Trade

from tests.support.alpaca_py import MarketDataCollector, connect_once, data_stream, running_stream
from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration

QUIET = ("--symbols", "AAPL,MSFT", "--speed", "0")
BACK_WITHIN_S = 15.0
MINUTE_MS = 60_000


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox(*QUIET) as own:
        yield own


@contextmanager
def running_data_stream(sandbox: SandboxProcess, stream: StockDataStream) -> Iterator[None]:
    with running_stream(stream):
        eventually(lambda: subscribed(sandbox) is not None and any(channels(sandbox).values()))
        yield


def subscribed(sandbox: SandboxProcess) -> dict[str, Any] | None:
    found: dict[str, Any] | None = sandbox.state()["subscribers"]["iex"]
    return found


def channels(sandbox: SandboxProcess) -> dict[str, list[str]]:
    return {name: held for name, held in (subscribed(sandbox) or {}).items() if isinstance(held, list)}


def test_quotes_and_trades_arrive_as_published(sandbox: SandboxProcess) -> None:
    stream, quotes, trades = data_stream(sandbox), MarketDataCollector(), MarketDataCollector()
    stream.subscribe_quotes(quotes.on_data, "AAPL")
    stream.subscribe_trades(trades.on_data, "MSFT")
    with running_data_stream(sandbox, stream):
        sandbox.set_quote("MSFT", "419.5", "419.75")
        sandbox.set_quote("AAPL", "189.98", "190.02")
        sandbox.print_trade("AAPL", "190.01")
        sandbox.print_trade("MSFT", "419.6", 7)
        eventually(lambda: quotes.all and trades.all)
    (quote,), (trade,) = quotes.all, trades.all
    assert isinstance(quote, Quote)
    assert isinstance(trade, Trade)
    assert (quote.symbol, quote.bid_price, quote.ask_price, quote.bid_size) == ("AAPL", 189.98, 190.02, 100)
    assert (trade.symbol, trade.price, trade.size) == ("MSFT", 419.6, 7)
    assert quote.timestamp.tzinfo is UTC


def test_a_long_subscription_is_sent_in_many_fragments(sandbox: SandboxProcess) -> None:
    stream, collector = data_stream(sandbox), MarketDataCollector()
    stream._max_frame_size = 8  # noqa: SLF001 -- even a short message then comes in pieces, and an empty last one
    stream.subscribe_quotes(collector.on_data, "AAPL", "MSFT")
    stream.subscribe_bars(collector.on_data, "*")
    with running_data_stream(sandbox, stream):
        assert channels(sandbox)["quotes"] == ["AAPL", "MSFT"]
        assert channels(sandbox)["bars"] == ["*"]


def test_a_star_subscribes_to_every_symbol(sandbox: SandboxProcess) -> None:
    stream, collector = data_stream(sandbox), MarketDataCollector()
    stream.subscribe_quotes(collector.on_data, "*")
    with running_data_stream(sandbox, stream):
        sandbox.set_quote("AAPL", "189.98", "190.02")
        sandbox.set_quote("MSFT", "419.5", "419.75")
        eventually(lambda: [one.symbol for one in collector.all] == ["AAPL", "MSFT"])


def test_symbols_are_added_and_removed_while_the_stream_runs(sandbox: SandboxProcess) -> None:
    stream, collector = data_stream(sandbox), MarketDataCollector()
    stream.subscribe_quotes(collector.on_data, "AAPL")
    with running_data_stream(sandbox, stream):
        eventually(lambda: stream._running)  # noqa: SLF001
        stream.subscribe_quotes(collector.on_data, "MSFT")
        eventually(lambda: channels(sandbox)["quotes"] == ["AAPL", "MSFT"])
        stream.unsubscribe_quotes("AAPL")
        eventually(lambda: channels(sandbox)["quotes"] == ["MSFT"])
        sandbox.set_quote("AAPL", "189.98", "190.02")
        sandbox.set_quote("MSFT", "419.5", "419.75")
        eventually(lambda: collector.of_symbol("MSFT"))
    assert collector.of_symbol("AAPL") == []


def test_a_minute_of_trades_becomes_a_bar(sandbox: SandboxProcess) -> None:
    stream, bars = data_stream(sandbox), MarketDataCollector()
    stream.subscribe_bars(bars.on_data, "AAPL")
    with running_data_stream(sandbox, stream):
        sandbox.step_clock(_to_the_next_minute(sandbox))
        for price, size in (("190", 100), ("192", 50), ("189", 25), ("191", 25)):
            sandbox.print_trade("AAPL", price, size)
        sandbox.step_clock(MINUTE_MS)
        eventually(lambda: bars.all)
    bar = bars.all[-1]
    assert isinstance(bar, Bar)
    assert (bar.open, bar.high, bar.low, bar.close) == (190, 192, 189, 191)
    assert (bar.volume, bar.trade_count, bar.vwap) == (200, 4, 190.5)
    assert (bar.timestamp.second, bar.timestamp.microsecond) == (0, 0)


def test_a_stream_allows_one_connection(sandbox: SandboxProcess) -> None:
    first, second = data_stream(sandbox), data_stream(sandbox)
    first.subscribe_quotes(MarketDataCollector().on_data, "AAPL")
    with running_data_stream(sandbox, first):
        assert _error(second) == "connection limit exceeded"
    eventually(lambda: subscribed(sandbox) is None)


def test_wrong_credentials_fail_at_login(sandbox: SandboxProcess) -> None:
    sandbox.endpoints["secret"] = "wrong"
    assert _error(data_stream(sandbox)) == "auth failed"


def test_too_many_symbols_leave_the_subscriptions_unchanged(sandbox: SandboxProcess) -> None:
    stream, collector = data_stream(sandbox), MarketDataCollector()
    stream.subscribe_quotes(collector.on_data, "AAPL")
    with running_data_stream(sandbox, stream):
        eventually(lambda: stream._running)  # noqa: SLF001
        stream.subscribe_quotes(collector.on_data, *(f"A{number}" for number in range(30)))
        sandbox.set_quote("AAPL", "189.98", "190.02")
        eventually(lambda: collector.of_symbol("AAPL"))
        assert channels(sandbox)["quotes"] == ["AAPL"]


def test_the_stream_reconnects_after_a_restart_and_subscribes_again(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), *QUIET) as own:
        stream, collector = data_stream(own), MarketDataCollector()
        stream.subscribe_quotes(collector.on_data, "AAPL", "MSFT")
        with running_data_stream(own, stream):
            own.kill()
            own.restart()
            eventually(lambda: channels(own).get("quotes") == ["AAPL", "MSFT"], within_s=BACK_WITHIN_S)
            own.set_quote("MSFT", "419.5", "419.75")
            eventually(lambda: collector.of_symbol("MSFT"))


def _error(stream: StockDataStream) -> str:
    with pytest.raises(ValueError, match=r".") as rejected:
        connect_once(stream)
    return str(rejected.value)


def _to_the_next_minute(sandbox: SandboxProcess) -> int:
    """Milliseconds to the first second of the next minute, so that no minute ends while the test prints its trades."""
    with sandbox.client() as client:
        second = client.get("/v2/clock").json()["timestamp"][17:23]
    return MINUTE_MS - int(float(second) * 1000) + 500
